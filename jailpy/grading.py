"""Grading from Python: problems, submissions, verdicts. Names are imported when they are first used.

`Problem.load(path).judge("a.py")` judges one submission. `Judge` keeps what it builds for many, and `grade` does what
`jailpy grade` does: many submissions at a time, results kept, reports written.
"""

from __future__ import annotations

__all__ = [
    "Grading",
    "Judge",
    "Options",
    "Problem",
    "RefusedError",
    "SourceFile",
    "Submission",
    "SubmissionResult",
    "TestResult",
    "Verdict",
    "explain",
    "explain_submission",
    "grade",
    "read",
    "redact",
]
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.services.grading.engine import Judge, Options
    from jailpy.services.grading.explain import explain, explain_submission
    from jailpy.services.grading.grade import grade
    from jailpy.services.grading.intake import RefusedError, read
    from jailpy.services.grading.problem import Problem
    from jailpy.services.grading.redact import redact
    from jailpy.services.grading.results import Grading, SubmissionResult, TestResult, Verdict
    from jailpy.services.grading.submission import SourceFile, Submission
else:
    _MODULES = {
        "Grading": "results",
        "Judge": "engine",
        "Options": "engine",
        "Problem": "problem",
        "RefusedError": "intake",
        "SourceFile": "submission",
        "Submission": "submission",
        "SubmissionResult": "results",
        "TestResult": "results",
        "Verdict": "results",
        "explain": "explain",
        "explain_submission": "explain",
        "grade": "grade",
        "read": "intake",
        "redact": "redact",
    }

    def __getattr__(name: str) -> object:
        """Import a name when it is first used."""
        if name not in _MODULES:
            raise AttributeError(f"module 'jailpy.grading' has no attribute {name!r}")
        import importlib

        value = getattr(importlib.import_module(f"jailpy.services.grading.{_MODULES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """Name what there is."""
        return sorted({*globals(), *__all__})
