"""Limits without a cgroup: the supervisor looks at the run's processes again and again. Parent side.

What no look sees is not counted: docs/explanation/threat-model.md lists it. A run is ended for memory only by what is
certain: shared pages divided by how often they are mapped, and a page that is both in the jail's tmpfs and mapped once.
"""

from __future__ import annotations

import os
import time

from jailpy.errors import LaunchError
from jailpy.supervisor.accounting import Accounting
from jailpy.supervisor.outcome import Cause, Evidence
from jailpy.supervisor.processes import CpuTime, Descendants, Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource
    from collections.abc import Iterable

    from jailpy.launcher.cold import Jail
    from jailpy.steps.cgroups import SampleProcesses
    from jailpy.supervisor.processes import Process

_LEAST_S = 0.01
_MOST_S = 0.1
_LONGEST_REST_S = 0.25
_SHARE = 30  # a look is followed by this many times its own duration of rest: about 3 % of one processor
_EACH = "resident anonymous and tmpfs memory, pages counted in each process that has them"
_DIVIDED = "resident anonymous and tmpfs memory, shared pages divided among their processes"
_LARGEST = "resident anonymous memory of the largest process"
_ROUNDED_S = 4 / os.sysconf("SC_CLK_TCK")  # what /proc cuts off of init's and the payload's user and system time at the start
_FASTEST = 4 << 30  # bytes a second: how fast pages are taken at most, about


