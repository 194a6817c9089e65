"""What a start costs as the mount table of the host grows. The mounts are made in a mount namespace of the caller's own."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

from benchmarks import contestants, peers
from benchmarks.common import TRUE, FailedError, say
from benchmarks.timing import in_turns, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.stage import Stage

WORDS = "a growing mount table"


def measure(stage: Stage) -> dict[str, Any]:
    """Return the start of each by the number of mounts that were added."""
    command = [TRUE]
    entries = [contestants.plain(command), contestants.cold(stage), contestants.jailpy(contestants.WARM, command)]
    entries.append(contestants.jailpy(contestants.POOLED, command))
    with stage.noting(contestants.BUBBLEWRAP):
        entries.append(contestants.peer(peers.BUBBLEWRAP, stage, command))
    points: list[dict[str, Any]] = []
    with stage.noting("mounts"), stage.fresh("mounts") as caller:
        ready = {}
        for entry in entries:
            with stage.noting(f"{entry.name}, by mounts"):
                ready[entry.name] = entry.ready(caller)
        for added in (0, *stage.amounts.mounts):
            say(f"{added} mounts added")
            total = caller.call("mounts:grow", folder=f"{stage.scratch}/mounts", count=added)
            points.append({"added": added, "mounts": total, "p50": _point(stage, ready)})
    return {"unit": "ms", "runs": stage.amounts.starts_by_mounts, "points": points}


def _point(stage: Stage, ready: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    in_turns(ready, 2, stage.amounts.pause_s)  # a template is made anew when the mount table has changed
    times = in_turns(ready, stage.amounts.starts_by_mounts, stage.amounts.pause_s)
    return {name: summary(values)["p50"] for name, values in times.items()}


def grow(folder: str, count: int) -> int:
    """Mount tmpfs below a folder until there are so many; return how many mounts there are altogether. Raises FailedError."""
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(count):
        path = f"{folder}/{number}"
        if not os.path.isdir(path):
            os.makedirs(path)
            if libc.mount(b"none", path.encode(), b"tmpfs", 0, b"size=4k"):
                raise FailedError(f"mount of a tmpfs: {os.strerror(ctypes.get_errno())}")
    with open("/proc/self/mountinfo", "rb") as file:
        return len(file.readlines())
