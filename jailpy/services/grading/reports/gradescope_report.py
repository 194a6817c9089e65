"""gradescope/: a file for each submission in the format of Gradescope's results.json. Pure.

https://gradescope-autograders.readthedocs.io/en/latest/specs/. Redaction is Gradescope's `visibility`: staff see hidden
tests, and they count. A submission that ended with JE or IE gets neither score
nor tests: Gradescope then says that the autograder failed, and the student keeps what they had.
"""

from __future__ import annotations

import json

from jailpy.services.grading.explain import explain, explain_submission
from jailpy.services.grading.names import file_name
from jailpy.services.grading.redact import redact_submission
from jailpy.services.grading.words import block, line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.services.grading.redact import Show
    from jailpy.services.grading.results import Excerpt, Grading, SubmissionResult, TestCase, TestResult

    Json = dict[str, object]

_MOST = 4000  # characters of an output


def files(grading: Grading, show: Show) -> Iterator[tuple[str, bytes]]:
    """Yield each file's name and content."""
    for number, entry in enumerate(grading.submissions, 1):
        made = results(entry, grading.problem.tests, show)
        yield f"gradescope/{file_name(number, entry.name)}.json", json.dumps(made, indent=2).encode() + b"\n"


def results(entry: SubmissionResult, cases: tuple[TestCase, ...], show: Show) -> Json:
    """Return one submission's results.

    The score is the submission's where there is one; otherwise Gradescope adds up the tests, a point each.
    """
    whole = {"output": _whole(redact_submission(entry, show)), "output_format": "text", "visibility": "visible"}
    common: Json = {**whole, "stdout_visibility": "hidden"}
    if entry.verdict.is_ours:
        return common
    done = {test.name: test for test in redact_submission(entry, "verdict" if show == "verdict" else "all").tests}
    tests = [_test(case, done.get(case.name), show, scored=entry.score is not None) for case in cases]
    score = entry.score
    if score is None and (entry.verdict == "CE" or not tests):
        score = 1 if entry.verdict == "AC" else 0
    return common | ({"tests": tests} if tests else {}) | ({} if score is None else {"score": score})


def _whole(entry: SubmissionResult) -> str:
    verdict, why = f"{entry.verdict.words.capitalize()}.", explain_submission(entry)
    parts = [verdict if why == verdict else f"{verdict} {why}", *(line(note) for note in entry.notes)]
    if entry.compile and entry.compile.output.text:
        parts.append(_shown(entry.compile.output))
    return "\n".join(parts)


def _test(case: TestCase, test: TestResult | None, show: Show, *, scored: bool) -> Json:
    hidden = show == "sample" and case.kind == "secret"
    found: Json = {"name": line(case.name), "output_format": "text", "visibility": "hidden" if hidden else "visible"}
    if test is None:
        return found | _points(0.0, None if scored else 1) | {"status": "failed", "output": "Not run: an earlier test failed."}
    passed = test.verdict == "AC" or test.verdict.is_ours  # our fault costs nothing
    if scored:
        points = _points(test.score, case.max_score)
    else:
        points = _points(float(passed), 1)
    told = [f"{test.verdict.words}: {explain(test)}", _part("Output", test.output), _part("Error output", test.error_output)]
    return found | points | {"status": "passed" if passed else "failed", "output": "\n".join(filter(None, told))}


def _points(score: float | None, most: float | None) -> Json:
    return {key: value for key, value in (("score", score), ("max_score", most)) if value is not None}


def _part(name: str, excerpt: Excerpt) -> str:
    return f"\n{name}:\n{_shown(excerpt)}" if excerpt.text else ""


def _shown(excerpt: Excerpt) -> str:
    text = block(excerpt.text)
    cut = excerpt.truncated or len(text) > _MOST
    return text[:_MOST] + ("\n… (cut)" if cut else "")
