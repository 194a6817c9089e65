"""How the run of a submission becomes a verdict, with its evidence. Pure."""

from __future__ import annotations

import msgspec

from jailpy.services.grading.results import Evidence, Excerpt, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jailpy.client.result import CompletedRun
    from jailpy.services.grading.results import Limits

EXCERPT = 4096
_JVM_SAYS = b"Picked up JAVA_TOOL_OPTIONS: "
_BY_LIMIT = {
    "cpu_limit": Verdict.TLE,
    "wall_limit": Verdict.WTLE,
    "idle_limit": Verdict.ITLE,
    "memory_limit": Verdict.MLE,
    "output_limit": Verdict.OLE,
    "process_limit": Verdict.RTE,
    "disk_limit": Verdict.FLE,
    "file_size_limit": Verdict.FLE,
    "security_violation": Verdict.SV,
}
_BY_ITSELF = ("nonzero_exit", "signaled")


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """What a run alone decides. `verdict` is None where the checker has the word."""

    verdict: Verdict | None
    evidence: Evidence | None = None
    message: str = ""


def of_run(run: CompletedRun, limits: Limits) -> Ending:
    """Judge a run by how it ended and by what it took."""
    if run.verdict not in ("ok", *_BY_ITSELF, *_BY_LIMIT):
        return Ending(verdict=Verdict.IE, message=f"the jail gave no result: {run.verdict}")
    slow = _too_slow(run, limits)
    if slow:
        return Ending(verdict=Verdict.TLE, evidence=slow)
    if run.verdict in _BY_LIMIT:
        return Ending(verdict=_BY_LIMIT[run.verdict], evidence=_against(limits, evidence_of(run.evidence)))
    if run.verdict in _BY_ITSELF:
        return _failed(run)
    too_much = _too_much(run, limits)
    return Ending(verdict=Verdict.OLE if too_much else None, evidence=too_much)


def _against(limits: Limits, found: Evidence | None) -> Evidence | None:
    """Return evidence with the problem's limit: the jail's own is a little beyond it."""
    wanted = {"cpu": limits.cpu_s, "output": limits.output_bytes}.get(found.limit) if found else None
    return found if found is None or wanted is None else msgspec.structs.replace(found, configured=wanted)


def _too_slow(run: CompletedRun, limits: Limits) -> Evidence | None:
    """Return the evidence that a run took more CPU time than the limit, whatever else it did."""
    taken = run.usage["cpu_s"]
    if limits.cpu_s is None or taken is None or taken <= limits.cpu_s:
        return None
    return Evidence(limit="cpu", configured=limits.cpu_s, measured=taken, source=run.usage["sources"].get("cpu_s", ""))


def _too_much(run: CompletedRun, limits: Limits) -> Evidence | None:
    size = run.usage["stdout_bytes"]
    if limits.output_bytes is None or size <= limits.output_bytes:
        return None
    return Evidence(limit="output", configured=limits.output_bytes, measured=size, source="bytes of standard output")


def _failed(run: CompletedRun) -> Ending:
    """Judge a run that ended by itself and not well: a crash, or what followed a refused system call."""
    denied: dict[str, int] = {}
    for entry in run.violations:
        denied[entry["what"]] = denied.get(entry["what"], 0) + entry["count"]
    if not denied:
        return Ending(verdict=Verdict.RTE)
    source = "denied: " + ", ".join(f"{name} x{count}" for name, count in sorted(denied.items()))
    evidence = Evidence(limit="system calls", configured=0, measured=sum(denied.values()), source=source)
    return Ending(verdict=Verdict.SV, evidence=evidence)


def evidence_of(found: dict[str, Any] | None) -> Evidence | None:
    """Return a report's evidence."""
    if not found:
        return None
    return Evidence(
        limit=found["limit"],
        configured=found.get("configured"),
        measured=found.get("measured"),
        source=found.get("source") or "",
    )


def excerpt(data: bytes | None, most: int = EXCERPT) -> Excerpt:
    """Return the start of an output, without the line in which the JVM repeats the options that JailPy gave it."""
    if not data:
        return Excerpt(total_bytes=None if data is None else 0)
    if data.startswith(_JVM_SAYS):
        data = data.partition(b"\n")[2]
    return Excerpt(text=data[:most].decode(errors="replace"), total_bytes=len(data), truncated=len(data) > most)
