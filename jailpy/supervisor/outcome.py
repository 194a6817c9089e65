"""How a run ended: the verdict with its evidence, and what was measured. Parent side, a value."""

from __future__ import annotations

from jailpy.frozen import Frozen

VERDICTS = (
    "ok", "nonzero_exit", "signaled", "cpu_limit", "wall_limit", "idle_limit", "memory_limit", "output_limit",
    "process_limit", "disk_limit", "file_size_limit", "security_violation", "cancelled", "internal_error", "not_started",
)  # fmt: skip
KILLING = ("memory_limit", "output_limit", "security_violation")  # the others refuse a call, or are the payload's own end
TIME_LIMITS = ("wall_limit", "cpu_limit", "idle_limit")


class Evidence(Frozen):
    """What a verdict rests on: which limit, its configured and measured value, and where the measurement comes from."""

    limit: str | None = None
    configured: float | int | None = None
    measured: float | int | None = None
    source: str = ""

    def report(self) -> dict[str, object]:
        """Return the JSON object."""
        return {"limit": self.limit, "configured": self.configured, "measured": self.measured, "source": self.source}


class Cause(Frozen):
    """Why a run was ended, first writer wins."""

    verdict: str
    evidence: Evidence


class Usage(Frozen):
    """What a run used; None is "not measured". `sources` pairs each measured key with how it was measured."""

    wall_s: float | None = None
    cpu_s: float | None = None
    user_s: float | None = None
    system_s: float | None = None
    memory_peak_bytes: int | None = None
    memory: tuple[tuple[str, int], ...] = ()
    processes_peak: int | None = None
    io_read_bytes: int | None = None
    io_written_bytes: int | None = None
    disk_bytes: int | None = None
    inodes: int | None = None
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    sources: tuple[tuple[str, str], ...] = ()

    def report(self) -> dict[str, object]:
        """Return the JSON object."""
        values = {name: getattr(self, name) for name in self._fields}
        return {**values, "memory": dict(self.memory) or None, "sources": dict(self.sources)}


class Outcome(Frozen):
    """The end of a run. `cancelled_by` is the signal that the caller sent, 0 where none.

    `observed` says that the calls of `violations` were let through; `weakened` names layers that did not hold to the end.
    """

    verdict: str
    exit_code: int | None
    signal: int | None
    evidence: Evidence | None
    usage: Usage
    violations: tuple[dict[str, object], ...] = ()
    violation_count: int = 0
    notes: tuple[str, ...] = ()
    cancelled_by: int = 0
    observed: bool = False
    weakened: tuple[str, ...] = ()

    def exit_status(self) -> int:
        """Return the exit status of `jailpy exec` (docs/reference/exit-status.md)."""
        if self.verdict == "cancelled":
            return 128 + self.cancelled_by
        if self.verdict in ("internal_error", "not_started"):
            return 125
        if self.verdict in TIME_LIMITS:
            return 124
        if self.verdict in KILLING and self.exit_code is None:
            return 137
        if self.exit_code is not None:
            return self.exit_code
        return 128 + (self.signal or 0)
