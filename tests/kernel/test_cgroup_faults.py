"""Faults of D-Bus and of the cgroup tree: clear words, a bound on time, exit status 125, nothing left."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import threading
import time

import pytest

from jailpy.host.cgroups import SCOPE, Base, CgroupFacts
from jailpy.launcher import cgroups, scope
from jailpy.steps.cgroups import EnterScope, SetCgroupLimit
from tests.core import execute, groups_of, start

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STEP = EnterScope(SCOPE, ("memory", "pids"))
# Make every cgroup mount read-only, in a mount namespace of the test's own.
READ_ONLY = """for point in $(awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/self/mounts); do
    mount -o remount,bind,ro "$point" || exit 99
done; exec "$@" """
pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def bus(tmp_path, monkeypatch):
    """Start a D-Bus with a behaviour, and let JailPy take it for its user manager's; return its socket."""
    started = []
    monkeypatch.setattr(scope, "_TIMEOUT_S", 0.7)

    def make(behaviour):
        path = str(tmp_path / "bus")
        words = [sys.executable, "-P", f"{ROOT}/tests/fake_bus.py", behaviour, path]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ROOT})
        started.append(process)
        assert process.stdout.readline() == b"ready\n"
        monkeypatch.setattr(scope, "bus_path", lambda uid: path)
        return path

    yield make
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("behaviour", "number", "words"),
    [
        ("closed", errno.ECONNREFUSED, "Connection refused"),
        ("silent", errno.ETIMEDOUT, "no answer within"),
        ("hello", errno.ETIMEDOUT, "no answer within"),
        ("hangup", errno.ECONNRESET, "the connection was closed"),
        ("garbage", errno.EACCES, "what it says is not D-Bus"),
        ("flood", errno.EACCES, "far more was said than asked"),
        ("stranger", errno.EACCES, "does not let this account in"),
        ("refuse", errno.EACCES, r"Access denied, \x1b[31mreally\nno (org.freedesktop.DBus.Error.AccessDenied)"),
        ("lie", errno.ETIMEDOUT, "promised a scope and did not move the launcher there"),
    ],
)
def test_a_bus_that_misbehaves(bus, behaviour, number, words):
    path = bus(behaviour)
    before, descriptors = scope.folder_of_own(), os.listdir("/proc/self/fd")
    began = time.monotonic()
    with pytest.raises(OSError) as raised:
        scope.enter(STEP, cgroups.RunCgroups("jailpy-1-1-1-1"))
    assert time.monotonic() - began < 5
    assert raised.value.errno == number
    assert words in raised.value.strerror
    assert behaviour == "lie" or raised.value.strerror.startswith(f"{path}: ")
    assert scope.folder_of_own() == before, "the caller was not moved"
    assert os.listdir("/proc/self/fd") == descriptors


def test_a_bus_that_answers_is_understood(bus):
    """Control of the tests above: the same server says yes."""
    scope._ask(bus("lie"), "jailpy-1.scope")


def test_a_scope_that_cannot_be_had_ahead_is_left_to_the_runs(bus, monkeypatch):
    found = CgroupFacts(bases=(Base(SCOPE, ("memory", "pids"), 2),), own="", via="scope", missing=())
    monkeypatch.setattr(scope, "discover", lambda mounts, uid: found)
    bus("refuse")
    before = scope.folder_of_own()
    scope.enter_ahead()
    assert (scope.folder_of_own(), scope._entered) == (before, [])
    entered = []
    monkeypatch.setattr(scope, "enter", lambda step, groups: entered.append((step, groups.name)))
    scope.enter_ahead()
    assert entered[0][0] == STEP, "control: it asks"
    assert re.fullmatch(rf"jailpy-{os.getpid()}-\d+-\d+-0", entered[0][1])
    monkeypatch.setattr(scope, "discover", lambda mounts, uid: found.replace(via=""))
    scope.enter_ahead()
    assert len(entered) == 1, "a group is there already"


def test_a_host_that_cannot_be_looked_at_ahead_is_left_to_the_runs(monkeypatch):
    """Without /proc, say: the server must live to let a run tell it."""
    looked = []

    def discover(mounts, uid):
        looked.append(uid)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/proc/self/cgroup")

    monkeypatch.setattr(scope, "discover", discover)
    scope.enter_ahead()
    assert looked == [os.geteuid()]


def test_no_socket(tmp_path, monkeypatch):
    monkeypatch.setattr(scope, "bus_path", lambda uid: str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError):
        scope.enter(STEP, cgroups.RunCgroups("jailpy-1-1-1-1"))


def test_a_scope_without_the_controllers_is_not_taken(bus, monkeypatch, tmp_path):
    """The manager keeps its promise in name only: the group is there, the controllers are not."""
    (tmp_path / "cgroup.controllers").write_text("pids\n")
    monkeypatch.setattr(scope, "_new_scope", lambda before: str(tmp_path))
    with pytest.raises(OSError, match="no memory controller") as raised:
        scope.enter(STEP, cgroups.RunCgroups("jailpy-1-1-1-1"))
    assert raised.value.errno == errno.EOPNOTSUPP
    assert sorted(os.listdir(tmp_path)) == ["cgroup.controllers"]
    scope._entered.clear()


