"""Grading: many small submissions by two jobs, beside the same programs without jails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.common import say

if TYPE_CHECKING:
    from benchmarks.stage import Stage

WORDS = "submissions through the judge"
PYTHON, C = "Python submissions, ten tests each", "C submissions, fifty tests each"
JOBS = 2


def measure(stage: Stage) -> dict[str, Any]:
    """Return the speed of judging for a language with a warm interpreter and for a compiled one."""
    rows = []
    caller = stage.caller("jailpy")
    for name, language, submissions, tests in (
        (PYTHON, "py", stage.amounts.submissions, 10),
        (C, "c", max(2, stage.amounts.submissions // 10), 50),
    ):
        with stage.noting(f"grading, {name}"):
            say(f"{submissions} {name}")
            found = caller.call("judging:speed", language=language, submissions=submissions, tests=tests, jobs=JOBS)
            rows.append({"name": name, "submissions": submissions, "tests": tests, **found})
    return {"jobs": JOBS, "rows": rows}
