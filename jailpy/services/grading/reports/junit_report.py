"""junit.xml: a suite for each submission, a case for each test; JE and IE are errors, the other verdicts failures. Pure."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from jailpy.services.grading.explain import explain, explain_submission
from jailpy.services.grading.words import block, line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.services.grading.redact import Show
    from jailpy.services.grading.results import Grading, SubmissionResult, TestResult, Verdict

_SUITE = "all"  # the case that stands for a submission without tests


def files(grading: Grading, _: Show) -> Iterator[tuple[str, bytes]]:
    """Yield the file's name and content."""
    root = Element("testsuites", name=line(grading.problem.name))
    for entry in grading.submissions:
        _suite(root, entry, [case.name for case in grading.problem.tests])
    for name in grading.pending:
        suite = SubElement(root, "testsuite", name=line(name))
        SubElement(_case(suite, name, _SUITE), "skipped", message="not judged: the grading was interrupted")
        _count(suite)
    _total(root)
    indent(root)
    yield "junit.xml", tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _suite(root: Element, entry: SubmissionResult, planned: list[str]) -> None:
    suite = SubElement(root, "testsuite", name=line(entry.name))
    if entry.started_at:
        suite.set("timestamp", entry.started_at.removesuffix("Z"))
    done = {test.name for test in entry.tests}
    if not entry.tests:
        _outcome(_case(suite, entry.name, _SUITE), entry.verdict, explain_submission(entry), _compiler(entry))
    for test in entry.tests:
        _outcome(_case(suite, entry.name, test.name, test.cpu_s), test.verdict, explain(test), _said(test))
    for name in planned if entry.tests else ():
        if name not in done:
            SubElement(_case(suite, entry.name, name), "skipped", message="not run")
    _count(suite)


def _case(suite: Element, submission: str, name: str, time: float | None = None) -> Element:
    case = SubElement(suite, "testcase", classname=line(submission), name=line(name))
    if time is not None:
        case.set("time", f"{time:.3f}")
    return case


def _outcome(case: Element, verdict: Verdict, text: str, said: str) -> None:
    if verdict != "AC":
        kind = "error" if verdict.is_ours else "failure"
        SubElement(case, kind, type=verdict.value, message=text).text = block(said)


def _compiler(entry: SubmissionResult) -> str:
    return entry.compile.output.text if entry.compile else ""


def _said(test: TestResult) -> str:
    parts = {"checker": test.message, "output": test.output.text, "error output": test.error_output.text}
    return "\n".join(f"{name}:\n{text}" for name, text in parts.items() if text)


def _count(suite: Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")


def _total(root: Element) -> None:
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
