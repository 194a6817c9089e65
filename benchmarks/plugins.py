"""Plugins: what a call of one costs, how soon it is there, and what an idle one holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.common import say

if TYPE_CHECKING:
    from benchmarks.stage import Stage

WORDS = "plugins: calls, starts, memory"
CALL = "call of a warm plugin with a small value"
BUFFER = "call with 100 MB as a Buffer"
BYTES = "call with 100 MB of bytes"
FIRST_BYTES = "first call with 100 MB of bytes"
START = "start, and the first call"
SPARE = "start from a spare, and the first call"
FRESH = "call in a fresh jail, from a spare"


def measure(stage: Stage) -> dict[str, Any]:
    """Return milliseconds of calls and starts, and the memory of one idle plugin among many."""
    amounts = stage.amounts
    say(f"plugins: {amounts.plugin_calls} calls, {amounts.plugin_starts} starts, {amounts.plugins} alive")
    with stage.fresh("jailpy") as caller:
        rows = caller.call("plugged:times", calls=amounts.plugin_calls, starts=amounts.plugin_starts)
    with stage.fresh("jailpy") as caller:
        alive = caller.call("plugged:crowd", count=amounts.plugins)
    return {"rows": rows, "alive": alive}
