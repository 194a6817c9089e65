"""Starts of /usr/bin/true from a Python caller, each way, in turns."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from benchmarks import contestants
from benchmarks.common import TRUE, say
from benchmarks.timing import summary

if TYPE_CHECKING:
    from benchmarks.stage import Stage

WORDS = "start of /usr/bin/true"


def measure(stage: Stage) -> dict[str, Any]:
    """Return a row for each contestant that is here, and the first start after an installation."""
    installed, command = stage.installed, [TRUE]
    entries = [
        contestants.plain(command),
        contestants.program(contestants.PYTHON, [[installed.python, "-c", "pass"]], "python3 -c pass", "nothing"),
        contestants.cold(stage),
        contestants.jailpy(contestants.WARM, command),
        contestants.jailpy(contestants.POOLED, command),
        *contestants.all_peers(stage, command),
    ]
    say(f"{stage.amounts.starts} starts of each")
    times = stage.times(entries, stage.amounts.starts)
    rows = [
        {"name": entry.name, "shown": entry.shown, "confines": entry.confines, **summary(times[entry.name])}
        for entry in entries
        if entry.name in times
    ]
    return {"unit": "ms", "pause_ms": stage.amounts.pause_s * 1e3, "rows": rows, "first": first_start(stage)}


def first_start(stage: Stage) -> dict[str, float]:
    """Time starts that find no cache: profile and filter are compiled each time, once per installation for users."""
    entry, times = contestants.cold(stage), []
    caller = stage.caller(entry.where)
    caller.call("calls:ready", name=entry.name, call=entry.call)
    for _ in range(1 + stage.amounts.starts // 20):
        shutil.rmtree(f"{stage.installed.environment['XDG_CACHE_HOME']}/jailpy")
        times.append(caller.call("calls:once", name=entry.name))
    return summary(times)
