"""The descendants of init as /proc shows them, and what their CPU time adds up to. Parent side; for runs without a cgroup.

Found by parent, not by namespace: it works wherever init reaps orphans, as PID 1 or as a subreaper. All of /proc is
listed, for `task/TID/children` may leave out a child while others end (proc_pid_task_tid_children(5)), and a run could
make use of that. A number once seen outside the run is not read again for a while, so a look costs about as much as the
run has processes. See proc_pid_stat(5), proc_pid_status(5), proc_pid_smaps(5).
"""

from __future__ import annotations

import os

from jailpy.frozen import Frozen
from jailpy.kernel import files
from jailpy.kernel import process as kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_AFRESH = 64  # looks until numbers outside the run are read again: the kernel may have given one of them anew
_SHOWN = ("RssAnon", "RssShmem", "VmSwap")
_SHARES = ("Pss_Anon", "Pss_Shmem", "SwapPss")


class Process(Frozen):
    """One process at one time. Times are in clock ticks: its own, and those of the children that it waited for."""

    pid: int
    parent: int
    user: int
    system: int
    waited_user: int
    waited_system: int
    tasks: int
    start: int

    def times(self) -> tuple[int, int]:
        """Return all user and system time that it stands for."""
        return self.user + self.waited_user, self.system + self.waited_system

    def waited(self) -> tuple[int, int]:
        """Return the user and system time of the children that it waited for."""
        return self.waited_user, self.waited_system


class Memory(Frozen):
    """Memory of a process in bytes: anonymous and shared (tmpfs, memfd, shared anonymous) pages mapped, and swapped ones."""

    anon: int
    shmem: int
    swap: int


def parse_stat(pid: int, text: str) -> Process:
    """Read one line of /proc/PID/stat; the name in it may hold anything, parentheses too."""
    fields = text.rpartition(")")[2].split()
    user, system, waited_user, waited_system = (int(word) for word in fields[11:15])
    return Process(pid, int(fields[1]), user, system, waited_user, waited_system, int(fields[17]), int(fields[19]))


def _sizes(text: str, names: tuple[str, ...]) -> list[int]:
    """Return sizes in bytes out of lines "name:  size kB"; 0 for what has no such line."""
    found = dict.fromkeys(names, 0)
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name in found:
            found[name] = int(value.split()[0]) << 10
    return [found[name] for name in names]


