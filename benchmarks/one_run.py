"""One cold run of `jailpy exec`, watched from outside. Runs in the environment where JailPy is installed.

The functions named here are wrapped where their callers look them up; the product holds no timing code.
"""

from __future__ import annotations

import importlib
import sys
import time

from benchmarks.spans import SharedSlots, Spans

START, IMPORTS, REST, END = "interpreter start", "imports", "the rest of JailPy's own code", "interpreter end"
# (module, attribute path, label); the order is that of the table.
WATCHED = (
    ("jailpy.cli.options", "parse", "options"),
    ("jailpy.cli.execute", "request", "options"),
    ("jailpy.api", "load", "profile (from the cache)"),
    ("jailpy.host.facts", "gather", "host facts"),
    ("jailpy.api", "compile_plan", "compile the plan"),
    ("jailpy.launcher.cold", "_before_clone", "make and limit the cgroups"),
    ("jailpy.launcher.cold", "_clone", "clone3 with all namespaces"),
    ("jailpy.launcher.cold", "_after_clone", "id maps"),
    ("jailpy.launcher.cold", "_await_ready", "wait while the child applies its steps"),
    ("jailpy.launcher.verify", "verify", "verify each layer in /proc"),
    ("jailpy.supervisor.run", "supervise", "execve, the payload itself, supervision"),
    ("jailpy.launcher.cold", "Jail.close", "reap init, remove the cgroups"),
    ("jailpy.report.record", "record", "report"),
)


def owner_of(module: str, path: str) -> tuple[object, str]:
    """Find the object that holds an attribute. Raises AttributeError where JailPy has none of that name."""
    owner: object = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    getattr(owner, name)
    return owner, name


def main(at: int, argv: list[str]) -> None:
    """Run `jailpy` with `argv`; write what was measured to standard error, as one line (a Python literal), and then the time.

    `at` is when the interpreter began to run code (CLOCK_MONOTONIC, ns).
    """
    spans = Spans(REST, at)
    spans.wrap_imports(IMPORTS)
    slots = SharedSlots(512)
    ready = time.monotonic_ns()
    spans.turn(ready)
    spans.spent[REST][0] = 0  # this module's own preparation
    before = len(sys.modules)
    spans.enter(IMPORTS)
    from jailpy import child
    from jailpy.cli import main as jailpy

    found = [(*owner_of(module, path), label) for module, path, label in WATCHED]
    spans.leave()
    for owner, name, label in found:
        spans.wrap(owner, name, label, (lambda plan: slots.name(plan.steps)) if name == "compile_plan" else None)
    slots.wrap(child.APPLY)
    status = jailpy(argv)
    ended = time.monotonic_ns()
    spans.turn(ended)
    spent = {label: list(pair) for label, pair in spans.spent.items()}
    modules = len(sys.modules) - before
    record = {
        "status": status,
        "modules": modules,
        "prepared_ns": ready - at,
        "ended_ns": ended,
        "spent": spent,
        "steps": slots.times(),
    }
    sys.stderr.write(f"{record!r}\n")  # json would have to be imported, and unloaded at the end
    sys.stderr.write(f"{time.monotonic_ns()}\n")
