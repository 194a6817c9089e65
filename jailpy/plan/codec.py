"""A plan as JSON, for `explain --json` and other programs. Parent side, pure."""

from __future__ import annotations

from jailpy.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.plan.compile import Plan
    from jailpy.steps import Step


def plain(value: object) -> object:
    """Turn a value of Frozen values, tuples and bytes into what JSON knows; bytes are shown as text, programs by size."""
    if isinstance(value, Frozen):
        return {name: plain(getattr(value, name)) for name in value._fields}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return value.encode(errors="surrogateescape").decode(errors="backslashreplace") if isinstance(value, str) else value


def _step(step: Step, phase: str) -> dict[str, object]:
    fields = plain(step.replace(program=b"") if hasattr(step, "program") else step)
    return {
        "step": type(step).__name__,
        "layer": step.layer,
        "side": step.side,
        "phase": phase,
        "words": step.describe(),
        "values": fields,
    }


def to_json(plan: Plan) -> dict[str, object]:
    """Return the plan as a JSON object."""
    return {
        "schema": 1,
        "profile": plain(plan.profile),
        "host": plain(plan.host),
        "command": plain(plan.command),
        "layers": [
            {name: plain(getattr(layer, name)) for name in ("name", "state", "mechanism", "notes")} for layer in plan.layers
        ],
        "allowed_missing": list(plan.excused),
        "tiers": list(plan.tiers),
        "steps": [_step(step, plan.phase(position)) for position, step in enumerate(plan.steps)],
    }
