"""What many past runs leave behind: the start of the next run, descriptors, processes, cgroups and memory, along the way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks import contestants
from benchmarks.common import TRUE, say
from benchmarks.timing import summary

if TYPE_CHECKING:
    from benchmarks.remote import Remote
    from benchmarks.stage import Stage

WORDS = "many past runs"
FIRST = 100  # runs before the first look
TIMED = 50  # of them timed, before each look
TENTHS = (1, 4, 7, 10)
SETTLE_S = 0.5  # for a pool to be full again


def measure(stage: Stage) -> dict[str, Any]:
    """Return what each kind of launcher holds, and how long a run and a plain process take, after more and more runs."""
    rows = []
    for name in (contestants.WARM, contestants.POOLED):
        with stage.noting(f"{name}, past runs"), stage.fresh("jailpy") as caller:
            rows.append({"name": name, "points": _points(stage, caller, name)})
    return {"runs": stage.amounts.past_runs, "rows": rows}


def looks(runs: int) -> list[int]:
    """Return after how many runs one looks. The first look is early, the second one when memory has found its size."""
    return [FIRST, *(at for at in (runs * tenth // 10 for tenth in TENTHS) if at >= FIRST + TIMED)]


def _points(stage: Stage, caller: Remote, name: str) -> list[dict[str, Any]]:
    mine, plain = contestants.jailpy(name, [TRUE]), contestants.plain([TRUE])
    caller.call("calls:ready", name="mine", call=mine.call)
    caller.call("calls:ready", name="plain", call=plain.call)
    points, done = [], 1
    for target in looks(stage.amounts.past_runs):
        say(f"{name}: {target} runs")
        caller.call("calls:times", name="mine", count=target - done - TIMED)
        points.append({"runs": target, **_point(caller)})
        done = target
    return points


def _point(caller: Remote) -> dict[str, Any]:
    """Time some runs, and see what is held. The plain process says how fast the machine is at this time."""
    times = {name: summary(caller.call("calls:times", name=name, count=TIMED))["p50"] for name in ("mine", "plain")}
    time.sleep(SETTLE_S)
    return {"p50": times["mine"], "plain_p50": times["plain"], **caller.call("processes:held")}
