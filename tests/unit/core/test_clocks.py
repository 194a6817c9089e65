"""Deadlines and durations never come from the clock that can be set (CLOCK_REALTIME): here by the source, in tests/vm by jumps.

Where the time of day is read it is on the list below, with the reason: for people to read, or against the times of files.
"""

from __future__ import annotations

import ast
import os
import re

import pytest

import jailpy

PACKAGE = os.path.dirname(jailpy.__file__)
SETTABLE = {
    "time": {
        "time", "time_ns", "ctime", "asctime", "gmtime", "localtime", "strftime", "CLOCK_REALTIME", "CLOCK_TAI",
        "clock_settime", "clock_settime_ns",
    },
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}  # fmt: skip
# What reads it, and why it may.
ALLOWED = {
    "api.py now": "started_at of the report",
    "services/grading/session.py __init__": "when a grading began; it goes on by time.monotonic",
    "profile/locate.py is_settled": "the times of files are of this clock; where it jumps, a file is read once more",
    "host/changes.py _is_settled": "as for profiles",
}
# A kind of clock that is no name of Python's: in C, in ctypes, in TOML.
WORDS = re.compile(r"\bCLOCK_REALTIME\b|\bgettimeofday\b|\btime\(NULL\)")


def readers(source):
    """Return each function (or "<module>") that reads the clock that can be set, and by which name."""
    found = []

    def visit(node, inside, modules):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                visit(child, child.name, modules)
                continue
            name = settable(child, modules)
            if name:
                found.append((inside, name))
            visit(child, inside, modules)

    tree = ast.parse(source)
    visit(tree, "<module>", imported(tree))
    return found


def imported(tree):
    """Return which names of a file stand for which module or class."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update({alias.asname or alias.name: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names


def settable(node, modules):
    """Return the name by which a node reads the clock, "" for one that does not."""
    if isinstance(node, ast.Attribute):
        whole = ast.unparse(node.value)
        owner = modules.get(whole.split(".")[0], whole.split(".")[0]).split(".")[0]
        last = whole.split(".")[-1]
        if node.attr in SETTABLE.get(owner, ()) or (owner == "datetime" and node.attr in SETTABLE.get(last, SETTABLE["date"])):
            return ast.unparse(node)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        owner, _, name = modules.get(node.id, "").rpartition(".")
        return node.id if name in SETTABLE.get(owner, ()) else ""
    return ""


def sources():
    for folder, _, files in os.walk(PACKAGE):
        if os.path.relpath(folder, PACKAGE).startswith(os.path.join("services", "escapes", "programs")):
            continue  # payloads
        for name in files:
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    yield os.path.relpath(path, PACKAGE), file.read()


@pytest.mark.parametrize("source", [
    "import time\nend = time.time() + 5", "import time as t\ndef f():\n    return t.time_ns()", "from time import time\nx = time()",
    "from time import time as now\nx = now()", "import datetime as dt\nx = dt.datetime.now(dt.UTC)",
    "from datetime import datetime\nx = datetime.utcnow()", "import time\nx = time.clock_gettime(time.CLOCK_REALTIME)",
    "import time\nx = time.strftime('%F')", "from datetime import date\nx = date.today()", "import time\nclock = time.time\nx = clock()",
])  # fmt: skip
def test_each_way_to_read_it_is_seen(source):
    assert len(readers(source)) >= 1


@pytest.mark.parametrize("source", [
    "import time\nend = time.monotonic() + 5", "import time\ntime.sleep(1)", "import time\nx = time.clock_gettime(time.CLOCK_MONOTONIC)",
    "import datetime as dt\nx = dt.datetime.fromisoformat('2026-01-01')", "from jailpy.api import now\nx = now()",
    "import time\nx = time.perf_counter(), time.process_time()",
])  # fmt: skip
def test_other_clocks_are_not(source):
    assert readers(source) == []


def test_no_deadline_follows_the_time_of_day():
    found = {f"{path} {function}" for path, source in sources() for function, _ in readers(source)}
    assert found == set(ALLOWED), "a deadline or a duration needs time.monotonic"


def test_no_other_language_asks_for_it():
    named = {path for path, source in sources() if WORDS.search(source)}
    assert named == set()
