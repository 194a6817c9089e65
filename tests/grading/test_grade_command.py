"""`jailpy grade` as a user meets it: results, reports, exit statuses, interruption and going on, bad input."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
import zipfile

import pytest

from tests.core import PATIENCE
from tests.grading.conftest import write

GOOD = "print(sum(map(int, input().split())))\n"
SUBMISSIONS = {
    "good.py": GOOD,
    "bad.py": "print(7)\n",
    "crash.py": "raise SystemExit(3)\n",
    "empty.py": "",
    "evil.py": "print('\\x1b[2J<script>')\n",
}


@pytest.fixture
def handed_in(tmp_path):
    return write(tmp_path / "submissions", SUBMISSIONS)


@pytest.fixture
def grade(jailpy, tmp_path):
    """Run `jailpy grade` and return the finished process."""

    def run(*arguments, **options):
        command = [jailpy, "grade", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=90, **options)

    return run


def report(folder):
    return json.loads((folder / "report.json").read_text())


def verdicts(folder):
    return {entry["name"]: entry["verdict"] for entry in report(folder)["submissions"]}


def test_a_folder_of_submissions(grade, sums, handed_in, tmp_path, nothing_left):
    done = grade(sums, "--each", handed_in, "--report", "out", "--format", "all")
    assert done.returncode == 0, done.stderr
    expected = {"good.py": "AC", "bad.py": "WA", "crash.py": "RTE", "empty.py": "CE", "evil.py": "WA"}
    assert verdicts(tmp_path / "out") == expected
    rows = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[1:]}
    assert rows == expected
    assert "5/5 " in done.stderr
    assert done.stderr.endswith(f"jailpy: 5 submissions judged, 1 accepted\njailpy: reports: {tmp_path / 'out'}\n")
    made = set(os.listdir(tmp_path / "out"))
    assert made == {
        "report.json", "report.html", "submissions.csv", "tests.csv", "junit.xml", "icpc.json", "gradescope", "isolate",
        "results.sqlite",
    }  # fmt: skip
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    assert "<script>" not in (tmp_path / "out" / "report.html").read_text()


def test_a_file_a_folder_and_a_zip_file(grade, sums, tmp_path):
    write(tmp_path, {"a.py": GOOD, "b/main.py": GOOD})
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("c/main.py", GOOD)
    done = grade(sums, "a.py", "b", "c.zip", "-q")
    assert done.returncode == 0, done.stderr
    assert verdicts(tmp_path / "grading-sums") == {"a.py": "AC", "b": "AC", "c.zip": "AC"}
    assert "1/3" not in done.stderr


def test_hostile_names_are_shown_escaped(grade, sums, tmp_path):
    write(tmp_path, {"\x1b[2J\n.py": GOOD})
    done = grade(sums, "\x1b[2J\n.py")
    assert "\\x1b[2J\\n.py" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument 'PROBLEM'"),
        (["sums"], "there is no submission"),
        (["none", "a.py"], "is no folder"),
        (["broken", "a.py"], "problem.yaml:2: "),
        (["sums", "a.py", "--format", "pdf"], "--format: pdf: there is none of this name"),
        (["sums", "a.py", "--show", "everything"], "--show"),
        (["sums", "a.py", "--memory", "lots"], "expected a size"),
        (["sums", "a.py", "--memory", "10"], "option memory: expected bytes from 1048576 (1M) to"),
        (["sums", "a.py", "--time-limit", "0"], "expected more than 0"),
        (["sums", "a.py", "--time-limit", "9999999999"], "option time_limit: expected seconds from 0.001 to 8640000"),
        (["sums", "a.py", "--report", "a.py"], "a.py/results.sqlite: the results cannot be kept: File exists"),
        (["dangling", "a.py"], "dangling/1.in: No such file or directory"),
        (["sums", "--each", "none"], "No such file"),
        (["sums", "a.py", "b.py", "c.py"], "submission b.py: No such file or directory (and 1 more)"),
        (["sums", "a.py", "--workers", "tcp://127.0.0.1:9"], "no scheduler answers there"),
    ],
)
def test_usage_errors(grade, sums, tmp_path, arguments, words):
    write(tmp_path, {"a.py": GOOD, "broken/problem.yaml": "name: Broken\nnonsense: 1\n", "dangling/1.ans": ""})
    (tmp_path / "dangling" / "1.in").symlink_to("nothing")
    done = grade(*arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_checker_is_status_1_and_costs_nothing(grade, tmp_path):
    problem = {
        "sums/problem.yaml": "name: Sums\nvalidation: custom\n",
        "sums/data/secret/1.in": "1 2\n",
        "sums/data/secret/1.ans": "3\n",
        "sums/output_validators/check/check.py": "raise SystemExit(7)\n",
        "a.py": GOOD,
        "b.py": "raise SystemExit(3)\n",
    }
    write(tmp_path, problem)
    done = grade("sums", "a.py", "b.py", "--report", "out", "--time-limit", "1s", "--format", "json,gradescope")
    assert done.returncode == 1, done.stderr
    assert verdicts(tmp_path / "out") == {"a.py": "JE", "b.py": "RTE"}
    assert "1 with a fault of the judge's" in done.stderr
    why = "jailpy: a.py: the output validator failed: exit status 7; expected exit status 42 or 43"
    assert why in done.stderr
    redacted = grade("sums", "a.py", "--report", "shown", "--time-limit", "1s", "--format", "json", "--show", "verdict")
    assert redacted.returncode == 1
    assert "exit status 7" not in redacted.stderr
    broken, fair = (json.loads(path.read_text()) for path in sorted((tmp_path / "out" / "gradescope").iterdir()))
    assert "score" not in broken
    assert "tests" not in broken
    assert [test["score"] for test in fair["tests"]] == [0.0]


def test_reports_that_cannot_be_written(grade, sums, tmp_path):
    """The results are shown all the same, and are in the store."""
    write(tmp_path, {"a.py": GOOD, "out/report.json/in-the-way": "", "out/report.html/in-the-way": ""})
    done = grade(sums, "a.py", "--report", "out", "--format", "json,csv,html")
    assert done.returncode == 2
    assert done.stdout.splitlines()[1].split()[:2] == ["a.py", "AC"]
    assert "error: reports could not be written: " in done.stderr
    assert "report.html: Is a directory" in done.stderr
    assert (tmp_path / "out" / "submissions.csv").exists()


def test_a_problem_that_broke_does_not_cost_the_reports(grade, tmp_path):
    problem = {
        "sums/problem.yaml": "name: Sums\nvalidation: custom\n",
        "sums/data/secret/1.in": "1 2\n",
        "sums/data/secret/1.ans": "3\n",
        "sums/output_validators/check.c": "int main(void) { return 42; }\n",
        "a.py": GOOD,
    }
    write(tmp_path, problem)
    common = ("sums", "a.py", "--report", "out", "--time-limit", "1s")
    assert grade(*common).returncode == 0
    before = (tmp_path / "out" / "report.json").read_text()
    write(tmp_path, {"sums/output_validators/check.c": "int main( {"})
    done = grade(*common)
    assert (done.returncode, (tmp_path / "out" / "report.json").read_text()) == (2, before), done.stderr


def start(jailpy, tmp_path, *arguments):
    """Start `jailpy grade`; what it leaves when it is killed lies in `tmp_path`."""
    command = [jailpy, "grade", *map(str, arguments)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    return subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def wait_for(process, words):
    """Read standard error until a line has these words."""
    deadline = time.monotonic() + 60 * PATIENCE
    for line in process.stderr:
        if words in line:
            return
        assert time.monotonic() < deadline
    pytest.fail(f"ended without {words}")


@pytest.mark.parametrize(
    ("send", "number", "status"),
    [
        (os.kill, signal.SIGHUP, 129),
        (os.kill, signal.SIGINT, 130),
        (os.kill, signal.SIGTERM, 143),
        (os.killpg, signal.SIGINT, 130),
    ],
    ids=["SIGHUP", "SIGINT", "SIGTERM", "Ctrl-C"],
)
def test_interrupted_it_reports_and_goes_on(jailpy, grade, sums, tmp_path, nothing_left, send, number, status):
    slow = f"import time\ntime.sleep(5)\n{GOOD}"
    write(tmp_path / "s", {"1.py": GOOD, "2.py": slow, "3.py": GOOD})
    common = (sums, "--each", "s", "--report", "out", "-j", "1", "--time-limit", "8s")
    with start(jailpy, tmp_path, *common) as process:
        wait_for(process, "1/3 AC 1.py")
        time.sleep(0.5)
        send(process.pid, number)
        rest = process.stderr.read()
        assert process.wait(timeout=30) == status
    assert "2 not judged: --resume goes on" in rest
    found = report(tmp_path / "out")
    assert (found["interrupted"], found["pending"]) == (True, ["2.py", "3.py"])
    assert "interrupted" in (tmp_path / "out" / "report.html").read_text()
    write(tmp_path / "s", {"2.py": "print(7)\n"})
    done = grade(*common, "--resume")
    assert done.returncode == 0, done.stderr
    assert "1/3 AC 1.py (judged before)" in done.stderr
    assert verdicts(tmp_path / "out") == {"1.py": "AC", "2.py": "WA", "3.py": "AC"}
    assert report(tmp_path / "out")["submissions"][0]["ended_at"] == found["submissions"][0]["ended_at"]


def test_killed_it_goes_on_with_what_was_judged(jailpy, grade, sums, tmp_path, nothing_left):
    """SIGKILL leaves no report, but every result; nothing of the jails is left either."""
    write(tmp_path / "s", {"1.py": GOOD, "2.py": f"import time\ntime.sleep(5)\n{GOOD}"})
    common = (sums, "--each", "s", "--report", "out", "-j", "1", "--time-limit", "8s")
    with start(jailpy, tmp_path, *common) as process:
        wait_for(process, "1/2 AC 1.py")
        process.kill()
    assert not (tmp_path / "out" / "report.json").exists()
    write(tmp_path / "s", {"2.py": "print(7)\n"})
    done = grade(*common, "--resume")
    assert "1/2 AC 1.py (judged before)" in done.stderr
    assert verdicts(tmp_path / "out") == {"1.py": "AC", "2.py": "WA"}


def test_live_on_a_terminal(jailpy, sums, handed_in, tmp_path):
    """The live table is drawn on the terminal; the results' table goes to standard output as always."""
    here, there = pty.openpty()
    with subprocess.Popen(
        [jailpy, "grade", str(sums), "--each", str(handed_in)], cwd=tmp_path, stderr=there, stdout=subprocess.PIPE, text=True
    ) as process:
        os.close(there)
        drawn = b""
        try:
            while chunk := os.read(here, 65536):
                drawn += chunk
        except OSError:
            pass  # Linux says EIO once the last writer is gone: pty(7)
        os.close(here)
        assert process.stdout.read().startswith("submission")
        assert process.wait() == 0
    text = drawn.decode()
    assert "judging" in text
    assert "good.py" in text
    assert "\x1b[2J<" not in text


