"""One run of a submission on one test: its options, its output, and whether its time must be measured again, alone."""

from __future__ import annotations

import os

import msgspec

from jailpy.services.grading.results import Limits, Timing, Verdict
from jailpy.services.grading.verdicts import of_run
from jailpy.services.languages.build import WORK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

    from jailpy.client.result import CompletedRun
    from jailpy.services.grading.problem import Problem, Test
    from jailpy.services.grading.slots import Slot, Slots
    from jailpy.services.grading.verdicts import Ending
    from jailpy.services.languages.build import Program

_ERRORS_TOO = 64 << 10  # standard error counts in the jail's limit, and not in the format's
_WALL_FACTOR, _WALL_MORE, _IDLE_MORE = 3, 2.0, 1.0
_STACK = 1 << 30
# Nothing can be created or removed; the size keeps what is there as it was, where files are copies that are the payload's own.
# The right to open for writing stays, for /dev/null.
_CHANGES = ("make_reg", "make_dir", "make_sym", "make_fifo", "make_sock", "remove_file", "remove_dir", "truncate", "refer")
_READ_ONLY = {"file_size": 0, "set": {"landlock.drop": _CHANGES}}


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
        file_writing=limits.file_writing,
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
        **({} if limits.file_writing else _READ_ONLY),
    }


def is_near(attempt: Attempt, limits: Limits, near: float) -> bool:
    """Tell whether a run was ended by time, and so near its limit that the machine may be to blame."""
    taken = attempt.run.usage["cpu_s"]
    if limits.cpu_s is None or taken is None:
        return False
    if attempt.ending.verdict == Verdict.TLE:
        return bool(taken <= limits.cpu_s * (1 + near) and attempt.run.verdict != "cpu_limit")
    return attempt.ending.verdict in (Verdict.WTLE, Verdict.ITLE) and bool(taken >= limits.cpu_s * (1 - near))


def once(program: Program, slot: Slot, test: Test, source: str, limits: Limits, near: float, timing: Timing) -> Attempt:
    """Run a program on one input. Raises OSError, JailPyError."""
    with open(source, "rb") as file:
        run = slot.runs.run(program.command(test.args), stdin=file, **options(program, test, limits, near))
    return Attempt(run=run, ending=of_run(run, limits), timing=timing)


def measured(slots: Slots, limits: Limits, near: float, run: Callable[[Timing], T], attempt_of: Callable[[T], Attempt]) -> T:
    """Make a run beside others; again, alone, where its time is near the limit."""
    with slots.beside_others():
        first = run(Timing(quality=slots.quality))
    if not is_near(attempt_of(first), limits, near):
        return first
    with slots.alone():
        return run(Timing(quality="alone", repeats=2))
