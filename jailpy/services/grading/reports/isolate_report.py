"""isolate/: for each run a meta file as isolate(1) writes it: lines of `key:value`. Pure."""

from __future__ import annotations

from jailpy.services.grading.explain import explain, signal_name
from jailpy.services.grading.names import file_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.services.grading.redact import Show
    from jailpy.services.grading.results import Grading, TestResult

_LIMITS = ("TLE", "WTLE", "ITLE")
_KILLED = (*_LIMITS, "MLE", "OLE", "SV")


def files(grading: Grading, _: Show) -> Iterator[tuple[str, bytes]]:
    """Yield each file's name and content."""
    for number, entry in enumerate(grading.submissions, 1):
        for ordinal, test in enumerate(entry.tests, 1):
            yield f"isolate/{file_name(number, entry.name)}/{file_name(ordinal, test.name)}.meta", meta(test).encode()


def meta(test: TestResult) -> str:
    """Return the meta file of a run. What was not measured is left out; memory is in kilobytes."""
    status = _status(test)
    values: dict[str, object] = {
        "time": None if test.cpu_s is None else f"{test.cpu_s:.3f}",
        "time-wall": None if test.wall_s is None else f"{test.wall_s:.3f}",
        "cg-mem": None if test.memory_bytes is None else test.memory_bytes // 1024,
        "cg-oom-killed": 1 if test.verdict == "MLE" else None,
        "exitcode": None if test.signal is not None else test.exit_code,
        "exitsig": test.signal,
        "killed": 1 if test.verdict in _KILLED else None,
        "status": status,
        "message": _message(test, status),
    }
    return "".join(f"{key}:{value}\n" for key, value in values.items() if value is not None)


def _status(test: TestResult) -> str | None:
    """RE exited with another code than 0, SG died of a signal, TO ran out of time, XX our fault; none where it ran through."""
    if test.verdict == "IE":
        return "XX"
    if test.verdict in _LIMITS:
        return "TO"
    if test.signal is not None:
        return "SG"
    return "RE" if test.exit_code else None


def _message(test: TestResult, status: str | None) -> str | None:
    if status == "SG" and test.signal is not None:
        return f"Caught fatal signal {test.signal} ({signal_name(test.signal)})"
    if status == "RE":
        return f"Exited with error status {test.exit_code}"
    return explain(test) if status else None
