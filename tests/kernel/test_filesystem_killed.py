"""kill -9 of the launcher at any moment: no file, no mount, no process; its cgroups go with the next start."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.core import alive, eventually, execute, groups_of, start, token
from tests.kernel.test_filesystem import tree_of

ROUNDS = 60


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    for number in range(200):
        (tmp_path / "data" / "sub" / f"f{number}").write_text("x" * 1000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mountinfo():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return sorted(file)


def test_kill_9_at_random_moments(jailpy, here):
    before, mounted = tree_of(here), mountinfo()
    done = execute(jailpy, "--put", "data", "--", "/bin/true")
    longest = done.seconds * 1.5
    random.seed(20)
    killed = []
    for _ in range(ROUNDS):
        word = token()
        options = [
            "--put",
            "data",
            "--cow",
            "data:/c",
            "--ro",
            "data:/r",
            "--rw",
            "data:/w",
            "--get",
            "copy:out/copy",
            "--get",
            "made:out",
        ]
        script = f"cp -r data copy; touch made; sleep 9 # {word}"
        process = start(jailpy, *options, "--", "/bin/sh", "-c", script)
        time.sleep(random.uniform(0, longest))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        killed.append(process.pid)
        assert eventually(lambda word=word: not alive(word)), "a process outlived the launcher"
        assert mountinfo() == mounted
    assert tree_of(here) == before
    execute(jailpy, "--", "/bin/true")
    assert [group for pid in killed for group in groups_of(pid)] == []


def test_kill_9_while_collecting(jailpy, here):
    """DEST holds the old file or the new one; nothing else is left beside it, for the copy had no name."""
    (here / "out" / "big").write_text("old")
    script = "head -c 60000000 /dev/zero > big"
    for _ in range(12):
        process = start(jailpy, "--get", "big:out/big", "--", "/bin/sh", "-c", script)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and process.poll() is None and not _writes(process.pid, here / "out"):
            time.sleep(0.0005)
        process.kill()
        process.communicate()
        assert os.listdir(here / "out") == ["big"]
        assert (here / "out" / "big").stat().st_size in (3, 60_000_000)
    execute(jailpy, "--", "/bin/true")


def _writes(pid, folder):
    """Say whether a process has a file of a folder open for writing, with a name or without."""
    try:
        found = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return False
    return any(path.startswith(f"{folder}/") for path in found)
