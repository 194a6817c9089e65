"""Measure JailPy beside its peers in one go; print tables, and write JSON and a plot where asked.

Run it from the top of the repository, in an environment where JailPy is installed. It makes environments of its own in a
temporary folder (so `pip` must be able to install), and removes them. Peers that are not installed are named and left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import os
import platform
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from benchmarks import (
    accuracy,
    alive,
    goals,
    grading,
    inside,
    mounts,
    past_runs,
    plugins,
    processor,
    scripts,
    start,
    steps,
    throughput,
)
from benchmarks.common import FailedError, UnavailableError
from benchmarks.stage import QUICK, Amounts, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = 2
ROWS = {
    "start": start,
    "throughput": throughput,
    "processor": processor,
    "alive": alive,
    "scripts": scripts,
    "grading": grading,
    "plugins": plugins,
    "mounts": mounts,
    "past_runs": past_runs,
    "accuracy": accuracy,
    "inside": inside,
    "steps": steps,
}
EPILOG = """examples:
  python -m benchmarks                                      everything, about ten minutes
  python -m benchmarks --quick                              a look, less than two minutes
  python -m benchmarks --soak --json record.json --svg starts.svg
  python -m benchmarks --only start throughput              two rows

rows:
"""


def options(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    epilog = EPILOG + "".join(f"  {name:12} {module.WORDS}\n" for name, module in ROWS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="few runs of everything: a look, not a result")
    parser.add_argument("--soak", action="store_true", help=f"{goals.MANY_RUNS} past runs in place of {Amounts().past_runs}")
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="ROW", help="measure these rows")
    parser.add_argument("--in-place", action="store_true", help="measure the JailPy of this environment, and install nothing")
    parser.add_argument("--json", metavar="FILE", help="write the record to FILE")
    parser.add_argument("--svg", metavar="FILE", help="draw the row `start` into FILE")
    chosen = parser.parse_args(argv)
    if chosen.svg and chosen.only and "start" not in chosen.only:
        parser.error("--svg draws the row start, which --only leaves out")
    return chosen


def shown(chosen: argparse.Namespace) -> str:
    """Return the command line, without the files that it writes."""
    flags = [f"--{name.replace('_', '-')}" for name in ("quick", "soak", "in_place") if getattr(chosen, name)]
    return " ".join(["python -m benchmarks", *flags, *(["--only", *chosen.only] if chosen.only else [])])


def amounts(chosen: argparse.Namespace) -> Amounts:
    """Return how much is measured."""
    found = QUICK if chosen.quick else Amounts()
    return dataclasses.replace(found, past_runs=goals.MANY_RUNS) if chosen.soak else found


def host() -> dict[str, Any]:
    """Say what was measured on."""
    release = platform.freedesktop_os_release()
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
        kinds = {line.split()[2] for line in file}
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "distribution": release.get("PRETTY_NAME", release["NAME"]),
        "python": platform.python_version(),
        "user": "root" if os.geteuid() == 0 else "ordinary",
        "cgroups": " and ".join(version for kind, version in (("cgroup", "1"), ("cgroup2", "2")) if kind in kinds),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def measure(stage: Stage, names: Sequence[str], command: str) -> dict[str, Any]:
    """Measure the rows; return the record. Raises FailedError where JailPy itself cannot be had."""
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "command": command,
        "host": host(),
    }
    _ = stage.installed
    record["versions"] = versions(stage)
    for name in names:
        with stage.noting(name):
            record[name] = ROWS[name].measure(stage)
    record["goals"] = goals.lines(record)
    return {**record, "skipped": stage.skipped, "failed": stage.failed}


def versions(stage: Stage) -> dict[str, str]:
    """Return the versions of all that is here."""
    from benchmarks import peers

    found = {"jailpy": stage.caller("jailpy").call("calls:version", package="jailpy")}
    for entry in peers.PEERS:
        with stage.noting(entry.name):
            found[entry.name] = entry.version()
    for name in ("sandlock", "numpy"):
        with stage.noting(name):
            found[name] = stage.caller(name).call("calls:version", package=name)
    return found


def show(record: dict[str, Any]) -> None:
    """Print the tables, and what is not in them."""
    from rich.console import Console

    from benchmarks import tables

    console = Console(width=None if sys.stdout.isatty() else 140)
    for name, version in record["versions"].items():
        console.print(f"{name} {version}", highlight=False)
    for grid in tables.grids(record):
        console.print(f"\n{grid.title}", style="bold", highlight=False)
        console.print(grid.rich())
    for kind in ("skipped", "failed"):
        for entry in record[kind]:
            console.print(f"{kind}: {entry['name']}: {entry['why']}", highlight=False, markup=False)


def write(path: str, text: str) -> None:
    """Write a file. Raises SystemExit where that cannot be."""
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SystemExit(f"benchmarks: error: {path}: {error.strerror}") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write. Return 1 where something that is here could not be run; what the figures are is no matter."""
    chosen = options(argv)
    names = [name for name in ROWS if not chosen.only or name in chosen.only]
    with tempfile.TemporaryDirectory(prefix="jailpy-benchmarks-") as scratch:
        os.chmod(scratch, 0o755)
        with Stage(scratch, amounts(chosen), in_place=chosen.in_place) as stage:
            try:
                record = measure(stage, names, shown(chosen))
            except (FailedError, UnavailableError) as error:
                raise SystemExit(f"benchmarks: error: {error}") from None
    show(record)
    if chosen.json:
        write(chosen.json, json.dumps(record, indent=1) + "\n")
    if chosen.svg and "start" in record:
        from benchmarks import svg

        write(chosen.svg, svg.chart(record))
    return 1 if record["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
