"""Processor time of one run, of all processes that take part: what bounds the throughput of a machine that is busy.

Counted by the kernel (proc_pid_stat(5), utime, stime, cutime, cstime) over many runs: of the program that calls, of what stays
between runs, and of the processes of the run itself, payload included. Work that the kernel does in threads of its own is not
in it. The last column says how long a run took meanwhile, one after the other.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from benchmarks import calls, contestants, peers, processes
from benchmarks.common import TRUE, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.stage import Stage

WORDS = "processor time of a run"
_TICKS = os.sysconf("SC_CLK_TCK")
_FIRST = 11  # of the fields behind the name: utime, stime, cutime, cstime
PARTS = ("caller", "staying", "run")


def measure(stage: Stage) -> dict[str, Any]:
    """Return milliseconds of each contestant, by part."""
    count = stage.amounts.processor
    entries = [contestants.plain([TRUE]), contestants.jailpy(contestants.WARM, [TRUE]), contestants.sandlock([TRUE])]
    with stage.noting(contestants.BUBBLEWRAP):
        entries.append(contestants.peer(peers.BUBBLEWRAP, stage, [TRUE]))
    rows = []
    say(f"processor time of {count} runs")
    for entry in entries:
        with stage.noting(entry.name), stage.fresh(entry.where) as caller:
            rows.append({"name": entry.name, **caller.call("processor:spent", call=entry.call, count=count)})
    return {"unit": "ms", "runs": count, "rows": rows}


def spent(call: Mapping[str, Any], count: int) -> dict[str, float]:
    """Make so many runs; return the milliseconds of processor time of one, by part, and those by the clock."""
    run = calls.make(call)
    run()
    before, begin = _spent(), time.perf_counter()
    for _ in range(count):
        run()
    clock = (time.perf_counter() - begin) * 1e3 / count
    found = {part: (now - then) * 1e3 / count for part, now, then in zip(PARTS, _spent(), before, strict=True)}
    return {**{part: round(value, 3) for part, value in found.items()}, "clock": round(clock, 3)}


def _spent() -> tuple[float, float, float]:
    """Return the seconds of this process, of all below it, and of those that have ended."""
    own, *below = map(_times, processes.family(os.getpid()))
    return own[0], sum(alive for alive, _ in below), sum(ended for _, ended in (own, *below))


def _times(pid: int) -> tuple[float, float]:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    user, system, ended_user, ended_system = (int(field) / _TICKS for field in fields[_FIRST : _FIRST + 4])
    return user + system, ended_user + ended_system
