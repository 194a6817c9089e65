"""Processes out of a made-up /proc: who belongs to the run, and what their CPU time adds up to when some end unseen."""

from __future__ import annotations

import os
import shutil
import types

import pytest

from jailpy.steps.cgroups import SampleProcesses
from jailpy.supervisor import processes, sampling
from jailpy.supervisor.processes import CpuTime, Descendants, Memory, Process, parse_stat

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
INIT = 100


class Proc:
    """A folder with the files of processes."""

    def __init__(self, folder):
        self.folder = folder

    def add(self, pid, parent, times=(0, 0, 0, 0), name="prog", **shown):
        (self.folder / str(pid)).mkdir(exist_ok=True)
        after = f"S {parent} 1 1 0 -1 0 0 0 0 0 {' '.join(map(str, times))} 20 0 3 0 {pid * 7} 0 0"
        (self.folder / str(pid) / "stat").write_text(f"{pid} ({name}) {after}\n")
        text = "".join(f"{key}:\t{value} kB\n" for key, value in shown.items())
        for file in ("status", "smaps_rollup"):
            (self.folder / str(pid) / file).write_text("Name:\tprog\n" + text)

    def end(self, pid):
        shutil.rmtree(self.folder / str(pid))


@pytest.fixture
def proc(tmp_path):
    made = Proc(tmp_path)
    (tmp_path / "self").symlink_to("1")
    for pid, parent in ((1, 0), (50, 1), (60, 50), (INIT, 50), (101, INIT), (102, 101), (103, 60)):
        made.add(pid, parent)
    return made


def looker(proc):
    return Descendants(INIT, str(proc.folder))


@pytest.mark.parametrize("name", ["a b", "x) S 1 (y", "()", ") "])
def test_a_name_may_hold_anything(proc, name):
    proc.add(104, INIT, (5, 6, 7, 8), name)
    with open(proc.folder / "104" / "stat", encoding="utf-8") as file:
        assert parse_stat(104, file.read()) == Process(104, INIT, 5, 6, 7, 8, 3, 728)


def test_the_family_is_init_and_below(proc):
    assert set(looker(proc).look()) == {INIT, 101, 102}


def test_newcomers_orphans_and_recycled_numbers(proc):
    family = looker(proc)
    family.look()
    proc.add(90, 102)  # numbers start over at some time
    proc.end(101)
    proc.add(102, INIT)  # orphaned, init adopts it
    assert set(family.look()) == {INIT, 102, 90}
    proc.end(60)
    family.look()
    proc.add(60, 102)
    assert 60 in family.look(), "a number that was seen elsewhere, ended, and is given to the run"


def test_a_number_taken_over_between_two_looks_is_found_in_time(proc):
    family = looker(proc)
    family.look()
    proc.add(103, INIT)  # it never was missing from a listing
    assert 103 not in family.look()
    assert any(103 in family.look() for _ in range(70))


def test_a_child_whose_parent_was_missed_is_not_given_up(proc):
    family = looker(proc)
    proc.add(111, 110)
    assert 111 not in family.look()
    proc.add(110, 101)
    assert {110, 111} <= set(family.look())


def test_memory_of_a_process(proc):
    family = looker(proc)
    proc.add(101, INIT, RssAnon=100, RssFile=999, RssShmem=20, VmSwap=3, Pss_Anon=50, Pss_Shmem=10, SwapPss=1)
    assert family.memory(101) == Memory(100 << 10, 20 << 10, 3 << 10)
    assert family.share(101) == Memory(50 << 10, 10 << 10, 1 << 10)
    assert family.memory(999) == family.share(999) == Memory(0, 0, 0), "ended"
    assert family.memory(1) == Memory(0, 0, 0), "a process without memory: a zombie"


def test_memory_behind_a_first_thread_that_has_ended(proc):
    """/proc/PID shows a zombie then, /proc/PID/task names the others, and /proc/TID shows what they have."""
    proc.add(104, INIT)
    (proc.folder / "104" / "task").mkdir()
    for thread in (104, 105, 106):
        (proc.folder / "104" / "task" / str(thread)).mkdir()
    proc.add(106, INIT, RssAnon=7, Pss_Anon=5)
    assert looker(proc).memory(104) == Memory(7 << 10, 0, 0)
    assert looker(proc).share(104) == Memory(5 << 10, 0, 0)
    proc.end(106)
    assert looker(proc).memory(104) == looker(proc).share(104) == Memory(0, 0, 0)


@pytest.mark.parametrize(("same", "shown", "borrows"), [
    (True, {"RssAnon": 1}, True),
    (False, {"RssAnon": 1}, False),
    (True, {}, False),  # two zombies have the same memory: none
    (None, {"RssAnon": 1}, False),  # a container's filter refuses kcmp(2)
])  # fmt: skip
def test_what_borrows_its_parents_memory(proc, monkeypatch, same, shown, borrows):
    def same_memory(pid, other):
        assert (pid, other) == (102, 101)
        if same is None:
            raise PermissionError
        return same

    monkeypatch.setattr(processes.kernel, "same_memory", same_memory)
    proc.add(102, 101, **shown)
    family = looker(proc)
    assert family.borrows(family.look()[102]) is borrows


