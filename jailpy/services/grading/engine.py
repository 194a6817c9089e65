"""The judge: compiles a submission once, runs it on each test in a fresh jail, has outputs checked, and adds it all up."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import msgspec

from jailpy.errors import CommandError, JailPyError, UsageError
from jailpy.services import languages
from jailpy.services.grading import checkers, compiling, contained, feedback, runs, scoring, settings
from jailpy.services.grading.interactive import Conversation, Talk
from jailpy.services.grading.problem import Group, Test
from jailpy.services.grading.results import GroupResult, SubmissionResult, TestResult, Verdict
from jailpy.services.grading.scratch import Scratch
from jailpy.services.grading.slots import Slots
from jailpy.services.grading.verdicts import excerpt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Self

    from jailpy.services.grading.problem import Problem
    from jailpy.services.grading.results import Limits, Timing
    from jailpy.services.grading.slots import Slot
    from jailpy.services.grading.submission import Submission
    from jailpy.services.languages.build import Program

    OnTest = Callable[[Submission, TestResult], object]


_BOUNDS = {
    "jobs": (1, 1024, "a number from 1 to 1024"),
    "rejudge_near": (0, 1, "a number from 0 to 1"),
    "time_limit": (*settings.SECONDS, settings.SECONDS_WORDS),
    "memory": (1 << 20, settings.MOST_BYTES, f"bytes from {1 << 20} (1M) to {settings.MOST_BYTES} (1024T)"),
}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to judge. None takes what the problem says. Raises UsageError.

    `jobs` is how many submissions are judged at a time, None for one on each physical core. `rejudge_near` is the part of the
    time limit within which a run is repeated alone before it counts as too slow. `all_tests` goes on after a failed test.
    `profile` is that of the runs: `strict`, or `grade-container` for root in a plain container.
    """

    jobs: int | None = None
    rejudge_near: float = 0.2
    time_limit: float | None = None
    memory: int | None = None
    all_tests: bool = False
    profile: str = "strict"

    def __post_init__(self) -> None:
        """Refuse here what would end each run as IE."""
        for name, (least, most, words) in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and least <= value <= most):
                raise UsageError(f"option {name}: expected {words}, got {value!r}")


