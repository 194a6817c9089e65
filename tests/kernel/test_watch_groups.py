"""A run's cgroups meddled with while it runs, by their owner: it is noticed, said, and no number is false. Nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import types

import pytest

from tests.core import PATIENCE, PYTHON, alive, eventually, groups_of, start, token

pytestmark = pytest.mark.usefixtures("python3")
SLEEP = "print('x',flush=True); import time; time.sleep({})"
BURN = "print('x',flush=True)\nimport time\ntime.sleep(.3)\nend=time.process_time()+.6\nwhile time.process_time()<end: pass"


@pytest.fixture
def python3(need_tool):
    return need_tool("python3")


def members(group):
    with open(f"{group}/cgroup.procs", encoding="ascii") as file:
        return file.read().split()


def write(path, value):
    with open(path, "w", encoding="ascii") as file:
        file.write(value)


def elsewhere(group):
    """Return a group beside another. The one above may hold no processes in version 2."""
    return "{}/elsewhere-{}".format(*os.path.split(group))


def move_out(groups, only=slice(None)):
    for group in groups:
        os.mkdir(elsewhere(group))
        for pid in members(group)[only]:
            write(f"{elsewhere(group)}/cgroup.procs", pid)


def remove(groups):
    move_out(groups)
    for group in groups:
        os.rmdir(group)


def loosen(groups):
    for group in groups:
        for name, value in (("memory.memsw.limit_in_bytes", "1G"), ("memory.limit_in_bytes", "512M"), ("memory.max", "512M")):
            if os.path.exists(f"{group}/{name}"):
                write(f"{group}/{name}", value)


def meddled(jailpy, tmp_path, meddle, script, *options):
    """Start a run, do something to its groups once the payload runs, and return how it ended."""
    path, word = tmp_path / "report.json", token()
    with start(jailpy, "-q", "--report", path, *options, "--", PYTHON, "-I", "-c", script, word) as process:
        assert process.stdout.read(1) == b"x"
        groups = groups_of(process.pid)
        assert groups
        meddle(groups)
        process.communicate(timeout=30)
        for group in groups:
            with contextlib.suppress(FileNotFoundError):  # not made, or systemd has removed the scope with it
                os.rmdir(elsewhere(group))
    report = json.loads(path.read_text())
    assert alive(word) == []
    return types.SimpleNamespace(
        status=process.returncode, report=report, verdict=report["verdict"], usage=report["usage"], pid=process.pid,
        state=next(layer["state"] for layer in report["layers"] if layer["name"] == "cgroup"),
        notes=[note for note in report["notes"] if note.startswith("cgroup: ")], left=groups_of(process.pid),
    )  # fmt: skip


def test_left_alone_nothing_is_said(jailpy, tmp_path):
    done = meddled(jailpy, tmp_path, lambda groups: None, SLEEP.format(1.3))
    assert (done.verdict, done.state, done.notes, done.left) == ("ok", "enforced", [], [])
    assert done.usage["memory_peak_bytes"] > 0
    assert "cgroup" in done.usage["sources"]["cpu_s"]


@pytest.mark.parametrize("script", [SLEEP.format(1.3), BURN], ids=["sleeping", "burning"])
@pytest.mark.parametrize("who", ["all", "the payload"])
def test_processes_moved_out(jailpy, tmp_path, script, who):
    only = slice(None) if who == "all" else slice(-1, None)
    done = meddled(jailpy, tmp_path, lambda groups: move_out(groups, only), script)
    assert (done.verdict, done.state, done.left) == ("ok", "degraded", [])
    assert len(done.notes) == 1
    assert (done.usage["memory_peak_bytes"], done.usage["processes_peak"], done.usage["memory"]) == (None, None, None)
    assert done.usage["sources"]["cpu_s"] == "wait4 rusage of init and all that ended before it"
    assert done.usage["cpu_s"] > (0.6 if script == BURN else 0)


@pytest.mark.parametrize("options", [(), ("--wall", f"{PATIENCE}s")], ids=["ends by itself", "is ended"])
def test_groups_removed(jailpy, tmp_path, options):
    done = meddled(jailpy, tmp_path, remove, SLEEP.format(60 if options else 0.5), *options)
    assert (done.verdict, done.status) == (("wall_limit", 124) if options else ("ok", 0))
    assert (done.state, done.left) == ("degraded", [])
    assert "cgroup: its cgroup was removed" in done.notes
    assert done.usage["memory_peak_bytes"] is None
    assert (done.usage["cpu_s"] is None) == bool(options), "what is killed with init is in nobody's sum"


def test_limits_written_anew(jailpy, tmp_path):
    done = meddled(jailpy, tmp_path, loosen, SLEEP.format(0.5))
    assert (done.verdict, done.state, done.left) == ("ok", "degraded", [])
    assert any("is 536870912 at the end, 268435456 was written" in note for note in done.notes)
    assert done.usage["memory_peak_bytes"] > 0, "the run was in its group: the number holds"


def test_a_stranger_in_the_group(jailpy, tmp_path):
    """Its owner may put a process of his own there: it is said, no number is taken for the run's, and the group is left."""
    with subprocess.Popen(["sleep", "60"]) as squatter:

        def squat(groups):
            for group in groups:
                write(f"{group}/cgroup.procs", str(squatter.pid))

        done = meddled(jailpy, tmp_path, squat, SLEEP.format(0.3))
        squatter.kill()  # the next start of anybody's JailPy would do so, and remove the group
    assert (done.verdict, done.state) == ("ok", "degraded")
    assert "cgroup: processes that are not the run's are in its cgroup" in done.notes
    assert any("could not be removed" in note for note in done.notes)
    assert done.usage["memory_peak_bytes"] is None
    for group in done.left:
        with contextlib.suppress(FileNotFoundError):
            eventually(lambda group=group: not members(group))
            os.rmdir(group)
