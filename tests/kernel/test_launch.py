"""The launch protocol: a fault at every single step, layers that do not hold, limits that do not read back, many runs."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import pytest

from tests.core import KERNEL

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DRIVER = os.path.join(ROOT, "tests", "kernel", "faulty.py")


def drive(*words, timeout=110):
    """Run tests/kernel/faulty.py; return its lines."""
    done = subprocess.run(
        [sys.executable, "-P", DRIVER, *map(str, words)],
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def shown(tmp_path):
    for name in ("ro", "cow", "put"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    return tmp_path


def untouched(found):
    assert (found["children"], found["groups"], found["leaked"]) == (False, [], []), found


def runs(found):
    assert (found.get("verdict"), found["out"]) == ("ok", "ran\n"), found
    untouched(found)


def test_a_fault_at_every_step_stops_the_launch(shown):
    first, *faults, last = drive("steps", shown)
    runs(first)
    assert len(faults) > 60
    kinds = {fault["kind"] for fault in faults}
    assert kinds >= {"MakeCgroup", "SetCgroupLimit", "CloneNamespaces", "MapIds", "ChangeRoot", "DropCapabilities", "NoNewPrivs",
                     "SetRlimit", "RestrictLandlock", "LoadFilter", "CopyTree", "LoopbackUp", "SetStdio"}  # fmt: skip
    assert "NewOverlay" in kinds or KERNEL < (6, 6), "no user.* xattrs on tmpfs there: the folder is copied"
    for fault in faults:
        untouched(fault)
        assert fault["out"] == "", "the payload did not run"
        if fault["kind"] == "Execute":
            assert (fault["error"], fault["errno"], fault["status"]) == ("CommandError", errno.EXFULL, 126)
            continue
        assert fault["error"] == "LaunchError", fault
        assert (fault["layer"], fault["step"], fault["errno"]) == (fault["of"], fault["words"], errno.EXFULL)
        assert fault["message"] == f"{fault['of']}: could not {fault['words']}: Exchange full", fault
        assert fault["status"] == 125
    runs(last)


def test_a_bug_at_every_step_stops_the_launch(shown):
    first, *faults, last = drive("bugs", shown)
    runs(first)
    for fault in faults:
        untouched(fault)
        assert fault["out"] == ""
        assert fault["status"] == 125
        if fault["side"] != "launcher":
            assert fault["error"] == "InternalError", fault
            assert fault["words"] in fault["message"]
    runs(last)


def test_why_init_died_is_told_whatever_the_launcher_was_about_to_do():
    """The kernel tells of that before what init said last. And an ordinary user cannot map the ids of one that has ended."""
    *faults, control = drive("unread")
    assert len(faults) == 2
    for fault in faults:
        untouched(fault)
        assert (fault["step"], fault["errno"], fault["out"]) == ("wait for the id maps", errno.EXFULL, "")
    runs(control)


def test_a_layer_that_does_not_hold_is_noticed():
    *faults, control = drive("sabotage")
    runs(control)
    for fault in faults:
        untouched(fault)
        layer = fault["name"].split()[0]
        if layer == "cgroup" and "verdict" in fault:
            continue  # only version 2 here: clone3 started init in its group, there is no JoinCgroup to leave out
        if layer == "user" and os.geteuid() != 0:
            continue  # the one id of the map is the caller's own: there is nothing to become
        assert fault.get("error") == "LaunchError", fault
        assert fault["out"] == ""
        expected = {"no-new-privs": {"landlock", "seccomp"}, "user": {"user", "mount"}}.get(
            layer, {layer}
        )  # the kernel refuses the next
        assert fault["layer"] in expected, fault


def test_an_init_that_does_what_it_never_does_is_killed():
    """The controls: an init that does nothing more, and one without its filter."""
    found = {(fault["name"], fault["filtered"]): fault for fault in drive("strays")}
    for (name, filtered), fault in found.items():
        untouched(fault)
        if filtered and name != "nothing":
            assert (fault["error"], fault["message"], fault["out"]) == ("LaunchError", "init died while setting up", ""), fault
        else:
            assert "error" not in fault
    assert len(found) == 10
    runs(found["nothing", True])


def test_a_limit_that_does_not_read_back_stops_the_launch():
    *faults, control = drive("readback")
    runs(control)
    assert {fault["file"] for fault in faults} >= {"pids.max"}
    for fault in faults:
        untouched(fault)
        assert (fault["error"], fault["layer"], fault["out"]) == ("LaunchError", "cgroup", ""), fault
        assert "reads back max" in fault["message"]
        assert fault["step"] == fault["words"]


def test_many_runs_in_one_process_leak_nothing():
    early, late = drive("repeat", 55)
    runs({**early, "groups": []})
    runs({**late, "groups": []})
    assert late["fds"] == early["fds"]
    assert late["peak"] - early["peak"] < 2048, "KiB"
    assert late["frozen"] == early["frozen"] == 0
    assert late["groups"] == os.getgroups(), "the caller keeps its groups"
