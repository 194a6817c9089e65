"""Where the time of one cold run goes, step by step: many watched runs, medians of each part."""

from __future__ import annotations

import ast
import statistics
import subprocess
import time
from typing import TYPE_CHECKING, Any

from benchmarks.common import ROOT, FailedError, say
from benchmarks.environments import STRICT
from benchmarks.one_run import END, IMPORTS, REST, START, WATCHED

if TYPE_CHECKING:
    from benchmarks.environments import Installed
    from benchmarks.stage import Stage

WORDS = "one cold run, step by step"

# Appended to the path, so that `jailpy` is the installed one. `at` is taken before anything is imported.
STUB = "import time; at = time.monotonic_ns(); import sys; sys.path.append({root!r}); from benchmarks import one_run; "
STUB += "one_run.main(at, {argv!r})"


def watch(installed: Installed) -> dict[str, Any]:
    """Watch one cold run; return the record with the times that only its parent can see."""
    # Without -P Python would look for jailpy in the current folder first.
    argv = [installed.python, "-P", "-c", STUB.format(root=ROOT, argv=STRICT.split()[1:])]
    began = time.monotonic_ns()
    done = subprocess.run(argv, env=installed.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    ended = time.monotonic_ns()
    if done.returncode:
        raise FailedError(f"the watched run failed: {done.stderr.strip()}")
    record: dict[str, Any] = ast.literal_eval(done.stderr.splitlines()[-2])
    if record["status"]:
        raise FailedError(f"the watched run ended with {record['status']}: {done.stderr.strip()}")
    started = record["ended_ns"] - sum(spent for spent, _ in record["spent"].values()) - record["prepared_ns"]
    record["spent"][START] = [started - began, 1]
    record["spent"][END] = [ended - int(done.stderr.splitlines()[-1]), 1]
    return record


def measure(stage: Stage) -> dict[str, Any]:
    """Return the median of each part in milliseconds: the launcher's parts, then the child's steps by type."""
    installed, runs = stage.installed, stage.amounts.steps
    say("one cold run, step by step")
    watch(installed)  # compiles the watcher's own bytecode
    records = [watch(installed) for _ in range(runs)]
    labels = list(dict.fromkeys([START, IMPORTS, *(label for _, _, label in WATCHED), REST, END]))
    launcher = [row(label, [record["spent"].get(label, (0, 0)) for record in records]) for label in labels]
    return {
        "unit": "ms",
        "runs": runs,
        "modules_imported": statistics.median_low(record["modules"] for record in records),
        "launcher": launcher,
        "launcher_total": round(sum(entry["median"] for entry in launcher), 3),
        "child": child_rows(records),
    }


def row(name: str, spent: list[tuple[int, int]]) -> dict[str, Any]:
    """Make one line: the median of the sums, and how often that part ran."""
    times = [time_ns / 1e6 for time_ns, _ in spent]
    return {
        "name": name,
        "median": round(statistics.median(times), 3),
        "min": round(min(times), 3),
        "count": statistics.median_low(count for _, count in spent),
    }


def child_rows(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add up the steps of each type and side; the most expensive first. Steps that never return (execve) have no time."""
    sums: dict[tuple[str, str], list[list[int]]] = {}
    for number, record in enumerate(records):
        for name, side, begin, end in record["steps"]:
            if end:
                entry = sums.setdefault((name, side), [[0, 0] for _ in records])[number]
                entry[0] += end - begin
                entry[1] += 1
    rows = [{**row(name, [(a, b) for a, b in spent]), "side": side} for (name, side), spent in sums.items()]
    return sorted(rows, key=lambda entry: -entry["median"])