def test_redaction_reaches_every_report(grade, sums, handed_in, tmp_path):
    grade(sums, "--each", handed_in, "--report", "out", "--format", "all", "--show", "sample")
    for entry in report(tmp_path / "out")["submissions"]:
        assert entry["tests"] == []
    assert not (tmp_path / "out" / "isolate").exists()


@pytest.mark.parametrize(("show", "told"), [("sample", False), ("verdict", False), ("all", True)])
def test_redaction_reaches_the_table(grade, tmp_path, show, told):
    """Students read the log of a build server: a program can end with an exit status that is in the secret input."""
    write(tmp_path, {"p/secret/1.in": "77\n", "p/secret/1.ans": "1\n", "spy.py": "raise SystemExit(int(input()))\n"})
    done = grade("p", "spy.py", "--report", "out", "--show", show)
    assert "RTE" in done.stdout
    assert ("77" in done.stdout + done.stderr) == told


def test_exec_loads_nothing_of_grading():
    """What `jailpy exec` imports has none of the libraries that grading needs: tests/test_project.py lists them."""
    from tests.test_project import FORBIDDEN_ON_THE_WAY

    assert {"jinja2", "msgspec", "rich", "sqlite3", "yaml", "zipfile"} <= FORBIDDEN_ON_THE_WAY
