"""What a system call costs inside the jail: beside an unconfined process and one under a filter that allows everything.

The calls are those of benchmarks/syscall_cost.py, which also compares the layers one by one; here they run in the whole
jail, through `jailpy exec --ro`. Where gcc is missing a Python script makes the calls: the interpreter's own time then
hides much of every ratio, so nothing is compared with a goal.
"""

from __future__ import annotations

import statistics
import subprocess
from typing import TYPE_CHECKING, Any

from benchmarks import payloads, syscall_cost
from benchmarks.common import FailedError, say

if TYPE_CHECKING:
    from benchmarks.environments import Installed
    from benchmarks.stage import Stage

WORDS = "system calls inside"
UNCONFINED, ALLOW, JAIL = "unconfined", "allow-everything filter", "jailpy"
SHOWN = "jailpy exec --ro calls:/opt/calls -- /opt/calls"
BASES = {"getpid": ALLOW, "read": ALLOW, "stat": UNCONFINED, "open+close": UNCONFINED}
SCRIPT = """import os, time
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


def jailed(installed: Installed, program: str) -> dict[str, float]:
    """Run the program in the jail once; return nanoseconds by call. Raises FailedError."""
    command = [installed.jailpy, "exec", "--ro", f"{program}:/opt/calls", "--", "/opt/calls"]
    done = subprocess.run(command, env=installed.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise FailedError(f"{SHOWN}: status {done.returncode}: {done.stderr.strip()}")
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def measure(stage: Stage) -> dict[str, Any]:
    """Return nanoseconds by way and call, and the ratios of the jail. The ways take turns."""
    program, rounds = f"{stage.scratch}/calls", stage.amounts.inside
    kind = payloads.build(program, syscall_cost.SOURCE, SCRIPT)
    say(f"system calls inside, {rounds} rounds")
    found: dict[str, list[dict[str, float]]] = {UNCONFINED: [], ALLOW: [], JAIL: []}
    for _ in range(rounds):
        found[UNCONFINED].append(syscall_cost.measure("bare", b"", program))
        found[ALLOW].append(syscall_cost.measure("allow everything", b"", program))
        found[JAIL].append(jailed(stage.installed, program))
    ways = {way: {name: _line([entry[name] for entry in entries]) for name in entries[0]} for way, entries in found.items()}
    ratios = {
        call: {"base": base, "median": ratio([[entry[call] for entry in found[way]] for way in (JAIL, base)])}
        for call, base in BASES.items()
    }
    return {"unit": "ns", "rounds": rounds, "program": kind, "command": SHOWN, "ways": ways, "ratios": ratios}


def _line(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 1), "min": round(min(values), 1)}


def ratio(values: list[list[float]]) -> float:
    """Return the median of the ratios round by round: the machine was then the same for both."""
    mine, base = values
    return round(statistics.median(one / other for one, other in zip(mine, base, strict=True)), 3)
