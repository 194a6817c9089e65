"""The clocks of one call: time, by CLOCK_MONOTONIC, and processor time, by the clocks of the jail's processes.

The kernel says which process is the worker (SCM_CREDENTIALS), and its cgroup which others are with it. What a process used
that came and went between two looks is not seen; `cpus` and `wall` bound it.
"""

from __future__ import annotations

import os
import time

from jailpy.profile.values import format_duration
from jailpy.services.plugins.limits import BrokenError, violation

_SHORTEST_S = 0.01
_FLAGS = 6  # of /proc/PID/stat, counted from behind the name: proc_pid_stat(5)
_PF_EXITING = 0x4
_HIERARCHIES = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids")


class Meter:
    """Processor time of a worker's processes, found by one of them. Where that ended meanwhile, nothing would be counted."""

    def __init__(self, pid: int) -> None:
        self._used = {pid: 0.0}
        self._lists = _lists(pid)
        self._found = _lives(pid)
        self._look()

    def expect_found(self) -> None:
        """Raises BrokenError where nothing would be counted."""
        if not self._found:
            raise violation("the process that wrote its first message has ended")

    def start(self) -> dict[int, float]:
        """Return what each known process has used; those that have ended are known no more."""
        self._used = {pid: used for pid in self._used if (used := _used(pid, -1.0)) >= 0.0}
        return dict(self._used)

    def since(self, base: dict[int, float]) -> float:
        """Return what all have used since."""
        self._look()
        self._used = {pid: _used(pid, last) for pid, last in self._used.items()}
        return sum(used - base.get(pid, 0.0) for pid, used in self._used.items())

    def _look(self) -> None:
        """Learn of processes that are new."""
        for path in self._lists:
            for pid in _pids(path):
                self._used.setdefault(pid, 0.0)


class Clock:
    """Limits of one call, from now on. `slice` is how long to wait at most until the next look."""

    def __init__(self, wall: float, cpu: float, cpus: float, meter: Meter | None) -> None:
        self._wall, self._cpu, self._cpus, self._meter = wall, cpu, max(cpus, 1.0), meter
        self._begin = time.monotonic()
        self._base = meter.start() if meter else {}
        self._look = cpu / self._cpus

    def slice(self) -> float:
        """Return seconds above 0. Raises BrokenError where a limit is reached."""
        passed = time.monotonic() - self._begin
        if passed >= self._wall:
            raise BrokenError("wall_limit", f"it took over {format_duration(self._wall)} (wall)")
        if self._meter and passed >= self._look:
            left = self._cpu - self._meter.since(self._base)
            if left <= 0:
                raise BrokenError("cpu_limit", f"it used over {format_duration(self._cpu)} of processor time (cpu)")
            self._look = passed + max(left / self._cpus, _SHORTEST_S)
        until = min(self._wall, self._look) if self._meter else self._wall
        return max(until - passed, 0.001)


def _lives(pid: int) -> bool:
    """Say whether a process is there and does not end: the kernel may tell no group of one that does."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            flags = int(file.read().rpartition(b")")[2].split()[_FLAGS])
    except OSError:
        return False
    return not flags & _PF_EXITING


def _used(pid: int, last: float) -> float:
    """Return a process's processor time, what it last was where the process is gone (clock_getcpuclockid(3))."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return last


def _lists(pid: int) -> list[str]:
    """Return the lists of processes of the cgroups that a worker is in and this program is not: those made for it."""
    found = (f"{top}{path}/cgroup.procs" for top in _HIERARCHIES for path in _groups(str(pid)) - _groups("self"))
    return [path for path in found if os.access(path, os.R_OK)]


def _groups(process: str) -> set[str]:
    try:
        with open(f"/proc/{process}/cgroup", encoding="utf-8") as file:
            return {line.rstrip("\n").split(":", 2)[2] for line in file}
    except OSError:  # it has just ended
        return set()


def _pids(path: str) -> list[int]:
    try:
        with open(path, encoding="utf-8") as file:
            return [int(line) for line in file if line != "0\n"]
    except OSError:
        return []
