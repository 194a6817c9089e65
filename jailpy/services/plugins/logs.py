"""What a plugin prints: the last of it, a line at a time, made harmless. However much it is, little is kept."""

from __future__ import annotations

import collections
import threading

from jailpy import escape

_LONGEST_LINE = 2_000
_MOST_LINES = 1_000


class Logs:
    """The last lines of a plugin's standard output and error. `bytes` is how much there was in all."""

    def __init__(self) -> None:
        self._lines: collections.deque[str] = collections.deque(maxlen=_MOST_LINES)
        self._open = b""
        self._lock = threading.Lock()
        self.bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Take what was read; an empty chunk ends the last line."""
        with self._lock:
            self.bytes += len(chunk)
            *whole, self._open = (self._open + chunk).split(b"\n") if chunk else (self._open, b"")
            self._open = self._open[:_LONGEST_LINE]
            self._lines.extend(_line(line) for line in whole[-_MOST_LINES:] if line or chunk)

    def disown(self) -> None:
        """In a forked child: a thread of the parent's may have held the lock, as it mostly does while a plugin prints much."""
        self._lock = threading.Lock()

    def lines(self) -> list[str]:
        """Return what is kept."""
        with self._lock:
            return [*self._lines, *([_line(self._open)] if self._open else [])][-_MOST_LINES:]


def _line(line: bytes) -> str:
    more = " ..." if len(line) > _LONGEST_LINE else ""
    return escape.line(line[:_LONGEST_LINE].decode(errors="backslashreplace")) + more
