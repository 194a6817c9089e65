"""The time limit of a problem that gives none: measured from its example submissions, with the format's margins."""

from __future__ import annotations

import math

from jailpy.errors import ProblemError
from jailpy.services.grading import examples, runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.services.grading.engine import Judge
    from jailpy.services.grading.problem import Problem

_MOST = 60.0


def measure(judge: Judge) -> float:
    """Run the submissions that bound the limit from below, and return it in seconds. Raises ProblemError."""
    problem = judge.problem
    bounding = [example for example in examples.load(problem) if example.bounds_below]
    if not bounding:
        raise ProblemError(f"{problem.folder}: no time limit, and no accepted submission to measure one with")
    limits = runs.limits_of(problem, _MOST, judge.options.memory)
    found = [judge.judge(example.submission, limits=limits) for example in bounding]
    times = [test.cpu_s for result in found for test in result.tests if test.cpu_s is not None]
    if not times:
        said = [f"{problem.folder}/submissions/{each.name}: {each.verdict.words}: {each.message}" for each in found]
        raise ProblemError(f"{problem.folder}: no time limit can be measured: no accepted submission runs", said)
    return limit_for(problem, max(times))


def limit_for(problem: Problem, slowest: float) -> float:
    """Return the smallest multiple of the resolution that leaves the margin above the slowest accepted run."""
    limits = problem.limits
    return max(1, math.ceil(slowest * limits.ac_to_time_limit / limits.time_resolution)) * limits.time_resolution
