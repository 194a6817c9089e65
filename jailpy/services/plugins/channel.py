"""The host's end of a worker's descriptor: lines out, with buffers, and lines in, bounded in length and time."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading

from jailpy import rights
from jailpy.services.plugins.limits import gone, violation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CHUNK = 1 << 16
_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7)
_RIGHTS = socket.CMSG_SPACE(253 * 4)  # SCM_MAX_FD descriptors: what has no room is closed by the kernel, in our thread
_PASSRIGHTS = 83  # SO_PASSRIGHTS of asm/socket.h, Linux 6.16


class Channel:
    """A connected socket. `wait` of its methods says how many seconds to wait at most, each time, or raises."""

    def __init__(self, connection: socket.socket, longest: int) -> None:
        self._socket, self._longest = connection, longest
        self._pending = b""
        with contextlib.suppress(OSError):  # an older kernel: `_received` sees to descriptors there
            connection.setsockopt(socket.SOL_SOCKET, _PASSRIGHTS, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # from the start: what was sent before bears pid 0

    def credentials(self, wait: Callable[[], float]) -> int:
        """Return the pid of the process that wrote first, as the kernel tells it. Raises BrokenError."""
        while True:
            self._socket.settimeout(wait())
            try:
                chunk, ancillary = self._received(1, socket.CMSG_SPACE(_CREDENTIALS.size))
            except TimeoutError:
                continue
            except OSError:
                raise gone() from None
            break
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        self._pending = chunk
        told = [data for level, kind, data in ancillary if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS)]
        if not chunk or not told:
            raise gone()
        return int(_CREDENTIALS.unpack(told[0])[0])

    def send(self, line: bytes, descriptors: Sequence[int], wait: Callable[[], float]) -> None:
        """Write a line. Raises BrokenError."""
        left = memoryview(line)
        while left:
            self._socket.settimeout(wait())
            try:
                if descriptors:
                    sent = socket.send_fds(self._socket, [left], list(descriptors))
                    descriptors = ()
                else:
                    sent = self._socket.send(left, socket.MSG_NOSIGNAL)
            except TimeoutError:
                continue
            except OSError:
                raise gone() from None
            left = left[sent:]

    def receive(self, wait: Callable[[], float]) -> bytes:
        """Read a line. Raises BrokenError: for one that is too long as well."""
        parts, size, chunk = [], 0, self._pending
        self._pending = b""
        while True:
            end = chunk.find(b"\n")
            size += len(chunk) if end < 0 else end
            if size > self._longest:
                raise violation(f"its message is over {self._longest} bytes")
            if end >= 0:
                parts.append(chunk[:end])
                self._pending = chunk[end + 1 :]
                return b"".join(parts)
            parts.append(chunk)
            chunk = self._chunk(wait)

    def _chunk(self, wait: Callable[[], float]) -> bytes:
        while True:
            self._socket.settimeout(wait())
            try:
                chunk, _ = self._received(_CHUNK)
            except TimeoutError:
                continue
            except OSError:
                raise gone() from None
            if not chunk:
                raise gone()
            return chunk

    def _received(self, size: int, room: int = 0) -> tuple[bytes, list[tuple[int, int, bytes]]]:
        """Receive bytes and other ancillary data than descriptors. Raises BrokenError for those; OSError."""
        chunk, ancillary, _, _ = self._socket.recvmsg(size, _RIGHTS + room, socket.MSG_CMSG_CLOEXEC)
        numbers = rights.received(ancillary)
        if numbers:
            threading.Thread(target=_close, args=(numbers,), name="jailpy-plugin", daemon=True).start()
            raise violation("it sent descriptors")
        return chunk, ancillary

    def expect_silence(self) -> None:
        """See that nothing was sent that nobody asked for. Raises BrokenError."""
        if self._pending:
            raise violation("it sent a message that nobody asked for")
        self._socket.settimeout(0)
        try:
            told = self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            raise gone() from None
        raise violation("it sent a message that nobody asked for") if told else gone()

    def shut(self) -> None:
        """Have whoever waits here see the end, from any thread; the descriptor stays until `close`."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # closed already
            return

    def close(self) -> None:
        """Close this end; nobody may be waiting here any more. Takes as long as a plugin wants that left descriptors in it."""
        self._socket.close()


def _close(numbers: list[int]) -> None:
    """Close what a plugin sent: in a thread of its own, for a TCP socket with SO_LINGER takes as long as the plugin wants."""
    for number in numbers:
        with contextlib.suppress(OSError):  # what is lost in closing is the plugin's
            os.close(number)
