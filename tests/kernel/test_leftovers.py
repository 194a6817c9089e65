"""Cgroups that a killed launcher left: the next start kills what is in them and removes them, and touches nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from jailpy.host import facts
from jailpy.launcher import cgroups
from tests.core import PATIENCE, alive, eventually, execute, groups_of, start, token


@pytest.fixture
def bases():
    """Return the folders in which runs of this account get their groups."""
    found = facts.gather().cgroups
    if found.via or not found.bases:
        pytest.skip("no folder of this account takes cgroups without a scope")
    return [base.path for base in found.bases]


@pytest.fixture
def make(bases):
    """Make groups in the first base; remove what is left of them."""
    made = []

    def folder(name):
        path = f"{bases[0]}/{name}"
        os.mkdir(path)
        made.append(path)
        return path

    yield folder
    for path in made:
        if os.path.isdir(path):
            os.rmdir(path)


@pytest.fixture
def dead():
    """Return the pid and start time of a process that has ended."""
    with subprocess.Popen(["sleep", "60"]) as process:
        found = process.pid, cgroups.start_time(process.pid)
        process.kill()
    return found


def test_the_next_start_removes_what_a_dead_launcher_left(jailpy, make, dead):
    path = make(cgroups.name_for(*dead, 1))
    assert execute(jailpy, "--", "true").status == 0
    assert not os.path.exists(path)


def test_processes_left_there_are_killed(jailpy, make, dead):
    path = make(cgroups.name_for(*dead, 1))
    word = token()
    with subprocess.Popen(["sh", "-c", "sleep 300 & sleep 300", word], start_new_session=True) as process:
        try:
            for pid in (process.pid, *alive(word)):
                with open(f"{path}/cgroup.procs", "w", encoding="ascii") as file:
                    file.write(str(pid))
        except PermissionError:
            process.kill()
            pytest.skip("this account may not move processes of its own between groups")
        assert execute(jailpy, "--", "true").status == 0
        assert process.wait(timeout=10) == -signal.SIGKILL
    assert not os.path.exists(path)
    assert alive(word) == []


@pytest.mark.parametrize(
    "name", ["jailpy-1-2", "jailpy-a-1-1-1", "jailpy", "jailpy-1-1-1-1-1", "other-1-1-1-1", "jailpy--1-1-1-1", "jailpy-1-1-1-1"]
)
def test_other_names_are_left_alone(jailpy, make, name):
    path = make(name)
    assert execute(jailpy, "--", "true").status == 0
    assert os.path.isdir(path)


def test_the_group_of_a_living_launcher_is_left_alone(jailpy, make):
    mine = make(cgroups.name_for(os.getpid(), cgroups.start_time("self"), 77))
    recycled = make(cgroups.name_for(os.getpid(), "1", 77))
    assert execute(jailpy, "--", "true").status == 0
    assert os.path.isdir(mine)
    assert not os.path.exists(recycled), "a number that was given again belongs to another process"


def test_a_run_that_goes_on_is_left_alone(jailpy):
    with start(jailpy, "--", "sh", "-c", "echo up; read x; echo end", stdin=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        before = groups_of(process.pid)
        assert before
        assert execute(jailpy, "--", "true").status == 0
        assert groups_of(process.pid) == before
        out, _ = process.communicate(b"\n", timeout=20)
    assert (process.returncode, out) == (0, b"end\n")


def test_a_killed_launchers_groups_stay_until_the_next_start(jailpy):
    word = token()
    with start(jailpy, "--", "sh", "-c", "echo up; sleep 60", word) as process:
        assert process.stdout.readline() == b"up\n"
        groups = groups_of(process.pid)
        assert groups
        process.kill()
    assert eventually(lambda: alive(word) == [])
    if ".scope/" not in groups[0]:  # an empty scope systemd removes
        assert groups_of(process.pid), "the control: there is something to remove"
    assert execute(jailpy, "--", "true").status == 0
    assert groups_of(process.pid) == []


def test_leftovers_cost_no_descriptors(make, dead, bases):
    make(cgroups.name_for(*dead, 1))
    before = os.listdir("/proc/self/fd")
    cgroups.collect_leftovers(bases[0])
    assert os.listdir("/proc/self/fd") == before


def nest(path, count, name):
    """Make groups in groups; paths of the inner ones may be longer than the kernel takes."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(count):
        os.mkdir(name, dir_fd=folder)
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
        os.close(folder)
        folder = inner
    for _ in range(count):
        outer = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
        os.close(folder)
        folder = outer
        yield
        os.rmdir(name, dir_fd=folder)
    os.close(folder)


