"""`Launcher.popen`: streaming, orders, waiting; and what `stats` says of it."""

from __future__ import annotations

import fcntl
import gc
import os
import subprocess
import threading
import time

import pytest

import jailpy
from tests.core import PATIENCE, alive, eventually, token

pytestmark = pytest.mark.usefixtures("nothing_left")
PIPE = subprocess.PIPE
TRAP = ["bash", "-c", "trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.01; done"]


def sleeper():
    """Return a long command and the word that it is found by."""
    word = token()
    return ["/usr/bin/python3", "-c", "import time; time.sleep(60)", word], word


def test_a_conversation(launcher):
    with launcher.popen(["cat"], stdin=PIPE, stdout=PIPE) as running:
        for word in (b"one\n", b"two\n"):
            running.stdin.write(word)
            assert running.stdout.read(99) == word
        assert running.poll() is None
        running.stdin.close()
        assert running.stdout.read() == b""
        assert running.wait(5).verdict == "ok"
        assert (running.poll(), running.stderr) == (0, None)


def test_communicate(launcher):
    running = launcher.popen(["bash", "-c", "cat; echo err >&2"], stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert running.communicate(b"data") == (b"data", b"err\n")
    assert running.wait().returncode == 0


def test_wait_has_a_timeout(launcher):
    command, word = sleeper()
    with launcher.popen(command) as running:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            running.wait(0.2)
        assert 0.2 <= time.monotonic() - began < 5
        assert eventually(lambda: alive(word))
    assert alive(word) == []


def test_poll_does_not_wait_for_another_thread_that_waits(launcher):
    with launcher.popen(["sleep", "9"]) as running:
        waiting = threading.Thread(target=running.wait)
        waiting.start()
        time.sleep(0.1)
        began = time.monotonic()
        assert running.poll() is None
        with pytest.raises(TimeoutError):
            running.wait(0.1)
        assert time.monotonic() - began < 3
        running.kill()
        waiting.join(10)
        assert (running.poll(), running.wait().verdict) == (-9, "cancelled")


def test_terminate_lets_the_payload_end_by_itself(launcher):
    with launcher.popen(TRAP, stdout=PIPE) as running:
        assert running.stdout.read(6) == b"ready\n"
        running.terminate()
        assert running.stdout.read() == b"got it\n"
        done = running.wait()
    assert (done.returncode, done.verdict) == (7, "cancelled")


def test_terminate_kills_what_does_not_end(launcher):
    with launcher.popen(["bash", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"], stdout=PIPE) as running:
        running.stdout.read(6)
        running.terminate()
        began = time.monotonic()
        assert running.wait().verdict == "cancelled"
        assert 0.5 < time.monotonic() - began < 10


def test_kill_loses_no_output(launcher):
    script = "printf '%65000s' x; echo written >&2; sleep 60"
    with launcher.popen(["bash", "-c", script], stdout=PIPE, stderr=PIPE) as running:
        assert running.stderr.read(1) == b"w"
        running.kill()
        assert len(running.communicate()[0]) == 65000


def test_kill_ends_a_run_whose_output_nobody_takes(launcher):
    """The payload has ended; the launcher sits on output that goes to a full pipe of the caller's."""
    reader, writer = os.pipe()
    try:
        size = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
        assert os.write(writer, b"x" * size) == size
        with launcher.popen(["bash", "-c", "printf '%60000s' x"], stdout=writer) as running:
            with pytest.raises(TimeoutError):
                running.wait(1)
            running.kill()
            assert running.wait(20)
    finally:
        os.close(reader)
        os.close(writer)


def write_much(running):
    """Write more than pipes hold, and say how that ended."""
    try:
        for _ in range(100):
            running.stdin.write(bytes(1 << 16))
    except BrokenPipeError:
        return "nobody reads"
    return "all was taken"


def test_who_writes_to_a_dead_payload_is_told_so(launcher):
    """Its output is still to be taken: two programs that talk with each other would wait for each other for ever."""
    with launcher.popen(["yes"], stdin=PIPE, stdout=PIPE, wall="300ms") as running:
        told = []
        writer = threading.Thread(target=lambda: told.append(write_much(running)), daemon=True)
        writer.start()
        writer.join(20)
        assert told == ["nobody reads"], "nobody has taken the output yet"
        assert running.stdout.read(2) == b"y\n"


def test_orders_to_a_run_that_has_ended_reach_no_other(launcher):
    for _ in range(20):
        first = launcher.popen(["true"])
        threads = [threading.Thread(target=first.kill) for _ in range(4)]
        for thread in threads:
            thread.start()
        first.wait()
        done = launcher.run(["echo", "x"])
        for thread in threads:
            thread.join()
        first.kill()
        first.terminate()
        assert (done.verdict, done.stdout) == ("ok", b"x\n")


def test_many_orders(launcher):
    with launcher.popen(["sleep", "60"]) as running:
        for _ in range(2000):
            running.kill()
        assert running.wait(20).verdict == "cancelled"
    assert launcher.run(["true"]).verdict == "ok"


def test_a_launch_that_fails_is_told_by_wait(launcher):
    running = launcher.popen(["no-such-program"], stdout=PIPE)
    assert running.stdout.read() == b""
    for _ in range(2):
        with pytest.raises(jailpy.CommandError):
            running.wait()
    with pytest.raises(jailpy.CommandError):
        running.poll()
    running.stdout.close()


def test_a_run_that_nobody_refers_to_is_killed():
    command, word = sleeper()
    with jailpy.Launcher() as launcher:
        running = launcher.popen(command, stdout=PIPE)
        assert eventually(lambda: alive(word))
        del running
        gc.collect()
        assert eventually(lambda: not alive(word))
        assert launcher.stats()["verdicts"] == {"cancelled": 1}


def test_a_run_keeps_its_launcher_alive():
    running = jailpy.Launcher().popen(["sh", "-c", "sleep 0.3; echo x"], stdout=PIPE)
    gc.collect()
    assert running.stdout.read() == b"x\n"
    assert running.wait().verdict == "ok"
    running.stdout.close()


def test_stats_tell_the_truth(no_server_left):
    with jailpy.Launcher() as launcher:
        assert launcher.stats() == {
            "started": 0, "running": 0, "ended": 0, "failed": 0, "pooled": 0, "verdicts": {}, "server_starts": 0,
        }  # fmt: skip
        launcher.run(["false"])
        with pytest.raises(jailpy.CommandError):
            launcher.run(["no-such-program"])
        with pytest.raises(jailpy.UsageError):
            launcher.run([])
        quick, slow = launcher.popen(["true"]), launcher.popen(["sleep", "60"])
        assert launcher.stats()["started"] == 5
        assert eventually(lambda: launcher.stats()["ended"] == 2)  # nobody has asked for `quick`
        assert launcher.stats()["running"] == 1
        slow.kill()
        assert eventually(lambda: launcher.stats()["running"] == 0)
        assert launcher.stats() == {
            "started": 5, "running": 0, "ended": 3, "failed": 2, "pooled": 0, "server_starts": 1,
            "verdicts": {"nonzero_exit": 1, "ok": 1, "cancelled": 1},
        }  # fmt: skip
        assert quick.poll() == 0


class _Collecting(dict):
    """Has Python look for garbage while it is copied, as may happen whenever a container is made."""

    def keys(self):
        gc.collect()
        return super().keys()

    def __iter__(self):
        return iter(self.keys())


def test_a_run_that_is_collected_while_runs_are_counted(no_server_left):
    gc.disable()
    try:
        with jailpy.Launcher() as launcher:
            cycle = [launcher.popen(["sleep", "60"])]
            cycle.append(cycle)
            del cycle
            stats = launcher._server.stats
            stats._verdicts = _Collecting()
            told = []
            asking = threading.Thread(target=lambda: told.append(stats.report()), daemon=True)
            asking.start()
            asking.join(20)
            assert told, "its end was counted while it was being counted"
            assert launcher.stats()["verdicts"] == {"cancelled": 1}
    finally:
        gc.enable()


def test_closing_kills_what_runs_and_says_so(no_server_left):
    results = []
    launcher = jailpy.Launcher()
    threads = [threading.Thread(target=lambda: results.append(launcher.run(["sleep", "60"]))) for _ in range(3)]
    for thread in threads:
        thread.start()
    held = launcher.popen(["yes"], stdout=PIPE)
    eventually(lambda: launcher.stats()["running"] == 4)
    time.sleep(0.3)
    began = time.monotonic()
    launcher.close()
    for thread in threads:
        thread.join(10 * PATIENCE)
    assert time.monotonic() - began < 8 * PATIENCE
    assert [done.verdict for done in results] == ["cancelled"] * 3
    assert held.wait(5).verdict == "cancelled"
    held.stdout.close()
    launcher.close()
    with pytest.raises(jailpy.UsageError, match="launcher is closed"):
        launcher.run(["true"])
    assert launcher.stats()["running"] == 0


def test_closing_while_runs_are_being_started(no_server_left):
    """Whatever the moment: a report, or a word that the launcher is closed."""
    for pause in (0.0, 0.05, 0.15, 0.25, 0.35):
        launcher, ends = jailpy.Launcher(), []

        def work(launcher=launcher, ends=ends):
            try:
                while True:
                    ends.append(launcher.run(["true"]).verdict)
            except jailpy.UsageError as error:
                ends.append(str(error))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(pause)
        launcher.close()
        for thread in threads:
            thread.join(20)
        assert ends.count("the launcher is closed") == 3
        assert set(ends) <= {"the launcher is closed", "ok", "cancelled"}