def family_of(*rows):
    """Make processes of (pid, own user time, user time of the children it waited for)."""
    return {pid: Process(pid, INIT, user, 0, waited, 0, 1, pid) for pid, user, waited in rows}


def seconds(*looks):
    counted = CpuTime()
    counted.start(family_of(*looks[0]))
    for rows in looks[1:]:
        counted.add(family_of(*rows))
    return round(counted.seconds()[0] / TICK_S)


@pytest.mark.parametrize(("looks", "ticks"), [
    (([(1, 9, 0)], [(1, 9, 0)]), 0),  # what was before does not count
    (([(1, 0, 0)], [(1, 5, 0), (2, 7, 0)]), 12),
    (([(1, 0, 0)], [(1, 5, 0), (2, 7, 0)], [(1, 5, 8)]), 13),  # waited for: it used one more
    (([(1, 0, 0)], [(1, 5, 0), (2, 7, 0)], [(1, 5, 0)]), 12),  # forgotten by the kernel
    (([(1, 0, 0)], [(1, 5, 0), (2, 7, 0)], [(1, 6, 0)], [(1, 6, 0), (3, 4, 0)], [(1, 6, 0)]), 17),
    (([(1, 0, 0)], [(1, 5, 0), (2, 7, 2), (3, 3, 0)], [(1, 5, 12)]), 17),  # 3 handed on to 2, and both to 1
    (([(1, 0, 0)], [(1, 0, 300)]), 300),  # born and ended between two looks
])  # fmt: skip
def test_cpu_time_adds_up(looks, ticks):
    assert seconds(*looks) == ticks


def test_a_number_used_again_is_another_process():
    counted = CpuTime()
    counted.start({1: Process(1, INIT, 0, 0, 0, 0, 1, 10)})
    counted.add({1: Process(1, INIT, 9, 0, 0, 0, 1, 10)})
    counted.add({1: Process(1, INIT, 2, 0, 0, 0, 1, 99)})
    assert round(counted.seconds()[0] / TICK_S) == 11


class Family:
    """Processes made up: pid -> (memory as each has it, its share of it; None where that may not be read)."""

    def __init__(self, **members):
        self.members = {int(name[1:]): member for name, member in members.items()}

    def look(self):
        return family_of(*((pid, 0, 0) for pid in (INIT, *self.members)))

    def memory(self, pid):
        return self.members[pid][0]

    def share(self, pid):
        return self.members[pid][1]


NOTHING = Memory(0, 0, 0)


@pytest.mark.parametrize(("members", "fill", "measured", "how"), [
    ({"p2": (Memory(60, 0, 0), NOTHING)}, 0, None, ""),
    ({"p2": (Memory(90, 0, 0), Memory(50, 0, 0)), "p3": (Memory(90, 0, 0), Memory(50, 0, 0))}, 0, None, ""),  # shared by fork
    ({"p2": (Memory(90, 0, 0), Memory(60, 0, 0)), "p3": (Memory(90, 0, 0), Memory(60, 0, 0))}, 0, 120, "divided among"),
    ({"p2": (Memory(130, 0, 0), NOTHING)}, 0, 130, "of the largest process"),  # ended before its share was read
    ({"p2": (Memory(60, 0, 0), Memory(60, 0, 0)), "p3": (Memory(70, 0, 0), None)}, 0, 130, "in each process"),
    ({"p2": (Memory(60, 80, 0), Memory(60, 30, 0))}, 0, None, ""),
    ({"p2": (Memory(60, 80, 0), Memory(60, 45, 0))}, 20, 105, "divided among"),  # tmpfs pages may be mapped: counted once
    ({"p2": (Memory(60, 0, 50), Memory(60, 0, 50))}, 0, 110, "divided among"),  # swapped
    ({}, 101, 101, "tmpfs memory"),  # nobody lives, and the tmpfs is there
    ({}, 100, None, ""),
])  # fmt: skip
def test_what_ends_a_run_is_certain(monkeypatch, members, fill, measured, how):
    groups = types.SimpleNamespace(folder=lambda controller: None)
    sampler = sampling.Sampler(types.SimpleNamespace(init=INIT, payload=2, groups=groups), SampleProcesses(100, None))
    sampler._descendants = Family(**members)
    monkeypatch.setattr(sampler, "_fill", lambda: fill)
    cause = sampler.look()
    assert (cause and cause.evidence.measured) == measured
    assert how in (cause.evidence.source if cause else "")


def test_tasks_are_counted_where_no_rlimit_does():
    groups = types.SimpleNamespace(folder=lambda controller: None)
    jail = types.SimpleNamespace(init=INIT, payload=2, groups=groups, offered=lambda purpose: [])
    sampler = sampling.Sampler(jail, SampleProcesses(None, 2))
    sampler._descendants = Family(p2=(NOTHING, NOTHING), p3=(NOTHING, NOTHING))
    assert sampler.look() is None
    sampler._descendants = Family(p2=(NOTHING, NOTHING), p3=(NOTHING, NOTHING), p4=(NOTHING, NOTHING))
    cause = sampler.look()
    assert (cause.verdict, cause.evidence.configured, cause.evidence.measured) == ("process_limit", 2, 3)
    assert cause.evidence.source.startswith("tasks: sampled every")
