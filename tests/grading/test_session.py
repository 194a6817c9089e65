"""Sessions and their store: order, progress, stopping at any time, and that nothing is judged twice."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import threading
import types

import pytest
from msgspec.structs import replace

from jailpy.errors import UsageError
from jailpy.services.grading import intake
from jailpy.services.grading import session as module
from jailpy.services.grading.results import Excerpt, Limits, SubmissionResult, TestResult, Verdict
from jailpy.services.grading.session import Clock, Session, Watch
from jailpy.services.grading.store import NAME, Store, asked
from jailpy.services.grading.submission import SourceFile, Submission


class Fake:
    """Judges by the first word of a submission: a verdict, `raise`, or `wait` until it is closed."""

    def __init__(self, jobs=1):
        self.jobs = jobs
        self.judged = []
        self.closed = threading.Event()
        self.waiting = threading.Semaphore(0)
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def judge(self, submission, on_test=None):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.judged.append(submission.name)
        try:
            return self._verdict(submission, on_test)
        finally:
            with self._lock:
                self._now -= 1

    def _verdict(self, submission, on_test):
        word = submission.files[0].content.decode().split()[0]
        if word == "raise":
            raise RuntimeError("broken")
        if word in ("wait", "hang"):
            self.waiting.release()
            (self.closed if word == "wait" else threading.Event()).wait()
            return SubmissionResult(name=submission.name, verdict=Verdict.IE, message="killed")
        test = TestResult(name="secret/1", verdict=Verdict(word), output=Excerpt(text="\ud800", total_bytes=1))
        if on_test:
            on_test(submission, test)
        return SubmissionResult(name=submission.name, verdict=Verdict(word), tests=(test,))

    def close(self):
        self.closed.set()


class Log(Watch):
    def __init__(self):
        self.events = []

    def started(self, name):
        self.events.append(("started", name))

    def tested(self, name, test):
        self.events.append(("tested", name))

    def judged(self, result, *, known):
        self.events.append(("known" if known else "judged", result.name))


@pytest.fixture
def submissions(tmp_path):
    """Write submissions with these words in them."""

    def make(*words):
        folder = tmp_path / "submissions"
        folder.mkdir(exist_ok=True)
        for number, word in enumerate(words):
            (folder / f"{number:03d}.py").write_text(word)
        return intake.sources(intake.entries(str(folder)))

    return make


@pytest.fixture
def store(tmp_path):
    with Store(str(tmp_path / "report"), "asked") as opened:
        yield opened


def verdicts(session):
    return [(result.name, result.verdict.value) for result in session.results]


def test_results_are_in_order_whatever_ends_first(submissions):
    fake, log = Fake(jobs=3), Log()
    session = Session(fake, submissions("AC", "WA", "RTE", "AC"), watch=log)
    session.run()
    assert verdicts(session) == [("000.py", "AC"), ("001.py", "WA"), ("002.py", "RTE"), ("003.py", "AC")]
    assert (session.pending, session.stopped) == ((), False)
    for number in range(4):
        events = [kind for kind, name in log.events if name == f"00{number}.py"]
        assert events == ["started", "tested", "judged"]
    for result in session.results:
        assert result.started_at <= result.ended_at
        assert result.tests[0].output.text == "\ufffd\ufffd\ufffd"  # what cannot be written is replaced


def test_times_do_not_follow_a_clock_that_is_set(monkeypatch):
    clock = Clock()
    began = dt.datetime.fromisoformat(clock.now())
    shifted = types.SimpleNamespace(now=lambda zone: dt.datetime.now(zone) - dt.timedelta(days=1))
    monkeypatch.setattr(module, "dt", types.SimpleNamespace(datetime=shifted, timedelta=dt.timedelta, UTC=dt.UTC))
    assert dt.datetime.fromisoformat(Clock().now()) < began, "control: a new one does"
    assert dt.timedelta() <= dt.datetime.fromisoformat(clock.now()) - began < dt.timedelta(minutes=1)


def test_no_more_at_a_time_than_there_are_jobs(submissions):
    fake = Fake(jobs=2)
    session = Session(fake, submissions(*["AC"] * 30))
    session.run()
    assert len(session.results) == 30
    assert fake.most <= 2


def test_one_that_cannot_be_read_does_not_keep_the_rest(submissions, tmp_path):
    sources = submissions("AC", "", "WA")
    session = Session(Fake(), sources)
    session.run()
    assert verdicts(session) == [("000.py", "AC"), ("001.py", "CE"), ("002.py", "WA")]
    assert session.results[1].message == "it cannot be judged: it is empty"


def test_one_that_is_not_there_is_no_fault_of_its_author(submissions):
    sources = submissions("AC", "WA")
    os.unlink(sources[0].path)
    session = Session(Fake(), sources)
    session.run()
    assert verdicts(session) == [("000.py", "IE"), ("001.py", "WA")]
    assert session.results[0].message == "it cannot be read: No such file or directory"


def test_a_bug_of_the_judge_is_told_and_costs_nothing(submissions):
    session = Session(Fake(), submissions("raise", "AC"))
    session.run()
    assert verdicts(session) == [("000.py", "IE"), ("001.py", "AC")]
    assert session.results[0].message == "RuntimeError: broken"


def test_notes_of_the_intake_reach_the_result(submissions, tmp_path):
    sources = submissions("AC")
    (tmp_path / "submissions" / "000.py").write_bytes(b"AC \xe9")
    fake = Fake()
    fake.judge = lambda submission, on_test=None: SubmissionResult(name="?", verdict=Verdict.AC)
    session = Session(fake, sources)
    session.run()
    assert session.results[0].notes == ("000.py is not in UTF-8: byte 0xe9 in line 1",)
    assert session.results[0].name == "000.py"


def test_silence_is_told(submissions):
    fake, log = Fake(), Log()
    log.waited = fake.close
    session = Session(fake, submissions("wait"), watch=log)
    session.run()
    assert verdicts(session) == [("000.py", "IE")]


def test_ten_thousand_of_them(submissions, tmp_path):
    sources = submissions(*["AC"] * 10_000)
    with Store(str(tmp_path / "report"), "asked") as store:
        Session(Fake(jobs=2), sources, store=store).run()
        fake = Fake()
        session = Session(fake, sources, store=store, resume=True)
        session.run()
    assert fake.judged == []
    assert len(session.results) == 10_000


def stopped(session, fake, *, waiting):
    """Run a session, and stop it once so many submissions wait."""

    def stop():
        for _ in range(waiting):
            fake.waiting.acquire()
        session.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    session.run()
    stopper.join()


def test_a_stop_leaves_what_runs_and_what_waits(submissions, store):
    fake = Fake(jobs=2)
    session = Session(fake, submissions("AC", "wait", "wait", "AC", "AC"), store=store)
    stopped(session, fake, waiting=2)
    assert verdicts(session) == [("000.py", "AC")]
    assert session.pending == ("001.py", "002.py", "003.py", "004.py")
    assert session.stopped
    assert "003.py" not in fake.judged


def test_a_second_stop_does_not_wait(submissions):
    fake = Fake()
    session = Session(fake, submissions("hang", "AC"))
    fake.close = session.stop
    stopped(session, fake, waiting=1)
    assert session.pending == ("000.py", "001.py")


def test_nothing_is_judged_twice(submissions, tmp_path):
    sources = submissions("AC", "wait", "WA", "RTE")
    fake = Fake()
    with Store(str(tmp_path / "report"), "asked") as store:
        stopped(Session(fake, sources, store=store), fake, waiting=1)
    submissions("AC", "MLE", "WA", "RTE")
    fake, log = Fake(), Log()
    with Store(str(tmp_path / "report"), "asked") as store:
        session = Session(fake, sources, store=store, resume=True, watch=log)
        session.run()
    assert fake.judged == ["001.py", "002.py", "003.py"]
    assert log.events[0] == ("known", "000.py")
    assert verdicts(session) == [("000.py", "AC"), ("001.py", "MLE"), ("002.py", "WA"), ("003.py", "RTE")]
    fake = Fake()
    with Store(str(tmp_path / "report"), "asked") as store:
        again = Session(fake, sources, store=store, resume=True)
        again.run()
    assert fake.judged == []
    assert again.results == session.results


def test_without_resume_all_is_judged(submissions, store):
    sources = submissions("AC", "WA")
    for _ in range(2):
        fake = Fake()
        Session(fake, sources, store=store).run()
        assert len(fake.judged) == 2


def test_what_changed_is_judged_again(submissions, store):
    sources = submissions("AC", "WA")
    Session(Fake(), sources, store=store).run()
    submissions("AC", "PE")
    fake = Fake()
    session = Session(fake, sources, store=store, resume=True)
    session.run()
    assert fake.judged == ["001.py"]
    assert verdicts(session)[1] == ("001.py", "PE")


def test_a_fault_of_the_jail_is_judged_again(submissions, store):
    sources = submissions("IE", "JE", "AC")
    Session(Fake(), sources, store=store).run()
    fake = Fake()
    Session(fake, sources, store=store, resume=True).run()
    assert fake.judged == ["000.py"]


def test_a_store_that_fails_ends_the_session_with_what_there_is(submissions, store):
    fake = Fake()
    session = Session(fake, submissions("AC", "WA"), store=store)
    store.close()
    with pytest.raises(UsageError, match="store of results"):
        session.run()
    assert fake.closed.is_set()
    assert session.stopped


def a_submission(text):
    return Submission(name="a", files=(SourceFile(path="a.py", content=text),))


class TestStore:
    def test_results_are_found_by_what_was_asked(self, tmp_path):
        result = SubmissionResult(name="a", verdict=Verdict.AC, score=1.5)
        keys = {asked("sha256:1", {"memory": None}), asked("sha256:2", {"memory": None}), asked("sha256:1", {"memory": 5})}
        assert len(keys) == 3
        assert asked("sha256:1", {"a": 1, "b": 2}) == asked("sha256:1", {"b": 2, "a": 1})
        with Store(str(tmp_path), "one") as store:
            store.keep(a_submission(b"x"), result)
            assert store.find(a_submission(b"x")) == result
            assert store.find(a_submission(b"y")) is None
            assert store.find(replace(a_submission(b"x"), name="b")) is None
        with Store(str(tmp_path), "two") as store:
            assert store.find(a_submission(b"x")) is None

    def test_limits_are_kept(self, tmp_path):
        with Store(str(tmp_path), "one") as store:
            assert store.limits() is None
            store.keep_limits(Limits(cpu_s=1.5))
        with Store(str(tmp_path), "one") as store:
            assert store.limits() == Limits(cpu_s=1.5)

    def test_one_grading_at_a_time(self, tmp_path, store):
        with pytest.raises(UsageError, match="another grading is writing there"):
            Store(str(tmp_path / "report"), "asked")

    @pytest.mark.parametrize("content", [b"not a database, but text" * 100, b"SQLite format 3\0" + bytes(200)])
    def test_what_is_no_store(self, tmp_path, content):
        (tmp_path / NAME).write_bytes(content)
        with pytest.raises(UsageError, match="is not a store of results"):
            Store(str(tmp_path), "asked")
        assert (tmp_path / NAME).read_bytes() == content

    def test_another_version(self, tmp_path):
        database = sqlite3.connect(tmp_path / NAME)
        database.execute("PRAGMA user_version = 99")
        database.close()
        with pytest.raises(UsageError, match="it is of version 99"):
            Store(str(tmp_path), "asked")

    def test_a_result_that_is_none(self, tmp_path):
        with Store(str(tmp_path), "one") as store:
            store.keep(a_submission(b"x"), SubmissionResult(name="a", verdict=Verdict.AC))
            store._database.execute("UPDATE results SET result = '{}'")
            with pytest.raises(UsageError, match="holds what is no result"):
                store.find(a_submission(b"x"))

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match="cannot be kept"):
            Store(os.path.join(tmp_path, "file", "report"), "asked")

    def test_what_was_kept_survives_a_kill(self, tmp_path):
        script = (
            "import os, signal, sys\n"
            "from jailpy.services.grading.store import Store\n"
            "from jailpy.services.grading.results import SubmissionResult, Verdict\n"
            "from jailpy.services.grading.submission import SourceFile, Submission\n"
            "store = Store(sys.argv[1], 'one')\n"
            "submission = Submission(name='a', files=(SourceFile(path='a.py', content=b'x'),))\n"
            "store.keep(submission, SubmissionResult(name='a', verdict=Verdict.WA))\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        import subprocess
        import sys

        assert subprocess.run([sys.executable, "-c", script, str(tmp_path)]).returncode == -9
        with Store(str(tmp_path), "one") as store:
            assert store.find(a_submission(b"x")).verdict == Verdict.WA
