"""Memory of a worker's past calls, filled again by its next ones: new memory costs more page faults than copying takes."""

from __future__ import annotations

import threading
import time

from jailpy.services.plugins.buffers import Buffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jailpy.services.plugins.buffers import Copied

KEPT_S = 5.0
_MOST = 256 << 20
_LEAST_USE = 4  # a buffer is not taken for less than a fourth of what it holds


class Reuse:
    """Buffers that belong to one worker, which alone has seen what was in them. Used by one call at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[tuple[int, Buffer]] = []
        self._lent: list[tuple[int, Buffer]] = []
        self._timer: threading.Timer | None = None
        self._last = 0.0
        self._closed = False

    def filled(self, given: Sequence[Buffer | Copied]) -> list[Buffer]:
        """Return buffers for a call: those given, and copies of the rest. Raises OSError, MemoryError."""
        self._lent = []
        return [entry if isinstance(entry, Buffer) else self._fill(entry) for entry in given]

    def _fill(self, data: Copied) -> Buffer:
        size = data.view.nbytes
        room, buffer = self._taken(size) or (size, Buffer(data))
        if buffer.sealed:
            buffer.refill(data)
        self._lent.append((room, buffer))
        return buffer

    def _taken(self, size: int) -> tuple[int, Buffer] | None:
        with self._lock:
            fitting = [entry for entry in self._kept if size <= entry[0] <= size * _LEAST_USE]
            if not fitting:
                return None
            best = min(fitting, key=lambda entry: entry[0])
            self._kept.remove(best)
            return best

    def keep(self) -> None:
        """Keep what the last call had, for a while: the plugin says that it holds nothing of it any more."""
        with self._lock:
            for room, buffer in self._lent:
                if not self._closed and room + sum(size for size, _ in self._kept) <= _MOST:
                    self._kept.append((room, buffer))
            self._lent = []
            self._last = time.monotonic()
            if self._kept and not self._timer:
                self._wait(KEPT_S)

    def _wait(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _expire(self) -> None:
        with self._lock:
            self._timer = None
            left = self._last + KEPT_S - time.monotonic()
            if left <= 0:
                self._kept.clear()
            elif self._kept:
                self._wait(left)

    def close(self) -> None:
        """Give everything back, and keep no more."""
        with self._lock:
            self._closed = True
            self._kept.clear()
            if self._timer:
                self._timer.cancel()

    def disown(self) -> None:
        """In a forked child: let go of the parent's memory. Without the lock, which a thread that is not here may have held."""
        self._kept, self._lent = [], []
