"""What a system call costs inside the jail: beside an unconfined process and one under a filter that allows everything.

The calls are those of benchmarks/syscall_cost.py, which also compares the layers one by one; here they run in the whole
jail, through `jailpy exec --ro`. Where gcc is missing a Python script makes the calls: the interpreter's own time then
hides much of every ratio, so nothing is compared with a target.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks import syscall_cost
from benchmarks.start import target

if TYPE_CHECKING:
    from benchmarks.environments import Installed

UNCONFINED, ALLOW, JAIL = "unconfined", "allow-everything filter", "jailpy"
SHOWN = "jailpy exec --ro calls:/opt/calls -- /opt/calls"
# (call, compared with, limit of the ratio)
TARGETS = (("getpid", ALLOW, 1.05), ("read", ALLOW, 1.05), ("stat", UNCONFINED, 1.10), ("open+close", UNCONFINED, 1.35))
SCRIPT = """#!{python}
import os, time
zero = os.open("/dev/zero", os.O_RDONLY)
path = "/usr/share/doc/libc6/copyright"
if not os.path.exists(path):
    path = "/usr/lib/os-release"
for name, call in (
    ("getpid", os.getpid),
    ("read", lambda: os.read(zero, 1)),
    ("stat", lambda: os.stat(path)),
    ("open+close", lambda: os.close(os.open(path, os.O_RDONLY))),
):
    for _ in range(500):
        call()
    begin = time.perf_counter_ns()
    for _ in range(5000):
        call()
    print(name, (time.perf_counter_ns() - begin) / 5000)
"""


def build(scratch: str) -> tuple[str, str]:
    """Make the program; return its path and what it is. Raises SystemExit where neither gcc nor a system Python is here."""
    path = f"{scratch}/calls"
    if shutil.which("gcc"):
        command = ["gcc", "-O2", "-o", path, "-x", "c", "-"]
        subprocess.run(command, input=syscall_cost.SOURCE.encode(), check=True)
        return path, "C program"
    python = os.path.realpath(sys.executable)
    if not python.startswith("/usr/"):
        raise SystemExit("benchmarks: error: inside: neither gcc nor a Python below /usr, which the jail shows")
    with open(path, "w", encoding="ascii") as file:
        file.write(SCRIPT.format(python=python))
    os.chmod(path, 0o755)
    return path, "Python script"


def jailed(installed: Installed, program: str) -> dict[str, float]:
    """Run the program in the jail once; return nanoseconds by call. Raises SystemExit."""
    command = [installed.jailpy, "exec", "--ro", f"{program}:/opt/calls", "--", "/opt/calls"]
    done = subprocess.run(command, env=installed.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"benchmarks: error: {SHOWN}: status {done.returncode}: {done.stderr.strip()}")
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def measure(installed: Installed, scratch: str, rounds: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return nanoseconds by way and call, and the targets. The ways take turns."""
    program, kind = build(scratch)
    found: dict[str, list[dict[str, float]]] = {UNCONFINED: [], ALLOW: [], JAIL: []}
    for _ in range(rounds):
        found[UNCONFINED].append(syscall_cost.measure("bare", b"", program))
        found[ALLOW].append(syscall_cost.measure("allow everything", b"", program))
        found[JAIL].append(jailed(installed, program))
    ways = {way: {name: _line([entry[name] for entry in entries]) for name in entries[0]} for way, entries in found.items()}
    record = {"unit": "ns", "rounds": rounds, "program": kind, "command": SHOWN, "ways": ways}
    return record, _targets(found) if kind == "C program" else []


def _line(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 1), "min": round(min(values), 1)}


def _targets(found: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    return [
        target(f"{call}: jailpy / {base}", "x", ratio, limit, by_minima)
        for call, base, limit in TARGETS
        for ratio, by_minima in [ratios([[entry[call] for entry in found[way]] for way in (JAIL, base)])]
    ]


def ratios(values: list[list[float]]) -> tuple[float, float]:
    """Return the median of the ratios round by round (the machine was then the same for both), and that of the minima."""
    mine, base = values
    return statistics.median(one / other for one, other in zip(mine, base, strict=True)), min(mine) / min(base)
