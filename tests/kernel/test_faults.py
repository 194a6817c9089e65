"""Death at any moment: launcher, init or payload killed with SIGKILL while a run starts, runs or ends. Nothing may be left."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

import pytest

from tests.core import PYTHON, alive, eventually, execute, groups_of, mounts, python, start, token

pytestmark = pytest.mark.usefixtures("python3")
SEED = 20260101
ROUNDS = 24
SCRIPT = "import os,time\nos.fork()\nos.setsid() if os.getpid()%2 else None\ntime.sleep(0.05)"


@pytest.fixture
def python3(need_tool):
    return need_tool("python3")


def children(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]
    return []


def payload_of(launcher):
    return next((pid for init in children(launcher) for pid in children(init)), None)


def init_of(launcher):
    return next(iter(children(launcher)), None)


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("part", range(3))
def test_the_launcher_killed_at_any_moment(jailpy, part):
    """A jail dies with its launcher; what the kernel keeps of it is removed by the next start."""
    moments = random.Random(SEED + part)
    launchers = []
    for _ in range(ROUNDS):
        word = token()
        with start(jailpy, "--", PYTHON, "-c", SCRIPT, word) as process:
            time.sleep(moments.uniform(0, 0.16))
            process.kill()
        launchers.append(process.pid)
        assert eventually(lambda word=word: alive(word) == []), "a jail outlived its launcher"
    done = execute(jailpy, "--", "true")
    assert done.status == 0, done.err
    left = [group for launcher in launchers for group in groups_of(launcher)]
    assert left == []
    assert mounts() == []


@pytest.mark.parametrize("whom", ["init", "payload"])
def test_init_or_the_payload_killed_at_any_moment(jailpy, whom):
    """JailPy says what happened in words, with its own status, and leaves nothing."""
    find = {"init": init_of, "payload": payload_of}[whom]
    moments = random.Random(SEED)
    statuses = set()
    for _ in range(ROUNDS):
        word = token()
        with start(jailpy, "--", PYTHON, "-c", SCRIPT.replace("0.05", "0.3"), word) as process:
            victim = eventually(lambda process=process: find(process.pid), 5)
            time.sleep(moments.uniform(0, 0.05))
            if victim:
                kill(victim)
            _, err = process.communicate(timeout=20)
        statuses.add(process.returncode)
        assert b"Traceback" not in err, err
        assert b"bug" not in err, err
        assert process.returncode in {"init": (125,), "payload": (125, 137)}[whom], err
        assert alive(word) == []
        assert groups_of(process.pid) == []
    assert statuses


def test_init_killed_while_running_is_told(jailpy):
    word = token()
    with start(jailpy, "--report", "-", "-q", *python("print('x',flush=True); import time; time.sleep(60)", word)) as process:
        assert process.stdout.read(1) == b"x"
        kill(init_of(process.pid))
        _, err = process.communicate(timeout=20)
    assert process.returncode == 125
    assert b'"verdict": "internal_error"' in err
    assert b"init was killed from outside" in err
    assert alive(word) == []


def test_the_payload_killed_from_outside_died_of_a_signal(jailpy):
    with start(jailpy, "--report", "-", "-q", *python("print('x',flush=True); import time; time.sleep(60)")) as process:
        assert process.stdout.read(1) == b"x"
        kill(payload_of(process.pid))
        _, err = process.communicate(timeout=20)
    assert process.returncode == 137
    assert b'"verdict": "signaled"' in err


def test_a_stopped_launcher_continues(jailpy):
    with start(jailpy, "--wall", "20s", *python("print('x',flush=True); import time; time.sleep(0.3); print('y')")) as process:
        assert process.stdout.read(1) == b"x"
        process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, b"\ny\n"), err


def test_many_at_the_same_time(jailpy):
    """Runs beside each other share no name and no group, and each removes its own."""
    running = [start(jailpy, "--", "sh", "-c", f"sleep 0.{number}; echo {number}; exit {number}") for number in range(8)]
    for number, process in enumerate(running):
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (number, f"{number}\n".encode()), err
        assert groups_of(process.pid) == []