@pytest.mark.parametrize(("count", "name"), [(1100, "d"), (25, "d" * 200)], ids=["deep", "long"])
def test_a_group_that_is_deeper_than_ours_keeps_no_run_from_starting(make, dead, bases, count, name):
    """Whoever shares the folder may give its groups such names, and put into them what it likes."""
    path = make(cgroups.name_for(*dead, 1))
    groups = nest(path, count, name)
    next(groups)
    try:
        began = time.monotonic()
        cgroups.collect_leftovers(bases[0])
        assert time.monotonic() - began < 2 * PATIENCE
        assert os.path.isdir(path)
    finally:
        for _ in groups:
            pass
    cgroups.collect_leftovers(bases[0])
    assert not os.path.exists(path)


@pytest.fixture
def unified():
    """Return a version 2 folder of this account."""
    found = [base.path for base in facts.gather().cgroups.bases if base.version == 2 and os.access(base.path, os.W_OK)]
    if not found:
        pytest.skip("no version 2 group of this account")
    folder = f"{found[0]}/shared-{token()}"
    os.mkdir(folder)
    yield folder
    os.rmdir(folder)


def test_a_group_of_threads_keeps_no_run_from_starting(unified, dead):
    """Its cgroup.procs cannot be read (cgroups(7), EOPNOTSUPP)."""
    path = f"{unified}/{cgroups.name_for(*dead, 1)}"
    os.makedirs(f"{path}/threads")
    try:
        with open(f"{path}/threads/cgroup.type", "w", encoding="ascii") as file:
            file.write("threaded")
        with pytest.raises(OSError, match="not supported"), open(f"{path}/threads/cgroup.procs", encoding="ascii") as file:
            file.read()
        cgroups.collect_leftovers(unified)
    finally:
        os.rmdir(f"{path}/threads")
        os.rmdir(path)


@pytest.mark.root
def test_a_process_without_a_number_here_keeps_no_run_from_starting(unified):
    """To whom is in an inner pid namespace cgroup.procs shows an outer process as 0 (cgroups(7))."""
    script = f"""
from jailpy.launcher import cgroups
print(cgroups._pid_namespace(), flush=True)
cgroups._kill_all = lambda path: None  # as before Linux 5.14, where processes are killed one by one
input()
cgroups.collect_leftovers({unified!r})
"""
    words = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", script]
    with (
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as inside,
        subprocess.Popen(["sleep", "60"]) as process,
    ):
        try:
            path = f"{unified}/jailpy-{2**22 + 1}-1-{inside.stdout.readline().decode().strip()}-1"
            os.mkdir(path)
            with open(f"{path}/cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(process.pid))
            inside.communicate(b"\n", timeout=20)
            assert inside.returncode == 0
        finally:
            inside.kill()
            process.kill()
            process.wait()
            if os.path.isdir(path):
                assert eventually(lambda: not open_groups(path))
                os.rmdir(path)


def open_groups(path):
    with open(f"{path}/cgroup.procs", encoding="ascii") as file:
        return file.read()


def test_a_group_that_stays_busy_is_an_error(make):
    """Removal waits for two seconds at most."""
    path = make("jailpy-busy")
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            with open(f"{path}/cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(process.pid))
        except PermissionError:
            process.kill()
            pytest.skip("this account may not move processes of its own between groups")
        groups = cgroups.RunCgroups("jailpy-busy")
        groups.groups.append(cgroups.Group(path=path, controllers=(), version=2))
        began = time.monotonic()
        with pytest.raises(OSError, match="busy"):
            groups.remove()
        assert 1.5 < time.monotonic() - began < 2 + 3 * PATIENCE
        process.kill()
        process.wait()
    groups.remove()
    assert not os.path.exists(path)