def test_a_process_in_a_scope_of_its_own_asks_no_second_time(monkeypatch, tmp_path):
    asked, entered = [], []
    (tmp_path / "cgroup.controllers").write_text("memory pids\n")
    monkeypatch.setattr(scope, "_new_scope", lambda before: asked.append(before) or str(tmp_path))
    monkeypatch.setattr(scope, "folder_of_own", lambda: f"{tmp_path}/leaf" if asked else "/elsewhere")
    monkeypatch.setattr(cgroups.RunCgroups, "enter_leaf", lambda self, folder, names: entered.append(folder))
    for _ in range(2):
        scope.enter(STEP, cgroups.RunCgroups("jailpy-1-1-1-1"))
    assert (asked, entered) == (["/elsewhere"], [str(tmp_path)] * 2)
    scope._entered.clear()


def namespace():
    return ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-Urm")


def test_a_read_only_tree_is_refused(jailpy):
    run = [*namespace(), "sh", "-c", READ_ONLY, "sh", jailpy, "exec", "--", "true"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60)
    assert done.returncode == 125
    assert "cgroup: the memory controller is missing: cgroups are mounted read-only here" in done.stderr
    assert "Traceback" not in done.stderr
    control = subprocess.run([*namespace(), jailpy, "exec", "--allow-missing", "cgroup", "--", "true"], timeout=60)
    assert control.returncode == 0


def test_io_without_its_controller_is_refused(jailpy):
    """Version 1, or a manager that keeps io for itself. Where io is delegated this is no fault: then it must start."""
    found = execute(jailpy, "--set", "limits.io=50M", "--", "true")
    layer = next(layer for layer in found.report["layers"] if layer["name"] == "cgroup") if found.status == 0 else None
    if layer is None:
        assert found.status == 125
        assert b"the io controller is missing" in found.err
        accepted = execute(jailpy, "--set", "limits.io=50M", "--allow-missing", "cgroup", "--", "true")
        assert accepted.status == 0
        layer = next(layer for layer in accepted.report["layers"] if layer["name"] == "cgroup")
        assert (layer["state"], "without io" in layer["mechanism"]) == ("degraded", True)
    else:
        assert "io" in layer["mechanism"]
    assert execute(jailpy, "--", "true").status == 0, "the control: nobody who does not ask for it needs it"


def test_what_reads_back_otherwise(tmp_path):
    """io.max has a line for each device, and words in an order of its own."""
    kept = "8:16 rbps=max wbps=4096 riops=max wiops=max\n8:0 rbps=4096 wbps=4096 riops=max wiops=max"
    assert cgroups.same(kept, "8:0 rbps=4096 wbps=4096")
    assert not cgroups.same(kept, "8:16 rbps=4096 wbps=4096")
    assert not cgroups.same(kept, "8:1 rbps=4096 wbps=4096")
    assert not cgroups.same("", "8:0 rbps=4096 wbps=4096")


def test_a_controller_that_went_away_is_named(tmp_path):
    groups = cgroups.RunCgroups("run")
    with pytest.raises(OSError, match=r"the group has no memory\.max") as raised:
        groups.limit(SetCgroupLimit(str(tmp_path), "memory.max", "1", True))
    assert raised.value.errno == errno.EOPNOTSUPP


def test_a_group_that_is_gone_kills_and_removes_nothing(tmp_path):
    groups = cgroups.RunCgroups("run")
    groups.groups.append(cgroups.Group(path=str(tmp_path / "gone"), controllers=(), version=2))
    groups.kill()
    groups.remove()
    assert groups.groups == []


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENOENT, errno.EBUSY, errno.EACCES])
def test_a_leftover_that_another_collects_is_left_alone(tmp_path, monkeypatch, number):
    def fails(path):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cgroups, "_leftovers", lambda parent: [str(tmp_path)])
    monkeypatch.setattr(cgroups, "_kill_all", fails)
    cgroups.collect_leftovers(str(tmp_path))
    monkeypatch.setattr(cgroups, "_kill_all", lambda path: fails_with_io_error())

    def fails_with_io_error():
        raise OSError(errno.EIO, "input/output error")

    with pytest.raises(OSError, match="input/output"):
        cgroups.collect_leftovers(str(tmp_path))


def test_launchers_at_once_collect_one_dead_launchers_leftovers(jailpy):
    """Six start together where a killed one left its group: none disturbs another, nothing is left."""
    with start(jailpy, "--", "sh", "-c", "echo up; sleep 60") as dead:
        assert dead.stdout.readline() == b"up\n"
        dead.kill()
    results = []
    threads = [threading.Thread(target=lambda: results.append(execute(jailpy, "--", "true").status)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0] * 6
    assert groups_of(dead.pid) == []
