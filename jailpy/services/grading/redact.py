"""What students may see of a grading: `--show sample|verdict|all`. Pure."""

from __future__ import annotations

import signal
from typing import Literal, TypeAlias

from msgspec.structs import replace

from jailpy.services.grading.results import Excerpt, Grading, ProblemInfo, SubmissionResult, TestResult

Show: TypeAlias = Literal["sample", "verdict", "all"]
LEVELS: tuple[Show, ...] = ("sample", "verdict", "all")
_CRASHES = (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGXFSZ)


def redact(grading: Grading, show: Show) -> Grading:
    """Return a grading without what students may not see.

    `all` leaves everything. `verdict` leaves of a secret test its name, verdict and figures, but none of its texts and not
    its exit code, the calls it was denied, their number, or a signal that is not a crash's: a program could tell the secret
    input by them.
    `sample` leaves nothing of secret tests and their groups: only what the whole submission came to. With both, the
    checkers' words for judges go, as they may quote the answer.
    """
    if show == "all":
        return grading
    return replace(
        grading,
        problem=_problem(grading.problem, show),
        submissions=tuple(redact_submission(entry, show) for entry in grading.submissions),
    )


def redact_submission(result: SubmissionResult, show: Show) -> SubmissionResult:
    """Return one submission without what its author may not see."""
    if show == "all":
        return result
    tests = tuple(_test(test) for test in result.tests if test.kind == "sample" or show == "verdict")
    groups = result.groups if show == "verdict" else tuple(group for group in result.groups if _is_sample(group.name))
    return replace(result, tests=tests, groups=groups)


def _problem(problem: ProblemInfo, show: Show) -> ProblemInfo:
    return replace(problem, tests=tuple(case for case in problem.tests if case.kind == "sample" or show == "verdict"))


def _is_sample(group: str) -> bool:
    return group.partition("/")[0] == "sample"


def _test(test: TestResult) -> TestResult:
    if test.kind == "sample":
        return replace(test, message="")
    evidence = test.evidence and replace(test.evidence, source="", measured=None)
    crash = test.signal if test.signal in _CRASHES else None
    kept = replace(test, message="", team_message="", output=Excerpt(), error_output=Excerpt())
    return replace(kept, exit_code=None, signal=crash, evidence=evidence)
