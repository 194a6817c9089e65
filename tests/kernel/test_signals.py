"""Signals to `jailpy exec`: forwarded once, a second's grace, then the end; what the payload does about them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from tests.core import PATIENCE, alive, eventually, groups_of, python, start, token

pytestmark = pytest.mark.usefixtures("python3")
READY = "import os,signal,sys,time\n{}\nos.write(1,b'ready')\nwhile True: time.sleep(0.05)  # short: a signal just before a sleep is seen after it"


@pytest.fixture
def python3(need_tool):
    return need_tool("python3")


def run(jailpy, tmp_path, body, *numbers, options=(), between=0.2):
    """Start a payload, wait until it is ready, send signals; return status, output, report and seconds after the first."""
    word, path = token(), tmp_path / "report.json"
    words = ["--report", path, *options, *python(READY.format(body), word)]
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with start(jailpy, *words, **ignoring) as process:
        assert process.stdout.read(5) == b"ready", process.stderr.read()
        began = time.monotonic()
        for number in numbers:
            process.send_signal(number)
            time.sleep(between)
        out, err = process.communicate(timeout=20)
        seconds = time.monotonic() - began
    assert alive(word) == []
    assert groups_of(process.pid) == []
    assert b"Traceback" not in err
    return process.returncode, out, json.loads(path.read_text()), seconds


CALLED = ["SIGINT", "SIGTERM", "SIGHUP"]


@pytest.mark.parametrize("name", CALLED)
def test_a_signal_ends_an_ordinary_payload_at_once(jailpy, tmp_path, name):
    number = getattr(signal, name)
    status, _, report, seconds = run(jailpy, tmp_path, f"signal.signal({int(number)}, 0)", number, between=0)
    assert status == 128 + number
    assert (report["verdict"], report["exit_code"], report["signal"]) == ("cancelled", None, int(number))
    assert report["evidence"]["source"] == f"signal {int(number)}"
    assert seconds < 0.9 * PATIENCE, "no grace was needed"


@pytest.mark.parametrize("name", CALLED)
def test_a_payload_that_ignores_it_has_one_second(jailpy, tmp_path, name):
    number = getattr(signal, name)
    status, _, report, seconds = run(jailpy, tmp_path, f"signal.signal({int(number)}, signal.SIG_IGN)", number)
    assert status == 128 + number
    assert (report["verdict"], report["signal"]) == ("cancelled", 9)
    assert 1.0 <= seconds < 1 + 1.5 * PATIENCE


def test_a_payload_that_tidies_up(jailpy, tmp_path):
    body = "def end(*_): os.write(1,b' tidy'); time.sleep(0.3); os.write(1,b' done'); os._exit(7)\nsignal.signal(15, end)"
    status, out, report, seconds = run(jailpy, tmp_path, body, signal.SIGTERM)
    assert (status, out) == (143, b" tidy done")
    assert (report["verdict"], report["exit_code"]) == ("cancelled", 7)
    assert 0.3 <= seconds < 1.5 * PATIENCE


@pytest.mark.parametrize("second", CALLED)
def test_it_is_forwarded_once(jailpy, tmp_path, second):
    """The payload counts: it sees one signal, whatever else comes, and the second of grace runs from the first."""
    numbers = signal.SIGTERM, getattr(signal, second), signal.SIGTERM
    body = "def count(n, _): os.write(1, b' %d' % n)\nfor n in (1,2,15): signal.signal(n, count)"
    status, out, report, seconds = run(jailpy, tmp_path, body, *numbers)
    assert (status, out, report["verdict"]) == (143, b" 15", "cancelled")
    assert 1.0 <= seconds < 1 + 1.5 * PATIENCE


def test_it_reaches_the_payloads_process_group(jailpy, tmp_path):
    body = "p=os.fork()\nif p==0:\n signal.signal(15,lambda *_:(os.write(1,b' child'),os._exit(0)))\n os.write(1,b'')\n"
    body += " while True: time.sleep(0.05)\nsignal.signal(15,lambda *_:(os.waitpid(p,0),os.write(1,b' parent'),os._exit(0)))"
    body += "\ntime.sleep(0.3)"
    status, out, _, _ = run(jailpy, tmp_path, body, signal.SIGTERM)
    assert (status, out) == (143, b" child parent")


def test_a_stopped_payload_is_ended_too(jailpy, tmp_path):
    word = token()
    with start(jailpy, "--wall", "30s", *python("import os; os.write(1,b'ready'); os.kill(os.getpid(),19)", word)) as process:
        assert process.stdout.read(5) == b"ready"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 143
    assert alive(word) == []


def test_a_limit_that_came_first_is_the_verdict(jailpy, tmp_path):
    ignore = "signal.signal(15, signal.SIG_IGN)"
    status, _, report, _ = run(
        jailpy, tmp_path, ignore, signal.SIGTERM, options=["--wall", f"{0.5 * PATIENCE}s"], between=PATIENCE
    )
    assert (status, report["verdict"]) in ((143, "cancelled"), (124, "wall_limit"))
    status, _, report, _ = run(jailpy, tmp_path, ignore, signal.SIGTERM, options=["--wall", "30s"])
    assert (status, report["verdict"]) == (143, "cancelled")


def test_signals_that_the_caller_ignores_stay_ignored(jailpy):
    """As nohup(1) and a shell's background jobs want it."""
    silent = {
        "preexec_fn": lambda: (signal.signal(signal.SIGINT, signal.SIG_IGN), signal.signal(signal.SIGHUP, signal.SIG_IGN))
    }
    with start(jailpy, *python("import os,time; os.write(1,b'ready'); time.sleep(1.2); print(' end')"), **silent) as process:
        assert process.stdout.read(5) == b"ready"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, b" end\n")


