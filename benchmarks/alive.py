"""Many jails alive at once: how long until all of them run, and what memory one of them is; and a jail that waits in a pool.

Memory is the sum of the proportional shares (Pss) of all processes that were started, of launchers as well, and of what the
calling program grew by. What the kernel holds for a process is not in it.
"""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

from benchmarks import contestants, peers, processes
from benchmarks.calls import launcher
from benchmarks.common import FailedError, UnavailableError, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.stage import Stage

WORDS = "many alive at once"
SLEEPER = ["/bin/sh", "-c", "echo; exec sleep 600"]
LIMITS = {"wall": "10m"}
MB = 1e6
_STABLE_S = 1.0
_PATIENCE_S = 60.0


def measure(stage: Stage) -> dict[str, Any]:
    """Return seconds, memory and processes of one jail among many, for JailPy and bubblewrap; and of one in a pool."""
    count, rows, pool = stage.amounts.alive, [], None
    say(f"{count} jails alive at once")
    entries = [contestants.jailpy(contestants.WARM, SLEEPER, **LIMITS)]
    with stage.noting(contestants.BUBBLEWRAP):
        entries.append(contestants.peer(peers.BUBBLEWRAP, stage, SLEEPER))
    for entry in entries:
        with stage.noting(f"{entry.name}, {count} alive"), stage.fresh(entry.where) as caller:
            rows.append({"name": entry.name, **caller.call("alive:crowd", call=entry.call, count=count)})
    say("jails that wait in a pool")
    with stage.noting("a jail in a pool"), stage.fresh("jailpy") as caller:
        pool = caller.call("alive:in_pool", few=2, many=2 + count // 5)
    return {"count": count, "rows": rows, "pool": pool}


def crowd(call: Mapping[str, Any], count: int) -> dict[str, float | None]:
    """Start so many, wait until each has written, measure, kill them. Memory is None where it may not be read."""
    before, others = processes.total_pss(), len(processes.family(os.getpid()))
    begin = time.perf_counter()
    jails = [_start(call) for _ in range(count)]
    try:
        for jail in jails:
            if jail.stdout.read(1) != b"\n":
                raise FailedError("a jail ended before it wrote anything")
        seconds = time.perf_counter() - begin
        started = len(processes.family(os.getpid())) - others
        return {
            "seconds": round(seconds, 3),
            "pss_mb": _memory(before, count),
            "processes": round(started / count, 2),
        }
    finally:
        for jail in jails:
            jail.kill()
        for jail in jails:
            jail.wait()
            jail.stdout.close()


def _memory(before: int, count: int) -> float | None:
    try:
        return round((processes.total_pss() - before) / count / MB, 3)
    except UnavailableError:
        return None


def _start(call: Mapping[str, Any]) -> Any:
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    if call["way"] == "launcher":
        return launcher(call["launcher_options"]).popen(call["command"], stdout=pipe, **call["options"])
    (argv,) = call["commands"]
    return subprocess.Popen(argv, stdin=nowhere, stdout=pipe, stderr=nowhere, bufsize=0)


def in_pool(few: int, many: int) -> dict[str, float]:
    """Return what each of the jails that a larger pool holds more is in memory and processes. Raises UnavailableError."""
    small, large = _pool(few), _pool(many)
    more = many - few
    return {
        "few": few,
        "many": many,
        "pss_mb": round((large["pss"] - small["pss"]) / more / MB, 3),
        "processes": round((large["processes"] - small["processes"]) / more, 2),
    }


def _pool(size: int) -> dict[str, int]:
    """Make a pool, use it once, wait until nothing changes any more, and measure."""
    before = processes.total_pss()
    found = launcher({"pool": size})
    found.run(["/usr/bin/true"])
    deadline, since, last = time.monotonic() + _PATIENCE_S, time.monotonic(), 0
    while time.monotonic() - since < _STABLE_S:
        now = len(processes.family(os.getpid()))
        if now != last:
            since, last = time.monotonic(), now
        if time.monotonic() > deadline:
            raise FailedError(f"a pool of {size} jails still changes after {_PATIENCE_S:.0f} seconds")
        time.sleep(0.02)
    result = {"pss": processes.total_pss() - before, "processes": last}
    found.close()
    return result
