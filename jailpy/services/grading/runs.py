"""One run of a submission on one test: its options, its output, and whether its time must be measured again, alone."""

from __future__ import annotations

import os

import msgspec

from jailpy.services.grading.results import Limits, Timing, Verdict
from jailpy.services.grading.verdicts import of_run
from jailpy.services.languages.build import WORK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Any

    from jailpy.client.result import CompletedRun
    from jailpy.services.grading.problem import Problem, Test
    from jailpy.services.grading.slots import Slot, Slots
    from jailpy.services.grading.verdicts import Ending
    from jailpy.services.languages.build import Program

_ERRORS_TOO = 64 << 10  # standard error counts in the jail's limit, and not in the format's
_WALL_FACTOR, _WALL_MORE, _IDLE_MORE = 3, 2.0, 1.0
_STACK = 1 << 30


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A run and what it alone decides."""

    run: CompletedRun
    ending: Ending
    timing: Timing


def limits_of(problem: Problem, time: float, memory: int | None = None) -> Limits:
    """Return the limits of each run."""
    limits = problem.limits
    return Limits(
        cpu_s=time,
        wall_s=_WALL_FACTOR * time + _WALL_MORE,
        idle_s=time + _IDLE_MORE,
        memory_bytes=memory or limits.memory,
        output_bytes=limits.output,
        code_bytes=limits.code,
        compile_s=limits.compilation_time,
    )


def options(program: Program, test: Test, limits: Limits, near: float) -> dict[str, Any]:
    """Return the options of a run. It may take a little more than its time, so that one sees how near it was."""
    assert limits.cpu_s is not None
    assert limits.output_bytes is not None
    assert limits.memory_bytes is not None
    files = sorted(os.listdir(test.files)) if test.files else []
    return {
        "ro": program.shows([f"{test.files}/{name}:{WORK}/{name}" for name in files]),
        "runtime": program.language.runtime,
        "cpu": limits.cpu_s * (1 + near),
        "wall": limits.wall_s,
        "idle": limits.idle_s,
        "memory": limits.memory_bytes,
        "stack": min(limits.memory_bytes, _STACK),
        "output": limits.output_bytes + _ERRORS_TOO,
    }


def is_near(attempt: Attempt, limits: Limits, near: float) -> bool:
    """Tell whether a run was ended by time, and so near its limit that the machine may be to blame."""
    taken = attempt.run.usage["cpu_s"]
    if limits.cpu_s is None or taken is None:
        return False
    if attempt.ending.verdict == Verdict.TLE:
        return bool(taken <= limits.cpu_s * (1 + near) and attempt.run.verdict != "cpu_limit")
    return attempt.ending.verdict in (Verdict.WTLE, Verdict.ITLE) and bool(taken >= limits.cpu_s * (1 - near))


class Runner:
    """Runs one program on tests."""

    def __init__(self, program: Program, limits: Limits, slots: Slots, near: float) -> None:
        self._program, self.limits, self._slots, self.near = program, limits, slots, near

    def run(self, slot: Slot, test: Test, source: str) -> Attempt:
        """Run on one input; again, alone, where the time is near the limit. Raises OSError, JailPyError."""
        with self._slots.beside_others():
            first = self._once(slot, test, source, Timing(quality=self._slots.quality))
        if not is_near(first, self.limits, self.near):
            return first
        with self._slots.alone():
            return self._once(slot, test, source, Timing(quality="alone", repeats=2))

    def _once(self, slot: Slot, test: Test, source: str, timing: Timing) -> Attempt:
        with open(source, "rb") as file:
            run = slot.runs.run(
                self._program.command(test.args), stdin=file, **options(self._program, test, self.limits, self.near)
            )
        return Attempt(run=run, ending=of_run(run, self.limits), timing=timing)

    def beside_others(self) -> AbstractContextManager[None]:
        """Return a context for what takes processor time beside the runs."""
        return self._slots.beside_others()