class Sampler(Accounting):
    """Counts and limits what no cgroup of this run does. `next_at` is when to look again (CLOCK_MONOTONIC)."""

    def __init__(self, jail: Jail, asked: SampleProcesses) -> None:
        super().__init__(jail.groups)
        self._jail = jail
        self._asked = asked
        self._descendants = Descendants(jail.init)
        self._time = CpuTime()
        self._base_s = 0.0
        self._looks = 0
        self._longest = 0.0
        self._began = self._looked_at = self.next_at = 0.0
        self._peak = (0, "")
        self._largest = self._parked = 0
        self._tasks = 0
        self._ended: tuple[float, float, float] | None = None

    def start(self) -> None:
        """Take the counters as they stand before the payload. Raises LaunchError where /proc does not show it."""
        super().start()
        family = self._descendants.look()
        if self._jail.payload not in family:
            words = "cgroup: without one the run is watched in /proc, and /proc does not show the payload (hidepid?)"
            raise LaunchError(words, layer="cgroup", step="watch", errno=0)
        self._parked = self._descendants.peak(self._jail.payload)
        self._base_s = sum(_cpu_clock(pid) for pid in (self._jail.init, self._jail.payload))
        self._time.start(family)
        self._began = self._looked_at = self.next_at = time.monotonic()

    def look(self) -> Cause | None:
        """Look at every process of the run; return why it must end, if it must."""
        began = time.monotonic()
        self._looks += 1
        self._longest = max(self._longest, began - self._looked_at)
        self._looked_at = began
        family = self._descendants.look()
        self._time.add(family)
        family.pop(self._jail.init, None)
        self._tasks = max(self._tasks, sum(process.tasks for process in family.values()))
        used, how = self._memory_used(family)
        self._peak = max(self._peak, (used, how))
        now = time.monotonic()
        room = max(self._asked.memory - used, 0) / _FASTEST if self._asked.memory is not None else _MOST_S
        rest = min((now - began) * _SHARE, _LONGEST_REST_S)
        self.next_at = now + max(min(max(room, _LEAST_S), _MOST_S), rest)
        return self._cause(used, how)

    def _cause(self, used: int, how: str) -> Cause | None:
        asked = self._asked
        if asked.memory is not None and used > asked.memory:
            return Cause("memory_limit", Evidence("memory", asked.memory, used, self.source(how)))
        if asked.processes is not None and self._tasks > asked.processes:
            return Cause("process_limit", Evidence("processes", asked.processes, self._tasks, self.source("tasks")))
        return None

    def _memory_used(self, family: dict[int, Process]) -> tuple[int, str]:
        """Return the bytes in use and what was counted; looks closer where the cheap sum is above the limit."""
        fill = self._fill()
        each = {pid: self._descendants.memory(pid) for pid in family}
        seen = _together(each.values())
        if self._asked.memory is None or _least(seen, fill) <= self._asked.memory:
            return _least(seen, fill), _EACH
        own = [pid for pid, it in family.items() if it.parent not in family or not self._descendants.borrows(it)]
        shares = [self._descendants.share(pid) for pid in own]
        if None in shares:
            return _least(_together(each[pid] for pid in own), fill), _EACH
        divided = _least(_together(share for share in shares if share is not None), fill)
        # The largest one may have ended before its share was read.
        largest = max((found.anon + found.swap for found in each.values()), default=0)
        return (divided, _DIVIDED) if divided >= largest else (largest, _LARGEST)

    def _fill(self) -> int:
        found = [os.fstatvfs(view) for _, view in self._jail.offered("disk")]
        return sum((each.f_blocks - each.f_bfree) * each.f_frsize for each in found)

    def source(self, what: str) -> str:
        """Say how a number came about: what was read, how often on average, and the longest time without a look."""
        mean = (self._looked_at - self._began) / max(self._looks, 1)
        return f"{what}: sampled every {mean * 1000:.0f} ms from /proc, at most {self._longest * 1000:.0f} ms apart"

    def finish(self, usage: resource.struct_rusage, largest: int) -> None:
        """Take what wait4(2) says of init and all that it reaped: exact, but without what was killed with it."""
        super().finish(usage, largest)
        self._largest = largest if largest > self._parked else 0  # execve keeps the peak of what was there before
        total = round(max(0.0, usage.ru_utime + usage.ru_stime - self._base_s), 6)
        if total + _ROUNDED_S >= self._time.seconds()[0]:
            user = min(total, usage.ru_utime)
            self._ended = total, user, round(total - user, 6)

    def cpu(self) -> tuple[float, float, float] | None:
        """Return total, user and system CPU seconds of the payload and all its descendants, as of the last look."""
        return super().cpu() or self._ended or self._time.seconds()

    def counts_cpu(self) -> bool:
        """Say whether there is CPU time to be read: always."""
        return True

    def cpu_source(self) -> str:
        """Say where the CPU time comes from."""
        if super().cpu() is not None:
            return super().cpu_source()
        return "wait4 rusage of init and all that ended before it" if self._ended else self.source("stat of each process")

    def memory_peak(self) -> tuple[int | None, str]:
        """Return the most memory that was seen in use, and how. None for a run too short for a second look."""
        if self._memory:
            return super().memory_peak()
        if self._largest > self._peak[0]:
            return self._largest, "wait4 ru_maxrss of the largest process, its file pages included"
        return (self._peak[0], self.source(self._peak[1])) if self._looks > 1 else (None, "")

    def notes(self) -> tuple[str, ...]:
        """Return what the reader of the report should know of these numbers."""
        limit = self._asked.memory
        if limit is None or self._largest <= limit or self._peak[0] > limit:
            return super().notes()
        words = (
            f"one process had {self._largest} bytes resident, file pages included: above the memory limit, between two looks"
        )
        return (*super().notes(), words)

    def processes_peak(self) -> tuple[int | None, str]:
        """Return the most tasks that a look saw, init not counted, and how it was looked at."""
        if self._pids:
            return super().processes_peak()
        return (self._tasks, self.source("tasks")) if self._looks > 1 else (None, "")


def _together(found: Iterable[Memory]) -> Memory:
    every = list(found)
    return Memory(*(sum(getattr(each, name) for each in every) for name in Memory._fields))


def _least(seen: Memory, fill: int) -> int:
    """Return the memory that is certain: a page of the jail's tmpfs may be mapped as well."""
    return seen.anon + seen.swap + max(seen.shmem, fill)


def _cpu_clock(pid: int) -> float:
    """Return the CPU seconds of another process, to the nanosecond (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)