class Judge:
    """Judges submissions of one problem. A context manager; safe to use from as many threads as there are jobs.

    Raises ProblemError where the problem's own programs cannot be built, OSError, JailPyError.
    """

    def __init__(self, problem: Problem, options: Options | None = None) -> None:
        self.problem = problem
        self.options = options or Options()
        self.languages = languages.load()
        self._scratch = Scratch()
        self._folder = self._scratch.path
        self._copying = threading.Lock()
        try:
            self.slots = Slots(self._folder, self.options.jobs, self.options.profile)
            with self.slots.one() as slot:
                self.checkers = compiling.checkers_of(problem, slot, self._folder, self.languages)
            self.limits = self._limits()
        except BaseException:
            self.close()
            raise

    def _limits(self) -> Limits:
        time = self.options.time_limit or self.problem.limits.time
        if time is None:
            from jailpy.services.grading import timelimit

            time = timelimit.measure(self)
        return runs.limits_of(self.problem, time, self.options.memory)

    @property
    def jobs(self) -> int:
        """How many submissions can be judged at a time."""
        return len(self.slots)

    def judge(self, submission: Submission, on_test: OnTest | None = None, limits: Limits | None = None) -> SubmissionResult:
        """Judge one submission. `on_test` is called with each test's result, from this thread.

        Never raises for what a submission does, or for a jail that cannot be had: that is the verdict IE.
        """
        with self.slots.one() as slot:
            folder = tempfile.mkdtemp(dir=slot.folder)
            try:
                return _Case(self, submission, slot, folder, on_test, limits or self.limits).judge()
            except (JailPyError, OSError) as error:
                return SubmissionResult(name=submission.name, verdict=Verdict.IE, message=f"{type(error).__name__}: {error}")
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def unnamed(self, test: Test) -> Test:
        """Return a test whose files lie where no name tells of it: a jail can read where mounts come from. Raises OSError."""
        if not test.files:
            return test
        with self._copying:
            copy = os.path.join(self._folder, f"files{self.problem.tests.index(test)}")
            if not os.path.exists(copy):
                shutil.copytree(test.files, copy)
        return msgspec.structs.replace(test, files=copy)

    def judge_all(self, submissions: Iterable[Submission], on_test: OnTest | None = None) -> Iterator[SubmissionResult]:
        """Judge many submissions, `jobs` at a time, and yield results as they come."""
        with ThreadPoolExecutor(self.jobs) as pool:
            futures = [pool.submit(self.judge, submission, on_test) for submission in submissions]
            try:
                for future in as_completed(futures):
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()

    def close(self) -> None:
        """End the launchers and remove what was built."""
        if hasattr(self, "slots"):
            self.slots.close()
        self._scratch.close()

    def __enter__(self) -> Self:
        """Return the judge itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


class _NoProgramError(Exception):
    """What ran is no program: its compiler says so."""


class _Case:
    """One submission on its way through the tests."""

    def __init__(
        self, judge: Judge, submission: Submission, slot: Slot, folder: str, on_test: OnTest | None, limits: Limits
    ) -> None:
        self._judge, self._problem, self._options = judge, judge.problem, judge.options
        self._submission, self._slot, self._folder = submission, slot, folder
        self._on_test, self._limits = on_test, limits
        self._tests: list[TestResult] = []
        self._groups: list[GroupResult] = []

    def judge(self) -> SubmissionResult:
        """Compile, run, check, add up."""
        self._compiled = self._compile(lazily=True)
        if self._compiled.program is None:
            return self._result(self._compiled.verdict, self._compiled.message)
        self._program = self._runnable(self._compiled.program)
        try:
            whole = self._group(self._problem.root)
        except _NoProgramError:
            return self._result(self._compiled.verdict, self._compiled.message)
        return self._result(whole.verdict, "", whole.score)

    def _compile(self, *, lazily: bool) -> compiling.Compiled:
        folder = tempfile.mkdtemp(dir=self._folder)
        judge, given, slot = self._judge, self._submission, self._slot
        return compiling.submission(
            self._problem, given, slot, folder, judge.languages, self._limits, judge.slots, lazily=lazily
        )

    def _runnable(self, program: Program) -> Program:
        """Return a program that can be run under the limits: a warm interpreter's script is a file of the payload's own.

        In a plain container every file is, and the limit of sizes keeps them.
        """
        is_warm = program.warm and (self._limits.file_writing or self._options.profile == contained.PROFILE)
        return msgspec.structs.replace(program, warm=is_warm)

    def _check_program(self) -> None:
        """Compile after the first test where that was put off: it failed, maybe because there is no program to run."""
        if self._compiled.is_put_off:
            self._compiled = self._compile(lazily=False)
            if self._compiled.program is None:
                raise _NoProgramError

    def _result(self, verdict: Verdict, message: str, score: float | None = None) -> SubmissionResult:
        scoring_ = self._problem.is_scoring and not verdict.is_ours
        return SubmissionResult(
            name=self._submission.name,
            verdict=verdict,
            language=self._compiled.language,
            score=(score or 0.0) if scoring_ else None,
            max_score=self._problem.max_score,
            message=message,
            compile=self._compiled.result,
            groups=tuple(self._groups),
            tests=tuple(self._tests),
        )

    def _group(self, group: Group) -> GroupResult:
        found: list[TestResult | GroupResult] = []
        for member in group.members:
            result = self._test(group, member) if isinstance(member, Test) else self._member(member)
            found.append(result)
            if result.verdict == Verdict.IE or (result.verdict != Verdict.AC and self._stops(group, member)):
                break
        whole = scoring.of_group(self._problem, group, found)
        if group.name:
            self._groups.append(whole)
        return whole

    def _stops(self, group: Group, failed: Test | Group) -> bool:
        worth = failed.max_score if isinstance(failed, Test) else failed.rules.max_score
        ends = group.rules.stops or (group.rules.has_pretests and worth == 0)
        return ends and not self._options.all_tests

    def _member(self, group: Group) -> GroupResult:
        """Judge a group, where those that it requires were accepted."""
        failed = next((done for done in self._groups if done.name in group.rules.requires and done.verdict != Verdict.AC), None)
        if failed is None:
            return self._group(group)
        skipped = GroupResult(
            name=group.name,
            verdict=failed.verdict,
            score=0.0 if self._problem.is_scoring else None,
            max_score=group.rules.max_score,
        )
        self._groups.append(skipped)
        return skipped

    def _test(self, group: Group, test: Test) -> TestResult:
        feedback.clear(self._slot.feedback)
        try:
            result = self._judged(group, test)
        except CommandError as error:  # what was compiled is no program: its maker's fault, not the jail's
            result = TestResult(name=test.name, verdict=Verdict.RTE, kind=test.kind, group=test.group, message=str(error))
        if not self._tests and result.verdict not in (Verdict.AC, Verdict.IE):
            self._check_program()
        self._tests.append(result)
        if self._on_test:
            self._on_test(self._submission, result)
        return result

    def _judged(self, group: Group, test: Test) -> TestResult:
        attempts, said = self._passes(self._judge.unnamed(test))
        score, wrong = scoring.of_test(self._problem, group.rules, test, said)
        if wrong and not said.verdict.is_ours:
            said, score = checkers.judge_error(f"the checker {wrong}"), None
        return _test_result(test, attempts, said, score)

    def _passes(self, test: Test) -> tuple[list[runs.Attempt], checkers.Judgement]:
        """Run a test once; in a multi-pass problem, as often as its validator wants."""
        attempts: list[runs.Attempt] = []
        source = test.input
        while len(attempts) < (self._problem.limits.passes if self._problem.is_multipass else 1):
            if self._problem.is_multipass:
                feedback.hand_on(self._slot.feedback, self._slot.state)
            attempt, said = self._talk(test, source) if self._problem.is_interactive else self._batch(test, source)
            attempts.append(attempt)
            if said.verdict != Verdict.AC or not said.next_pass:
                return attempts, said
            source = os.path.join(self._slot.folder, "next-pass.in")
            os.replace(said.next_pass, source)
        return attempts, checkers.judge_error(f"the output validator wants more than {len(attempts)} passes")

    def _batch(self, test: Test, source: str) -> tuple[runs.Attempt, checkers.Judgement]:
        near, slots = self._options.rejudge_near, self._judge.slots

        def run(timing: Timing) -> runs.Attempt:
            return runs.once(self._program, self._slot, test, source, self._limits, near, timing)

        attempt = runs.measured(slots, self._limits, near, run, lambda each: each)
        if attempt.ending.verdict is not None:
            return attempt, checkers.Judgement(verdict=attempt.ending.verdict, message=attempt.ending.message)
        return attempt, self._checked(test, source, attempt.run.stdout)

    def _talk(self, test: Test, source: str) -> tuple[runs.Attempt, checkers.Judgement]:
        """Let submission and validator talk; what an earlier try left in the feedback folder is no pass of this one."""
        validator = self._judge.checkers[0][1]
        assert validator is not None
        near = self._options.rejudge_near
        conversation = Conversation(self._program, validator, self._limits, near)

        def run(timing: Timing) -> Talk:
            if timing.repeats > 1:
                feedback.clear(self._slot.feedback)
            return conversation.hold(self._slot, test, source, timing)

        talk = runs.measured(self._judge.slots, self._limits, near, run, lambda each: each.attempt)
        return talk.attempt, talk.said

    def _checked(self, test: Test, source: str, output: bytes) -> checkers.Judgement:
        """Ask every checker; the first one that does not accept has the word."""
        said = checkers.Judgement(verdict=Verdict.AC)
        with self._judge.slots.beside_others():
            for checker, runner in self._judge.checkers:
                if runner is None:
                    said = checkers.builtin(test, (*checker.flags, *test.checker_flags), output)
                else:
                    said = runner.check(self._slot, test, source, output)
                if said.verdict != Verdict.AC:
                    break
        return said


def _most(attempts: list[runs.Attempt], name: str) -> Any:
    """Return the largest value of a usage among the passes of a test: each pass has the whole limit."""
    return max((attempt.run.usage[name] for attempt in attempts if attempt.run.usage[name] is not None), default=None)


def _test_result(test: Test, attempts: list[runs.Attempt], said: checkers.Judgement, score: float | None) -> TestResult:
    attempt = attempts[-1]
    run, report = attempt.run, attempt.run.report()
    return TestResult(
        name=test.name,
        verdict=said.verdict,
        kind=test.kind,
        group=test.group,
        score=score,
        cpu_s=_most(attempts, "cpu_s"),
        wall_s=_most(attempts, "wall_s"),
        memory_bytes=_most(attempts, "memory_peak_bytes"),
        evidence=attempt.ending.evidence,
        exit_code=report["exit_code"],
        signal=report["signal"],
        message=said.message,
        team_message=said.team_message,
        output=excerpt(run.stdout),
        error_output=excerpt(run.stderr),
        timing=attempt.timing,
    )
