"""The end of a run in words, for standard error. Parent side."""

from __future__ import annotations

from jailpy import escape
from jailpy.steps import size_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.supervisor.outcome import Outcome

_QUIET = ("ok", "nonzero_exit")
_SIZES = ("memory", "disk", "output", "file_size")
_MOST_NAMES = 5


def _amount(limit: str | None, value: float | None) -> str:
    if value is None:
        return "?"
    if limit in _SIZES:
        return size_words(int(value))
    return f"{value:.2f} s" if limit in ("wall", "cpu", "idle") else str(value)


def ending(outcome: Outcome) -> str | None:
    """Return one line on how the run ended, None where the exit status says it all."""
    if outcome.verdict in _QUIET:
        return None
    evidence = outcome.evidence
    if outcome.verdict == "signaled":
        return f"signaled: the payload died of signal {outcome.signal}"
    if evidence is None:
        return outcome.verdict
    if evidence.limit is None:
        return f"{outcome.verdict}: {evidence.source}"
    limit, measured = _amount(evidence.limit, evidence.configured), _amount(evidence.limit, evidence.measured)
    return f"{outcome.verdict}: limit {limit}, measured {measured} ({evidence.source})"


def violations(outcome: Outcome) -> str | None:
    """Return one line on the calls that were denied."""
    if not outcome.violation_count:
        return None
    named = [f"{found['what']} x{found['count']}" for found in outcome.violations[:_MOST_NAMES]]
    more = "" if len(outcome.violations) <= _MOST_NAMES else ", ..."
    first = outcome.violations[0].get("allow_with") if outcome.violations else None
    remedy = f"; if it needs them: {first}" if first else ""
    many = f"{outcome.violation_count} system call{'s' if outcome.violation_count > 1 else ''}"
    what = "let through, which strict would deny" if outcome.observed else "denied"
    return escape.line(f"{many} {what}: {', '.join(named)}{more}{remedy}")


def summary(outcome: Outcome) -> str:
    """Return one line of figures, for -v."""
    usage = outcome.usage
    memory = "?" if usage.memory_peak_bytes is None else f"{usage.memory_peak_bytes / (1 << 20):.1f}M"
    cpu = "?" if usage.cpu_s is None else f"{usage.cpu_s:.3f} s"
    return f"{outcome.verdict}: wall {usage.wall_s:.3f} s, cpu {cpu}, memory {memory}, processes {usage.processes_peak or '?'}"
