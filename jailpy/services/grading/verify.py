"""`--verify`: the package's own example submissions are judged, and each must do what it promises."""

from __future__ import annotations

import msgspec

from jailpy.services.grading import examples, results
from jailpy.services.grading.results import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jailpy.services.grading.examples import Example, Promise
    from jailpy.services.grading.problem import Problem
    from jailpy.services.grading.results import SubmissionResult, TestResult
    from jailpy.services.grading.session import Judging
    from jailpy.services.grading.submission import Submission


class Verifying:
    """Judges example submissions, and says of each what it promises and does not do. Wraps what judges. Raises ProblemError."""

    def __init__(self, judging: Judging, problem: Problem, limits: results.Limits) -> None:
        self._judging, self._problem, self._time = judging, problem, limits.cpu_s
        self._known = {example.path: example for example in examples.load(problem)}

    @property
    def jobs(self) -> int:
        """How many submissions can be judged at a time."""
        return self._judging.jobs

    def judge(
        self, submission: Submission, on_test: Callable[[Submission, TestResult], object] | None = None
    ) -> SubmissionResult:
        """Judge one example, known by the submission's name."""
        example = self._known[submission.name]
        result = compare(self._problem, example, self._judging.judge(example.submission, on_test))
        return msgspec.structs.replace(result, notes=(*result.notes, *self._near(example, result)))

    def _near(self, example: Example, result: SubmissionResult) -> Iterator[str]:
        """Say where the time limit is nearer to what a submission took than the format's margins allow."""
        limits = self._problem.limits
        taken = max((test.cpu_s or 0.0 for test in result.tests if test.exit_code is not None), default=0.0)
        if self._time is None:
            return
        bounds = {promise.bounds for promise in example.promises}
        if "lower" in bounds and taken * limits.ac_to_time_limit > self._time:
            yield f"took {taken:.2f} s: the limit of {self._time:g} s is to be {limits.ac_to_time_limit:g} times as much"
        if "upper" in bounds and self._time < taken < self._time * limits.time_limit_to_tle:
            yield f"took {taken:.2f} s: that is to be {limits.time_limit_to_tle:g} times the limit of {self._time:g} s"

    def close(self) -> None:
        """Close what judges."""
        self._judging.close()


def compare(problem: Problem, example: Example, result: SubmissionResult) -> SubmissionResult:
    """Fill in what an example promises, and in words where its result is another."""
    expected = (Verdict.AC,) if example.partial else example.expected
    if not result.tests:
        broken = [f"was not run: {result.verdict.words}"]
    elif problem.format == "2025-09":
        broken = [text for promise in example.promises for text in _broken(promise, result)]
    else:
        broken = [] if result.verdict in expected else [f"{result.verdict}, expected {' or '.join(expected)}"]
    if example.partial and result.verdict == Verdict.AC and result.score == problem.max_score:
        broken.append("has the full score, in partially_accepted")
    return msgspec.structs.replace(result, expected=expected, broken=tuple(broken))


def _broken(promise: Promise, result: SubmissionResult) -> Iterator[str]:
    tests = [test for test in result.tests if promise.covers(test.name)]
    where = f"{promise.tests}: " if promise.tests else ""
    for test in tests:
        if examples.class_of(test.verdict) not in promise.permitted:
            yield f"{test.name}: {test.verdict}, permitted {', '.join(promise.permitted)}"
    if tests and not any(examples.class_of(test.verdict) in promise.required for test in tests):
        yield f"{where}no test with {' or '.join(promise.required)}"
    if promise.message and not any(promise.message in test.message for test in tests):
        yield f"{where}no message holds {promise.message!r}"
    yield from _wrong_score(promise, result, where)


def _wrong_score(promise: Promise, result: SubmissionResult, where: str) -> Iterator[str]:
    if promise.score is None:
        return
    score = result.score
    if promise.tests:
        score = next((group.score for group in result.groups if group.name == promise.tests), None)
    low, high = promise.score
    if score is None or not low <= score <= high:
        yield f"{where}score {score}, expected {low:g} to {high:g}"
