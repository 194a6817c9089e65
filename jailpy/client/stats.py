"""What became of a launcher's runs, counted."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Stats:
    """Counts of runs. One that raises instead of giving a report has failed: its payload never ran, or nobody knows."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a collected run is counted at any point, this code's own included
        self._started = self._failed = self._ended = self._pooled = 0
        self._verdicts: dict[str, int] = {}

    def start(self) -> None:
        """Count a run that was asked for."""
        with self._lock:
            self._started += 1

    def fail(self) -> None:
        """Count a run that gave an error."""
        with self._lock:
            self._failed += 1

    def end(self, verdict: str, *, pooled: bool) -> None:
        """Count a run that gave a report; `pooled` says that it took a jail from the pool."""
        with self._lock:
            self._ended += 1
            self._pooled += pooled
            self._verdicts[verdict] = self._verdicts.get(verdict, 0) + 1

    def report(self) -> dict[str, Any]:
        """Return the counts."""
        with self._lock:
            return {
                "started": self._started,
                "running": self._started - self._failed - self._ended,
                "ended": self._ended,
                "failed": self._failed,
                "pooled": self._pooled,
                "verdicts": dict(self._verdicts),
            }
