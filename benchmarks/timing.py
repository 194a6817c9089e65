"""Time commands in turns (A B C A B C ...), and say what their times were. Milliseconds everywhere."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Contestant:
    """A command to time. `shown` is how people would type it; `prepare` runs before each start, untimed."""

    name: str
    argv: list[str]
    shown: str
    environment: Mapping[str, str]
    prepare: Callable[[], object] | None = None


@dataclass
class Times:
    """The wall and the CPU time of each start, and what they come to."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        return {**summary(self.wall), "cpu_median": round(statistics.median(self.cpu), 3), "runs": len(self.wall)}


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the 90th percentile and the minimum."""
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 3),
        "p90": round(ordered[max(0, -(-len(ordered) * 9 // 10) - 1)], 3),
        "min": round(ordered[0], 3),
    }


def check(contestant: Contestant) -> None:
    """Run a command once, which also fills caches. Raises SystemExit with its words where it fails."""
    done = subprocess.run(contestant.argv, env=contestant.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"benchmarks: error: {contestant.shown}: status {done.returncode}: {done.stderr.strip()}")


def once(contestant: Contestant, null: int) -> tuple[float, float]:
    """Start a command with its standard streams on `null`, wait for it, and return its wall and CPU time."""
    if contestant.prepare:
        contestant.prepare()
    streams = [(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1, 2)]
    begin = time.perf_counter()
    pid = os.posix_spawn(contestant.argv[0], contestant.argv, contestant.environment, file_actions=streams)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - begin
    if status:
        raise SystemExit(f"benchmarks: error: {contestant.shown}: status {os.waitstatus_to_exitcode(status)}")
    return wall * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3


def in_turns(contestants: Sequence[Contestant], runs: int) -> dict[str, Times]:
    """Time all of them `runs` times. Each round begins with the next one, so that nobody always follows the same."""
    found = {contestant.name: Times() for contestant in contestants}
    for contestant in contestants:
        check(contestant)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in range(runs):
        first = number % len(contestants)
        for contestant in (*contestants[first:], *contestants[:first]):
            wall, cpu = once(contestant, null)
            found[contestant.name].wall.append(wall)
            found[contestant.name].cpu.append(cpu)
    os.close(null)
    return found
