"""A verdict in words that a student understands, with the figures that led to it. Pure."""

from __future__ import annotations

import signal as signals

from jailpy.services.grading.results import Verdict
from jailpy.services.grading.words import line, seconds, short, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jailpy.services.grading.results import CompileResult, Evidence, SubmissionResult, TestResult

_SIGNALS = {
    "SIGSEGV": "it used memory that is not its own, for example beyond the end of an array or by too deep a recursion",
    "SIGFPE": "it made an impossible calculation, mostly a division by zero",
    "SIGABRT": "it aborted itself, as after a failed assertion or an uncaught exception",
    "SIGBUS": "it used memory that is not there",
    "SIGILL": "it executed something that is no instruction",
    "SIGPIPE": "it wrote to a partner that was gone",
    "SIGKILL": "it was killed",
    "SIGXFSZ": "it wrote a file that is too large",
}
_MOST = 400  # characters of a checker's word
_NO_COST = "this does not count against you"


def explain(test: TestResult) -> str:
    """Return one test's verdict as sentences for the student. Texts of programs in it are escaped."""
    return _TEXTS[test.verdict](test)


def explain_submission(result: SubmissionResult) -> str:
    """Return the submission's verdict as sentences: why it was not judged, or where it failed first."""
    if result.compile and not result.compile.ok and (result.compile.exit_code != 0 or not result.message):
        return _compile(result.compile)
    if result.message:
        return _sentence(line(result.message))
    if result.verdict == Verdict.AC:
        return "All tests passed."
    first = next((test for test in result.tests if test.verdict == result.verdict), None)
    return f"Test {line(first.name)}: {explain(first)}" if first else _sentence(result.verdict.words)


def signal_name(number: int) -> str:
    """Return `SIGSEGV` for 11, `signal 77` for one without a name."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _configured(test: TestResult, show: Callable[[float], str], otherwise: str) -> str:
    evidence = test.evidence
    return otherwise if evidence is None or evidence.configured is None else show(evidence.configured)


def _after(test: TestResult) -> str:
    return "" if test.wall_s is None else f" after {seconds(test.wall_s)}"


def _accepted(test: TestResult) -> str:
    return "Your program gave the right answer" + (f" in {seconds(test.cpu_s)}." if test.cpu_s is not None else ".")


def _wrong(test: TestResult) -> str:
    nothing = " It printed nothing." if test.output.total_bytes == 0 else ""
    return f"Your program ran to its end, but its answer is not the right one.{nothing}{_told(test)}"


def _presentation(test: TestResult) -> str:
    return (
        f"The answer may be right, but not printed as asked for: look at spaces, line ends and the number format.{_told(test)}"
    )


def _told(test: TestResult) -> str:
    said = test.team_message.strip()
    return f" The checker says: {short(said, _MOST)}" if said else ""


def _cpu(test: TestResult) -> str:
    limit = _configured(test, seconds, "the allowed")
    measured = test.evidence.measured if test.evidence and test.evidence.measured is not None else test.cpu_s
    used = f" after it had used {seconds(measured)}" if measured is not None else ""
    again = f" It was tried {test.timing.repeats} times." if test.timing.repeats > 1 else ""
    return f"Your program needed more than {limit} of processor time; it was stopped{used}.{again}"


def _wall(test: TestResult) -> str:
    used = f", though it had used only {seconds(test.cpu_s)} of processor time" if test.cpu_s is not None else ""
    return f"Your program was not done after {_configured(test, seconds, 'the time limit')}{used}: it waits for something."


def _idle(test: TestResult) -> str:
    limit = _configured(test, seconds, "too long")
    return f"Your program did nothing for {limit}: it waits for input that does not come, or forgot to flush its output."


def _memory(test: TestResult) -> str:
    limit = _configured(test, size, "the allowed memory")
    stopped = f"; it was stopped at {limit}" if limit[0].isdigit() else "; it was stopped"
    return f"Your program used more than {limit}{stopped}{_after(test)}."


def _output(test: TestResult) -> str:
    return f"Your program printed more than {_configured(test, size, 'is allowed')}; it was stopped{_after(test)}."


def _file(test: TestResult) -> str:
    if test.evidence and test.evidence.limit == "inodes":
        return f"Your program made more than {_configured(test, str, 'the allowed number of')} files."
    if test.evidence and test.evidence.configured == 0:
        return "Your program wrote to a file: this problem lets it read files only."
    return f"Your program wrote more than {_configured(test, size, 'is allowed')} to files."


def _security(test: TestResult) -> str:
    what = f" ({line(test.evidence.source)})" if test.evidence and test.evidence.source else ""
    ended = (
        "that failed, and so did your program" if test.evidence and test.evidence.limit == "system calls" else "it was stopped"
    )
    return f"Your program tried something that is not allowed here{what}; {ended}."


def _runtime(test: TestResult) -> str:
    if test.evidence and test.evidence.limit == "processes":
        return (
            f"Your program tried to start more than {_configured(test, str, 'the allowed')} processes and threads, and failed."
        )
    if test.signal is not None:
        name = signal_name(test.signal)
        why = _SIGNALS.get(name)
        return f"Your program crashed{_after(test)} with {name}{f': {why}' if why else ''}."
    if test.exit_code is None:
        return "Your program failed while it ran."
    if test.exit_code == 127:
        return "Your program ended with exit code 127: a command that it calls is not there."
    return f"Your program ended with exit code {test.exit_code}; it has to end with 0, and not by an uncaught error."


def _compile(compiled: CompileResult) -> str:
    if compiled.evidence:
        return f"Your program could not be compiled: the compiler was stopped by the {_limit(compiled.evidence)}."
    code = f" (exit code {compiled.exit_code})" if compiled.exit_code else ""
    return f"Your program could not be compiled{code}. What the compiler says is below."


def _limit(evidence: Evidence) -> str:
    show = seconds if evidence.limit in ("cpu", "wall", "idle") else size
    value = f" of {show(evidence.configured)}" if evidence.configured is not None else ""
    return f"{line(evidence.limit)} limit{value}"


_TEXTS: dict[Verdict, Callable[[TestResult], str]] = {
    Verdict.AC: _accepted,
    Verdict.WA: _wrong,
    Verdict.PE: _presentation,
    Verdict.TLE: _cpu,
    Verdict.WTLE: _wall,
    Verdict.ITLE: _idle,
    Verdict.MLE: _memory,
    Verdict.OLE: _output,
    Verdict.RTE: _runtime,
    Verdict.CE: lambda _: "Your program could not be compiled.",
    Verdict.SV: _security,
    Verdict.FLE: _file,
    Verdict.JE: lambda _: f"The judge's checker or test data failed on this test; {_NO_COST}.",
    Verdict.IE: lambda _: f"The judging system failed on this test; {_NO_COST}.",
}
