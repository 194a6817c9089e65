"""The report of one run as a JSON object, `"schema": 1` (docs/reference/report.md). Parent side."""

from __future__ import annotations

from jailpy import __version__
from jailpy.errors import JailPyError
from jailpy.supervisor.outcome import Outcome, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.plan.compile import Plan

SCHEMA = 1


def not_started(error: Exception) -> Outcome:
    """Return the outcome of a run that never began; after a bug of ours nobody knows whether it did."""
    if isinstance(error, JailPyError):
        verdict, notes = "not_started", (error.message, *error.hints)
    else:
        verdict, notes = "internal_error", (f"{type(error).__name__}: {error}",)
    return Outcome(
        verdict=verdict,
        exit_code=None,
        signal=None,
        evidence=None,
        usage=Usage(),
        notes=notes,
    )


def record(
    plan: Plan | None,
    command: tuple[str, ...],
    outcome: Outcome,
    verified: dict[str, str],
    started_at: str,
    collected: list[dict[str, object]],
    asked: str = "strict",
) -> dict[str, object]:
    """Return the report. `plan` is None where none could be made of the profile `asked` for.

    `verified` is what was seen of each layer.
    """
    profile = {"name": plan.profile.name, "digest": plan.profile.digest} if plan else {"name": _text(asked), "digest": None}
    return {
        "schema": SCHEMA,
        "jailpy": __version__,
        "profile": profile,
        "command": [_text(arg) for arg in command],
        "verdict": outcome.verdict,
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "evidence": outcome.evidence.report() if outcome.evidence else None,
        "usage": outcome.usage.report(),
        "layers": _layers(plan, verified, outcome.weakened) if plan else [],
        "violations": list(outcome.violations),
        "violation_count": outcome.violation_count,
        "loosened": list(plan.profile.loosened) if plan else [],
        "unbounded": _unbounded(plan) if plan else [],
        "allowed_missing": list(plan.excused) if plan else [],
        "tiers": list(plan.tiers) if plan else [],
        "collected": collected,
        "notes": [*outcome.notes, *(note for layer in plan.layers for note in layer.notes)] if plan else list(outcome.notes),
        "started_at": started_at,
    }


def _text(arg: str) -> str:
    return arg.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _unbounded(plan: Plan) -> list[str]:
    return [source.path for source in plan.command.sources if source.mode == "rw"]


def _layers(plan: Plan, verified: dict[str, str], weakened: tuple[str, ...]) -> list[dict[str, object]]:
    """Return each layer's state. Planned but never seen holding (the launch failed) is absent; held at first is degraded."""
    rows = []
    for layer in plan.layers:
        seen = verified.get(layer.name)
        state = layer.state if seen or layer.state in ("absent", "off") else "absent"
        state = "degraded" if layer.name in weakened else state
        row = {"name": layer.name, "required": layer.name in plan.profile.require.layers, "state": state}
        rows.append({**row, "mechanism": layer.mechanism, "verified": seen})
    return rows