def test_other_signals_are_not_the_payloads(jailpy):
    with start(jailpy, *python("import os,time; os.write(1,b'ready'); time.sleep(0.7); print(' end')")) as process:
        assert process.stdout.read(5) == b"ready"
        process.send_signal(signal.SIGWINCH)
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, b" end\n")


def test_the_payload_starts_with_default_signals(jailpy):
    """Whatever the caller blocked or ignored."""

    def odd():
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGTERM})

    script = "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"
    with start(jailpy, "--", "sh", "-c", script, preexec_fn=odd) as process:
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    values = {line.split()[0]: int(line.split()[1], 16) for line in out.decode().splitlines()}
    assert values["SigBlk:"] == values["SigIgn:"] == 0, out


IGNORANT = """
import ctypes, os, sys
from jailpy import kernel
ignore = (ctypes.c_ulong * 4)(1)  # SIG_IGN in the kernel's struct sigaction, which libc's sigaction(2) does not write for these
for number in (32, 33):
    kernel.syscall(kernel.NUMBERS["rt_sigaction"], number, ctypes.byref(ignore), None, 8)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_what_libc_ignores_in_a_spawned_caller_is_not_ignored_in_the_jail():
    """posix_spawn(3) leaves SIGCANCEL and SIGSETXID ignored before glibc 2.41; subprocess uses it from Python 3.13 on."""

    def ignored(*command):
        found = subprocess.run([sys.executable, "-c", IGNORANT, *command], stdout=subprocess.PIPE, check=True).stdout
        return int(found.split()[1], 16)

    look = ("/bin/grep", "^SigIgn", "/proc/self/status")
    assert ignored(*look) >> 31 & 3 == 3  # the control
    assert ignored(sys.executable, "-m", "jailpy", "exec", "--", *look) == 0


def test_a_payload_cannot_signal_init_or_stop_it(jailpy):
    script = "import os\nfor n in (1,2,9,15,19,20):\n try: os.kill(1,n)\n except PermissionError: pass\nprint('on')"
    with start(jailpy, *python(script)) as process:
        out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, b"on\n")


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.3])
def test_a_killed_launcher_takes_the_jail_with_it(jailpy, delay):
    word = token()
    with start(
        jailpy, *python("import os,time\nos.setsid() if os.fork()==0 else 0\nos.write(1,b'x'); time.sleep(60)", word)
    ) as process:
        if delay:
            assert process.stdout.read(1) == b"x"
            time.sleep(delay)
            assert len(alive(word)) == 3
        process.kill()
        process.wait(timeout=10)
        assert eventually(lambda: alive(word) == [])
