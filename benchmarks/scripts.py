"""Start of a small Python script: jailed by a warm interpreter, jailed by a warm launcher, and not jailed at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.common import say
from benchmarks.contestants import Contestant, jailpy
from benchmarks.timing import summary

if TYPE_CHECKING:
    from benchmarks.stage import Stage

WORDS = "start of a Python script"
UNJAILED, ONE_THREAD = "python3 script.py, not jailed", "the same, one thread for numpy"
WARM_PYTHON, WARM_RUN = "Launcher.python(script)", "Launcher.run([python3, script])"
TEN_LINES = """import collections
import csv
import io
import json
import re

rows = csv.DictReader(io.StringIO("name,count\\nant,3\\nbee,4\\nant,5\\n"))
total = collections.Counter()
for row in rows:
    total[re.sub("^a", "A", row["name"])] += int(row["count"])
print(json.dumps(total, sort_keys=True))
"""
WITH_NUMPY = """import numpy

print(int(numpy.arange(10).sum()))
"""
# As in a jail: numpy's library starts as many threads as there are processors otherwise, which costs.
NO_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
# name: (script, what it prints, what is loaded beforehand)
SCRIPTS = {
    "ten lines": (TEN_LINES, '{"Ant": 8, "bee": 4}\n', ["collections", "csv", "io", "json", "re"]),
    "numpy": (WITH_NUMPY, "45\n", ["numpy"]),
}


def measure(stage: Stage) -> dict[str, Any]:
    """Return the time of each way by script."""
    found = []
    for name, (text, output, preload) in SCRIPTS.items():
        say(f"script: {name}")
        where = "numpy" if "numpy" in preload else "jailpy"
        with stage.noting(f"script with {name}"):
            entries = _ways(stage, name, text, where, preload, output)
            times = stage.times(entries, stage.amounts.scripts)
            ways = {entry.shown: summary(times[entry.name]) for entry in entries if entry.name in times}
            found.append({"name": name, "ways": ways})
    return {"unit": "ms", "rows": found}


def _ways(stage: Stage, name: str, text: str, where: str, preload: list[str], output: str) -> list[Contestant]:
    """Return the ways, the unjailed one first: it leaves the bytecode of what it imports. Raises UnavailableError."""
    python = stage.environments.get(where).python
    path = f"{stage.scratch}/script-{name.replace(' ', '-')}.py"
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    plain: dict[str, Any] = {"way": "subprocess", "commands": [[python, path]]}
    calls: dict[str, dict[str, Any]] = {
        UNJAILED: plain,
        ONE_THREAD: {**plain, "environment": NO_THREADS},
        WARM_PYTHON: {"way": "python", "launcher_options": {}, "script": path, "options": {"preload": preload}},
        WARM_RUN: jailpy("", [python, path], ro=[path], runtime=["caller-python", "blas"]).call,
    }
    return [Contestant(f"{way}, {name}", where, call, way, output=output) for way, call in calls.items()]
