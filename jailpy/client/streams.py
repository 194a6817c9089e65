"""The payload's standard streams at the caller's end: what each is connected to, feeding and reading them."""

from __future__ import annotations

import os
import selectors
import subprocess

from jailpy.client import descriptors
from jailpy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import IO, Any

PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL
NAMES = ("stdin", "stdout", "stderr")
_CHUNK = 1 << 16


class Streams:
    """Descriptors of stdin, stdout and stderr: `ours`, and `theirs`, which the server gets; -1 where there is none.

    Raises UsageError for what is no stream, OSError; nothing is left open then.
    """

    def __init__(self, given: Sequence[Any]) -> None:
        self.ours, self.theirs = [-1, -1, -1], [-1, -1, -1]
        self._made: list[int] = []
        try:
            for at, stream in enumerate(given):
                self._connect(at, stream)
        except BaseException:
            self.close()
            raise

    def _connect(self, at: int, given: Any) -> None:
        if given == PIPE:
            reader, writer = descriptors.pipe()
            self.ours[at], self.theirs[at] = (writer, reader) if at == 0 else (reader, writer)
            self._made.append(self.theirs[at])
        elif given == STDOUT and at == 2:
            self.theirs[at] = self.theirs[1]
        elif given == DEVNULL or (given is None and at):
            self.theirs[at] = descriptors.null()
            self._made.append(self.theirs[at])
        elif given is not None:
            self.theirs[at] = _number(NAMES[at], given)

    def close_theirs(self) -> None:
        """Close the server's ends that were made here."""
        descriptors.close(self._made)
        self._made.clear()

    def close(self) -> None:
        """Close all that was made here."""
        self.close_theirs()
        descriptors.close(self.ours)

    def files(self) -> tuple[Any, Any, Any]:
        """Return our ends as unbuffered binary files."""
        stdin, stdout, stderr = (
            os.fdopen(number, "wb" if at == 0 else "rb", buffering=0) if number >= 0 else None
            for at, number in enumerate(self.ours)
        )
        return stdin, stdout, stderr


class Sink:
    """What is read from one file. Beyond `most` bytes reading stops, the file is closed and `on_full` called."""

    def __init__(self, file: IO[bytes], most: int | None = None, on_full: Callable[[], None] | None = None) -> None:
        self.file = file
        self.full = False
        self._most = most
        self._on_full = on_full
        self._parts: list[bytes] = []
        self._size = 0

    def data(self) -> bytes:
        """Return what was read."""
        return b"".join(self._parts)

    def take(self) -> bool:
        """Read a chunk. Return False at the end."""
        chunk = os.read(self.file.fileno(), _CHUNK)
        self._size += len(chunk)
        self.full = self._most is not None and self._size > self._most
        if chunk and not self.full:
            self._parts.append(chunk)
        return bool(chunk) and not self.full

    def close(self) -> None:
        """Close the file; where too much came, say so."""
        self.file.close()
        if self.full and self._on_full:
            self._on_full()


def exchange(stdin: IO[bytes] | None, sinks: Sequence[Sink], data: bytes | bytearray | memoryview) -> None:
    """Write `data` to `stdin`, close it, and read every sink to its end, all at once."""
    with selectors.DefaultSelector() as selector:
        for sink in sinks:
            selector.register(sink.file, selectors.EVENT_READ, sink)
        left = memoryview(data).cast("B")
        if stdin and left:
            os.set_blocking(stdin.fileno(), False)
            selector.register(stdin, selectors.EVENT_WRITE)
        elif stdin:
            stdin.close()
        while selector.get_map():
            for key, _ in selector.select():
                if key.data is None:
                    left = _feed(selector, key.fileobj, left)
                else:
                    _read(selector, key.data)


def _read(selector: selectors.BaseSelector, sink: Sink) -> None:
    if not sink.take():
        selector.unregister(sink.file)
        sink.close()


def _feed(selector: selectors.BaseSelector, stdin: Any, left: memoryview) -> memoryview:
    try:
        left = left[os.write(stdin.fileno(), left[:_CHUNK]) :]
    except BlockingIOError:
        return left
    except BrokenPipeError:  # the payload reads no more
        left = left[:0]
    if not left:
        selector.unregister(stdin)
        stdin.close()
    return left


def _number(name: str, given: Any) -> int:
    """Return the descriptor of a stream that the caller gave. Raises UsageError."""
    try:
        number = given if isinstance(given, int) else given.fileno()
    except (AttributeError, OSError, ValueError):  # in-memory and closed files
        number = -1
    if isinstance(number, int) and number >= 0 and descriptors.is_open(number):
        return number
    raise UsageError(f"option {name}: expected an open file, a descriptor, or one of subprocess's PIPE and DEVNULL")
