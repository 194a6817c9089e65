"""Cold starts of /usr/bin/true, each way, and the two comparisons that the project has set itself."""

from __future__ import annotations

import dataclasses
import shutil
import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.timing import Contestant, in_turns, summary

if TYPE_CHECKING:
    from benchmarks.timing import Times

OVER_PYTHON_MS = 35.0


def measure(contestants: list[Contestant], runs: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the rows with their differences, and the targets."""
    times = in_turns(contestants, runs)
    base = times["python"]
    rows = [
        {
            "name": contestant.name,
            "command": contestant.shown,
            **times[contestant.name].summary(),
            "over_python": over(times[contestant.name], base),
            "ratio_to_jailpy": ratio(times[contestant.name], times["jailpy"]),
        }
        for contestant in contestants
    ]
    return {"unit": "ms", "rows": rows}, targets(times)


def over(times: Times, base: Times) -> dict[str, float]:
    """Return the differences round by round (the machine was then the same for both), and that of the minima."""
    paired = [one - other for one, other in zip(times.wall, base.wall, strict=True)]
    return {**summary(paired), "min": round(min(times.wall) - min(base.wall), 3)}


def ratio(times: Times, other: Times) -> float:
    """Return how many times as long as `other` it took, by medians."""
    return round(statistics.median(times.wall) / statistics.median(other.wall), 3)


def targets(times: dict[str, Times]) -> list[dict[str, Any]]:
    """Compare with the targets: JailPy over Python, and JailPy against firejail where that is here."""
    mine = over(times["jailpy"], times["python"])
    found = [target("jailpy - python", "ms", mine["median"], OVER_PYTHON_MS, mine["min"])]
    if "firejail" in times:
        walls = [times[name].wall for name in ("jailpy", "firejail")]
        mine_ms, theirs_ms = (statistics.median(wall) for wall in walls)
        found.append(target("jailpy / firejail", "x", mine_ms / theirs_ms, 1.0, min(walls[0]) / min(walls[1])))
    return found


def target(what: str, unit: str, median: float, limit: float, by_minima: float) -> dict[str, Any]:
    """Make one line of the table of targets."""
    return {
        "what": what,
        "unit": unit,
        "median": round(median, 3),
        "by_minima": round(by_minima, 3),
        "limit": limit,
        "held": median <= limit,
    }


def first_start(jailpy: Contestant, runs: int) -> dict[str, Any]:
    """Time starts that find no cache: profile and filter are compiled each time, once per installation for users."""
    cache = jailpy.environment["XDG_CACHE_HOME"]
    cold = dataclasses.replace(jailpy, name="first", prepare=lambda: shutil.rmtree(f"{cache}/jailpy"))
    return {"unit": "ms", **in_turns([cold], runs)["first"].summary()}
