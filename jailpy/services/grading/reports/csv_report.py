"""submissions.csv and tests.csv. Cells that a spreadsheet would execute as a formula are quoted. Pure."""

from __future__ import annotations

import csv
import io
import re

from jailpy.services.grading.explain import explain, explain_submission
from jailpy.services.grading.words import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jailpy.services.grading.redact import Show
    from jailpy.services.grading.results import Grading, SubmissionResult, TestResult

# Where a formula would begin: in front, or behind a semicolon, at which spreadsheets of many countries split. The last four
# signs are as wide as Chinese letters. https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile(r"^(?=[-=+@\uff0d\uff1d\uff0b\uff20]|\\[tr])|(?<=;)(?=[\s\"']*[-=+@\uff0d\uff1d\uff0b\uff20])")
_SUBMISSIONS = ("submission", "verdict", "score", "max_score", "language", "tests", "accepted", "max_cpu_s", "max_memory_bytes")
_TESTS = (
    "submission", "test", "kind", "group", "verdict", "score", "cpu_s", "wall_s", "memory_bytes", "exit_code", "signal",
    "timing", "repeats", "explanation",
)  # fmt: skip


def files(grading: Grading, _: Show) -> Iterator[tuple[str, bytes]]:
    """Yield each file's name and content."""
    rows = (_submission(entry) for entry in grading.submissions)
    pending = ((name, "", None, None, "", 0, 0, None, None, "not judged") for name in grading.pending)
    yield "submissions.csv", _table((*_SUBMISSIONS, "explanation"), (*rows, *pending))
    yield "tests.csv", _table(_TESTS, (_test(entry, test) for entry in grading.submissions for test in entry.tests))


def cell(value: object) -> object:
    """Return a value as a cell: None empty, texts in one line and never a formula."""
    if not isinstance(value, str):
        return "" if value is None else value
    return _FORMULA.sub("'", line(value))


def most(values: Iterable[float | None]) -> float | None:
    """Return the largest of the values that were measured."""
    return max((value for value in values if value is not None), default=None)


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")  # RFC 4180
    writer.writerow(head)
    writer.writerows([cell(value) for value in row] for row in rows)
    return buffer.getvalue().encode()


def _submission(entry: SubmissionResult) -> tuple[object, ...]:
    accepted = sum(test.verdict == "AC" for test in entry.tests)
    figures = (len(entry.tests), accepted, most(t.cpu_s for t in entry.tests), most(t.memory_bytes for t in entry.tests))
    return (entry.name, entry.verdict.value, entry.score, entry.max_score, entry.language, *figures, explain_submission(entry))


def _test(entry: SubmissionResult, test: TestResult) -> tuple[object, ...]:
    figures = (test.score, test.cpu_s, test.wall_s, test.memory_bytes, test.exit_code, test.signal)
    timing = (test.timing.quality, test.timing.repeats)
    return (entry.name, test.name, test.kind, test.group, test.verdict.value, *figures, *timing, explain(test))