class Descendants:
    """Finds the living descendants of a process. `proc` is where procfs is mounted."""

    def __init__(self, init: int, proc: str = "/proc") -> None:
        self._init = init
        self._proc = proc
        self._outside: set[int] = set()
        self._looks = 0

    def look(self) -> dict[int, Process]:
        """Return init and its descendants by number. Raises OSError where /proc cannot be listed."""
        listed = [int(name) for name in os.listdir(self._proc) if name.isdecimal()]
        self._looks += 1
        if self._looks % _AFRESH == 0:
            self._outside.clear()
        self._outside.intersection_update(listed)
        found = {pid: process for pid in listed if pid not in self._outside and (process := self._read(pid))}
        ours = {pid: self._is_ours(pid, found) for pid in found}
        self._outside.update(pid for pid, is_ours in ours.items() if is_ours is False)
        return {pid: found[pid] for pid, is_ours in ours.items() if is_ours}

    def _read(self, pid: int) -> Process | None:
        try:
            return parse_stat(pid, files.read(f"{self._proc}/{pid}/stat"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None  # ended since the listing, or another account's behind hidepid

    def _is_ours(self, pid: int, found: dict[int, Process]) -> bool | None:
        """Follow the parents up; None where one was not seen: the process is looked at again next time."""
        while pid != self._init:
            if pid == 0 or pid in self._outside:
                return False
            if pid not in found:
                return None
            pid = found[pid].parent
        return True

    def memory(self, pid: int) -> Memory:
        """Return what a process has mapped; pages shared by several processes count in each. 0 for one that has ended."""
        return self._shown(pid, "status", _SHOWN)

    def _shown(self, pid: int, file: str, names: tuple[str, ...]) -> Memory:
        """Read sizes of a process's memory. Raises OSError where that may not be read.

        Of a process whose first thread has ended /proc/PID shows no memory; its other threads, which go on with it, do
        (proc_pid(5): a thread has a folder of its own, which no listing names).
        """
        for number in self._threads(pid):
            try:
                text = files.read(f"{self._proc}/{number}/{file}")
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended meanwhile, or a zombie
            if f"\n{names[0]}:" in text:
                return Memory(*_sizes(text, names))
        return Memory(0, 0, 0)

    def _threads(self, pid: int) -> Iterator[int]:
        """Yield the threads of a process, the first one first; they are listed only where another one is asked for."""
        yield pid
        try:
            yield from (thread for name in os.listdir(f"{self._proc}/{pid}/task") if (thread := int(name)) != pid)
        except (FileNotFoundError, ProcessLookupError):
            return

    def borrows(self, process: Process) -> bool:
        """Say whether a process uses its parent's memory, as from vfork(2) to execve(2). False where the kernel tells nobody.

        To kcmp(2) two that show no memory are the same as well.
        """
        try:
            same = kernel.same_memory(process.pid, process.parent)
            return same and f"\n{_SHOWN[0]}:" in files.read(f"{self._proc}/{process.pid}/status")
        except OSError:
            return False

    def peak(self, pid: int) -> int:
        """Return the peak resident set of a process in bytes, file pages included. Raises OSError."""
        return _sizes(files.read(f"{self._proc}/{pid}/status"), ("VmHWM",))[0]

    def share(self, pid: int) -> Memory | None:
        """Return a process's share: each page divided by how often it is mapped. None where that may not be read.

        Costs about a millisecond for each 100 MB.
        """
        try:
            return self._shown(pid, "smaps_rollup", _SHARES)
        except PermissionError:
            return None


class CpuTime:
    """Adds up the CPU time of a family of processes, from one look to the next.

    A process that has ended is in its parent's sum if the parent waited for it. Where the parent ignores SIGCHLD the
    kernel forgets the time (getrusage(2)); what had been seen of it is kept here.
    """

    def __init__(self) -> None:
        self._before: dict[tuple[int, int], Process] = {}
        self._forgotten = (0, 0)
        self._base = (0, 0)
        self._most = (0, 0)

    def start(self, family: dict[int, Process]) -> None:
        """Take the times as they stand now for 0."""
        self.add(family)
        self._base, self._most = self._most, (0, 0)

    def add(self, family: dict[int, Process]) -> None:
        """Take account of a look."""
        now = {(process.pid, process.start): process for process in family.values()}
        ended = _sum(process.times() for key, process in self._before.items() if key not in now)
        before = _sum(process.waited() for key, process in self._before.items() if key in now)
        after = _sum(process.waited() for key, process in now.items() if key in self._before)
        self._forgotten = _each(lambda had, e, b, a: had + max(0, e - (a - b)), self._forgotten, ended, before, after)
        self._before = now
        living = _sum(process.times() for process in now.values())
        self._most = _each(
            lambda most, here, gone, base: max(most, here + gone - base), self._most, living, self._forgotten, self._base
        )

    def seconds(self) -> tuple[float, float, float]:
        """Return total, user and system CPU seconds."""
        user, system = (round(ticks * _TICK_S, 6) for ticks in self._most)
        return round(user + system, 6), user, system


def _sum(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    user = system = 0
    for more_user, more_system in pairs:
        user, system = user + more_user, system + more_system
    return user, system


def _each(how: Callable[..., int], *pairs: tuple[int, int]) -> tuple[int, int]:
    """Compute user and system time by the same rule."""
    return how(*(pair[0] for pair in pairs)), how(*(pair[1] for pair in pairs))
