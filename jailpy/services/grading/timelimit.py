"""The time limit of a problem that gives none: measured from its accepted submissions, with the format's margins."""

from __future__ import annotations

import math

from jailpy.errors import ProblemError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.services.grading.engine import Judge
    from jailpy.services.grading.problem import Problem


def measure(judge: Judge) -> float:
    """Run the submissions that bound the limit from below, and return it in seconds. Raises ProblemError."""
    raise ProblemError(f"{judge.problem.folder}: no time limit: give one")


def limit_for(problem: Problem, slowest: float) -> float:
    """Return the smallest multiple of the resolution that leaves the margin above the slowest accepted run."""
    limits = problem.limits
    return max(1, math.ceil(slowest * limits.ac_to_time_limit / limits.time_resolution)) * limits.time_resolution
