"""Runs in the jail: executes code with variables, and returns those that are data."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def execute(code: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Execute code; return the variables that it leaves."""
    scope = dict(variables)
    exec(compile(code, "<code>", "exec"), scope)  # noqa: S102 - this is what the jail is for
    return {name: value for name, value in scope.items() if not name.startswith("__") and _is_data(value)}


def _is_data(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
