"""`--verify`: the package's own example submissions are judged, and each must do what it promises."""

from __future__ import annotations

import msgspec

from jailpy.services.grading import examples
from jailpy.services.grading.results import SubmissionResult, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jailpy.services.grading.engine import Judge
    from jailpy.services.grading.examples import Example, Promise
    from jailpy.services.grading.problem import Problem
    from jailpy.services.grading.results import TestResult
    from jailpy.services.grading.submission import Submission


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """One example: what judging found, with `expected` filled in, and in words what it promised and did not do."""

    result: SubmissionResult
    broken: tuple[str, ...] = ()


def verify(judge: Judge, on_test: Callable[[Submission, TestResult], object] | None = None) -> Iterator[Verification]:
    """Judge every example submission, `judge.jobs` at a time. Raises ProblemError, OSError."""
    known = {example.path: example for example in examples.load(judge.problem)}
    for result in judge.judge_all([example.submission for example in known.values()], on_test):
        yield compare(judge.problem, known[result.name], result)


def compare(problem: Problem, example: Example, result: SubmissionResult) -> Verification:
    """Compare a result with what the example promises."""
    expected = (Verdict.AC,) if example.partial else example.expected
    result = msgspec.structs.replace(result, expected=expected)
    if not result.tests:
        return Verification(result=result, broken=(f"was not run: {result.verdict}: {result.message}",))
    broken = [text for promise in example.promises for text in _broken(promise, result)]
    if problem.format == "legacy":
        broken = [] if result.verdict in expected else [f"{result.verdict}, expected {' or '.join(expected)}"]
    if example.partial and result.verdict == Verdict.AC and result.score == problem.max_score:
        broken.append(f"has the full score, {result.score}")
    return Verification(result=result, broken=tuple(broken))


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
