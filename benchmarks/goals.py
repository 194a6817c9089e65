"""The figures that the project has set itself, computed from a record."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks import grading, plugins, scripts
from benchmarks.contestants import BUBBLEWRAP, COLD, FIREJAIL, PLAIN, POOLED, PYTHON, SANDLOCK, WARM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AT_MOST, AT_LEAST = "at most", "at least"
_HOLDS = {AT_MOST: operator.le, AT_LEAST: operator.ge}
MB = 1e6
MANY_RUNS = 20000


@dataclass(frozen=True)
class Goal:
    """A figure of a row of the record (None where that was not measured), and what it is to be."""

    row: str
    words: str
    sense: str
    limit: float
    unit: str
    figure: Callable[[Mapping[str, Any]], float | None]

    def line(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the goal with what was measured, and whether it is reached (None where nothing was measured)."""
        figure = self.figure(record)
        return {
            "row": self.row,
            "figure": self.words,
            "measured": None if figure is None else round(figure, 3),
            "sense": self.sense,
            "goal": self.limit,
            "unit": self.unit,
            "reached": None if figure is None else bool(_HOLDS[self.sense](figure, self.limit)),
        }


def lines(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every goal with its figure."""
    return [goal.line(record) for goal in GOALS]


def row(record: Mapping[str, Any], part: str, name: str) -> Mapping[str, Any] | None:
    """Find a row of a part by its name; None where it was not measured."""
    return next((entry for entry in (record.get(part) or {}).get("rows", ()) if entry["name"] == name), None)


def _p50(record: Mapping[str, Any], name: str) -> float | None:
    found = row(record, "start", name)
    return found["p50"] if found else None


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one / other


def _start(mine: str, other: str) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda record: _ratio(_p50(record, mine), _p50(record, other))


def _over_python(record: Mapping[str, Any]) -> float | None:
    cold, python = _p50(record, COLD), _p50(record, PYTHON)
    return None if cold is None or python is None else cold - python


def _two_at_a_time(record: Mapping[str, Any]) -> float | None:
    rows = (row(record, "throughput", name) for name in (WARM, BUBBLEWRAP))
    return _ratio(*(found["rates"].get("2") if found else None for found in rows))


def _script(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    def figure(record: Mapping[str, Any]) -> float | None:
        found = row(record, "scripts", name)
        mine, other = ((found or {"ways": {}})["ways"].get(way) for way in (scripts.WARM_PYTHON, scripts.UNJAILED))
        return _ratio(mine and mine["p50"], other and other["p50"])

    return figure


def _graded(name: str, key: str) -> Callable[[Mapping[str, Any]], float | None]:
    def figure(record: Mapping[str, Any]) -> float | None:
        found = row(record, "grading", name)
        return float(found[key]) if found else None

    return figure


def _over_bare(record: Mapping[str, Any]) -> float | None:
    times = (_graded(grading.PYTHON, key)(record) for key in ("graded_s", "bare_s"))
    return _ratio(*times)


def _idle(record: Mapping[str, Any]) -> float | None:
    found = (record.get("alive") or {}).get("pool")
    return float(found["pss_mb"]) if found else None


def _plugin(name: str, factor: float = 1.0) -> Callable[[Mapping[str, Any]], float | None]:
    def figure(record: Mapping[str, Any]) -> float | None:
        found = row(record, "plugins", name)
        return found["p50"] * factor if found else None

    return figure


def _ends(record: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return the look at each launcher when a tenth of the runs was over, and the last look; nothing unless runs were many."""
    found = record.get("past_runs") or {"runs": 0, "rows": []}
    return [(entry["points"][1], entry["points"][-1]) for entry in found["rows"] if found["runs"] >= MANY_RUNS]


def _gained(record: Mapping[str, Any]) -> float | None:
    """Return what is there more of, of all launchers together."""
    ends, names = _ends(record), ("descriptors", "processes", "cgroups")
    return float(sum(max(0, last[name] - first[name]) for first, last in ends for name in names)) if ends else None


def _drift(record: Mapping[str, Any]) -> float | None:
    """Return how many times as long the last runs take, the pace of the machine (that of a plain process) taken out."""
    ratios = (last["p50"] / first["p50"] / (last["plain_p50"] / first["plain_p50"]) for first, last in _ends(record))
    return max((float(ratio) for ratio in ratios), default=None)


def _memory_gained(record: Mapping[str, Any]) -> float | None:
    """Return what the launcher gained that gained the most."""
    return max(((last["memory_bytes"] - first["memory_bytes"]) / MB for first, last in _ends(record)), default=None)


def _off(what: str) -> Callable[[Mapping[str, Any]], float | None]:
    """Return the median error of the workload that is off the most, in per cent."""

    def figure(record: Mapping[str, Any]) -> float | None:
        rows = (record.get("accuracy") or {}).get("rows")
        return max(abs(float(entry[what]["median"])) for entry in rows) if rows else None

    return figure


def _call(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    """Return the ratio of a system call's cost; None where a script measured it, whose own time hides the difference."""

    def figure(record: Mapping[str, Any]) -> float | None:
        found = record.get("inside")
        return float(found["ratios"][name]["median"]) if found and found["program"] == "C program" else None

    return figure


GOALS = (
    Goal("start", "warm run / bubblewrap", AT_MOST, 0.75, "x", _start(WARM, BUBBLEWRAP)),
    Goal("start", "warm run / sandlock with limits", AT_MOST, 1.0, "x", _start(WARM, SANDLOCK)),
    Goal("start", "pooled run / plain process", AT_MOST, 2.0, "x", _start(POOLED, PLAIN)),
    Goal("start", "jailpy exec / firejail", AT_MOST, 1.0, "x", _start(COLD, FIREJAIL)),
    Goal("start", "jailpy exec - python3 -c pass", AT_MOST, 35.0, "ms", _over_python),
    Goal("throughput", "throughput of 2 at a time, warm / bubblewrap", AT_LEAST, 1.5, "x", _two_at_a_time),
    Goal("scripts", "script of ten lines, warm Python / python3 not jailed", AT_MOST, 0.5, "x", _script("ten lines")),
    Goal("scripts", "script with numpy, warm Python / python3 not jailed", AT_MOST, 0.1, "x", _script("numpy")),
    Goal("grading", "Python submissions, judged / run by the same threads", AT_MOST, 1.3, "x", _over_bare),
    Goal("grading", "C submissions, 2 at a time", AT_LEAST, 300.0, "runs/s", _graded(grading.C, "runs_per_s")),
    Goal("grading", "grading beside the jailed run", AT_MOST, 5.0, "ms", _graded(grading.PYTHON, "beside_ms")),
    Goal("plugins", plugins.CALL, AT_MOST, 150.0, "us", _plugin(plugins.CALL, 1000.0)),
    Goal("plugins", plugins.BUFFER, AT_MOST, 20.0, "ms", _plugin(plugins.BUFFER)),
    Goal("plugins", plugins.BYTES, AT_MOST, 20.0, "ms", _plugin(plugins.BYTES)),
    Goal("plugins", plugins.START, AT_MOST, 50.0, "ms", _plugin(plugins.START)),
    Goal("plugins", plugins.SPARE, AT_MOST, 50.0, "ms", _plugin(plugins.SPARE)),
    Goal("plugins", plugins.FRESH, AT_MOST, 5.0, "ms", _plugin(plugins.FRESH)),
    Goal("alive", "memory of an idle jail in a pool (PSS)", AT_MOST, 2.0, "MB", _idle),
    Goal(
        "past_runs",
        f"descriptors, processes, cgroups gained from run {MANY_RUNS // 10} to {MANY_RUNS}",
        AT_MOST,
        0,
        "",
        _gained,
    ),
    Goal(
        "past_runs",
        f"memory that a launcher gained from run {MANY_RUNS // 10} to {MANY_RUNS}",
        AT_MOST,
        1.0,
        "MB",
        _memory_gained,
    ),
    Goal("past_runs", f"time of run {MANY_RUNS} / of run {MANY_RUNS // 10}", AT_MOST, 1.1, "x", _drift),
    Goal("accuracy", "reported CPU time, off by", AT_MOST, 3.0, "%", _off("cpu")),
    Goal("accuracy", "reported peak memory, off by", AT_MOST, 5.0, "%", _off("memory")),
    Goal("inside", "getpid inside / under an allow-everything filter", AT_MOST, 1.05, "x", _call("getpid")),
    Goal("inside", "read inside / under an allow-everything filter", AT_MOST, 1.05, "x", _call("read")),
    Goal("inside", "stat inside / unconfined", AT_MOST, 1.10, "x", _call("stat")),
    Goal("inside", "open and close inside / unconfined", AT_MOST, 1.35, "x", _call("open+close")),
)
