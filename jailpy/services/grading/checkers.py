"""Checkers: what decides on an output. The built-in comparison runs here; any program in a jail of its own."""

from __future__ import annotations

import os

import msgspec

from jailpy.errors import CommandError
from jailpy.services.grading import compare, feedback
from jailpy.services.grading.results import Verdict
from jailpy.services.grading.verdicts import excerpt
from jailpy.services.languages.build import WORK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from jailpy.client.result import CompletedRun
    from jailpy.services.grading.problem import Checker, Problem, Test
    from jailpy.services.grading.slots import Slot
    from jailpy.services.languages.build import Program

INPUT, ANSWER, OUTPUT = "/judge/input.in", "/judge/answer.ans", "/judge/output.out"
FEEDBACK = f"{WORK}/feedback"
_SHOWN = 2000
_IDLE_S = 10.0
_TESTLIB = {0: Verdict.AC, 1: Verdict.WA, 2: Verdict.PE, 4: Verdict.PE, 8: Verdict.WA, 7: Verdict.AC}
_TESTLIB_POINTS, _TESTLIB_PARTIAL = 7, 16
_KATTIS = {42: Verdict.AC, 43: Verdict.WA}


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a checker says. `score` and `multiplier` are None where it gave none, `next_pass` is the next input, or ""."""

    verdict: Verdict
    message: str = ""
    team_message: str = ""
    score: float | None = None
    multiplier: float | None = None
    next_pass: str = ""


def judge_error(message: str) -> Judgement:
    """Return a judgement that says that the judge is at fault."""
    return Judgement(verdict=Verdict.JE, message=message)


def builtin(test: Test, flags: Sequence[str], output: bytes) -> Judgement:
    """Compare an output with the answer, as the default validator would. Raises OSError."""
    if not test.answer:
        return judge_error(f"{test.name}: the test has no answer")
    try:
        how = compare.settings(flags)
    except ValueError as error:
        return judge_error(f"{test.name}: {error}")
    with open(test.answer, "rb") as file:
        found = compare.compare(output, file.read(), how)
    if found is None:
        return Judgement(verdict=Verdict.AC)
    return Judgement(verdict=Verdict.PE if found.in_spaces else Verdict.WA, message=found.text)


class Runner:
    """Runs a checker that is a program. `source` is the input that the submission had, `slot` where it runs."""

    def __init__(self, problem: Problem, checker: Checker, program: Program) -> None:
        self._problem, self.checker, self._program = problem, checker, program

    def check(self, slot: Slot, test: Test, source: str, output: bytes) -> Judgement:
        """Let the checker look at an output. Raises OSError, JailPyError."""
        try:
            if self.checker.protocol != "kattis":
                return self._by_status(slot, test, source, output)
            run = slot.checks.run(self.command(test), input=output, idle=self._idle(), **self.options(slot, test, source))
        except CommandError as error:
            return judge_error(f"the checker cannot be executed: {error}")
        return self.judged(run, slot)

    def command(self, test: Test) -> Any:
        """Return what a launcher is to run for the Kattis protocol."""
        return self._program.command([INPUT, ANSWER, f"{FEEDBACK}/", *self.checker.flags, *test.checker_flags])

    def options(self, slot: Slot, test: Test, source: str) -> dict[str, Any]:
        """Return the options of its run. Feedback of the pass before is put in, so that it persists."""
        kept = sorted(os.listdir(slot.state))
        return {
            **self._limits(),
            "ro": self._shown(slot, test, source),
            "put": [f"{slot.empty}:{FEEDBACK}", *(f"{slot.state}/{name}:{FEEDBACK}/{name}" for name in kept)],
            "get": [f"feedback:{slot.feedback}"],
        }

    def _limits(self) -> dict[str, Any]:
        limits = self._problem.limits
        return {
            "cpu": limits.validation_time,
            "wall": 2 * limits.validation_time + 1,
            "memory": limits.validation_memory,
            "output": limits.validation_output,
            "runtime": self._program.language.runtime,
        }

    def _idle(self) -> float:
        """Return how long one may do nothing that has its whole input: such a one hangs, and many submissions wait for it."""
        return min(_IDLE_S, self._problem.limits.validation_time)

    def _shown(self, slot: Slot, test: Test, source: str, more: Sequence[str] = ()) -> list[str]:
        return self._program.shows([f"{source}:{INPUT}", f"{test.answer or slot.nothing}:{ANSWER}", *more])

    def judged(self, run: CompletedRun, slot: Slot) -> Judgement:
        """Read a verdict and the feedback folder, as the Kattis format has them."""
        verdict = _KATTIS.get(-1 if run.returncode is None else run.returncode)
        said = feedback.read(slot.feedback)
        if verdict is None or run.verdict != "nonzero_exit":
            return judge_error(
                f"the output validator failed: {_how(run)}; expected exit status 42 or 43\n{said.message}".strip()
            )
        problem = feedback.contradiction(said, self._problem, accepted=verdict == Verdict.AC)
        if problem:
            return judge_error(f"the output validator {problem}")
        return Judgement(
            verdict=verdict,
            message=said.message or _text(run.stderr),
            team_message=said.team_message,
            score=said.score,
            multiplier=said.multiplier,
            next_pass=said.next_pass,
        )

    def _by_status(self, slot: Slot, test: Test, source: str, output: bytes) -> Judgement:
        """Run a checker that takes the output as a file and answers by its exit status: testlib's, or plain 0 and 1."""
        path = os.path.join(slot.folder, "output")
        with open(path, "wb") as file:
            file.write(output)
        command = self._program.command([INPUT, OUTPUT, ANSWER, *self.checker.flags, *test.checker_flags])
        shown = self._shown(slot, test, source, [f"{path}:{OUTPUT}"])
        run = slot.checks.run(command, ro=shown, idle=self._idle(), **self._limits())
        return _by_status(run, is_testlib=self.checker.protocol == "testlib", most=test.max_score)


def _by_status(run: CompletedRun, *, is_testlib: bool, most: float | None) -> Judgement:
    status = run.returncode
    known = _TESTLIB if is_testlib else {0: Verdict.AC, 1: Verdict.WA}
    said = _text(run.stderr) or _text(run.stdout)
    if run.verdict not in ("ok", "nonzero_exit") or status is None:
        return judge_error(f"the checker failed: {_how(run)}")
    if is_testlib and status >= _TESTLIB_PARTIAL:
        return Judgement(verdict=Verdict.AC, message=said, multiplier=min(1.0, (status - _TESTLIB_PARTIAL) / 100))
    if status not in known:
        return judge_error(f"the checker failed: {_how(run)}: {said}")
    if is_testlib and status == _TESTLIB_POINTS:
        return _points(said, most)
    return Judgement(verdict=known[status], message=said)


def _points(said: str, most: float | None) -> Judgement:
    """Read testlib's `points 0.5 ...`."""
    words = said.split()
    value = compare.parse_float(words[1].encode()) if words[:1] == ["points"] and len(words) > 1 else None
    if value is None or value < 0:
        return judge_error(f"the checker gave points without a number: {said[:200]}")
    return Judgement(verdict=Verdict.AC, message=said, score=value if most is None else min(value, most))


def _how(run: CompletedRun) -> str:
    """Say how a checker ended."""
    if run.verdict in ("ok", "nonzero_exit"):
        return f"exit status {run.returncode}"
    return run.verdict if run.verdict != "signaled" else f"signal {run.report()['signal']}"


def _text(data: bytes | None) -> str:
    return excerpt(data, _SHOWN).text.strip()
