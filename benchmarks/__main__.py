"""Measure JailPy beside its peers; print tables, and write JSON where asked.

    python -m benchmarks [--quick] [--runs N] [--sandlock] [--json FILE]

Run it from the top of the repository, in an environment where JailPy is installed. It makes environments of its own in a
temporary folder (so `pip` must be able to install), which it removes.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from benchmarks import environments, inside, start, steps

if TYPE_CHECKING:
    from collections.abc import Sequence


def options(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, metavar="N", help="starts of each command (default 60; 10 with --quick)")
    parser.add_argument("--quick", action="store_true", help="few runs: a look, not a result")
    parser.add_argument("--sandlock", action="store_true", help="also install sandlock from PyPI and time it")
    parser.add_argument("--json", metavar="FILE", help="write the record to FILE")
    chosen = parser.parse_args(argv)
    chosen.runs = chosen.runs if chosen.runs is not None else 10 if chosen.quick else 60
    if chosen.runs < 1:
        parser.error("--runs must be at least 1")
    return chosen


def host() -> dict[str, Any]:
    """Say what was measured on."""
    release = platform.freedesktop_os_release()
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "distribution": release.get("PRETTY_NAME", release["NAME"]),
        "python": platform.python_version(),
        "user": "root" if os.geteuid() == 0 else "ordinary",
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def measure(chosen: argparse.Namespace, scratch: str) -> dict[str, Any]:
    """Measure everything; return the record."""
    record: dict[str, Any] = {
        "schema": 1,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "host": host(),
    }
    say("installing JailPy into an environment of its own")
    installed = environments.install(scratch)
    environments.warm(installed)
    contestants = environments.own(installed)
    others, record["skipped"] = environments.peers(installed, scratch, sandlock=chosen.sandlock)
    say(f"{chosen.runs} cold starts of each")
    record["start"], goals = start.measure([*contestants, *others], chosen.runs)
    record["first_start"] = start.first_start(contestants[-1], 1 + chosen.runs // 10)
    say("one run, step by step")
    record["steps"] = steps.measure(installed, 1 + chosen.runs // 2)
    say("system calls inside")
    record["inside"], more = inside.measure(installed, scratch, 1 + chosen.runs // 3)
    record["targets"] = [*goals, *more]
    return record


def say(text: str) -> None:
    """Say on standard error what is going on."""
    print(f"benchmarks: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print, write."""
    chosen = options()
    from rich.console import Console

    from benchmarks import tables

    with tempfile.TemporaryDirectory(prefix="jailpy-benchmarks-") as scratch:
        record = measure(chosen, scratch)
    tables.show(record, Console(width=None if sys.stdout.isatty() else 120))
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
