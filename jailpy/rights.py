"""Descriptors over Unix sockets (SCM_RIGHTS, unix(7)). Both ends, and both sides of the fork."""

from __future__ import annotations

import _socket
import errno
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SIZE = 4  # of a descriptor among ancillary data
_TRIES = 5000
_PAUSE_S = 0.001


def send(connection: _socket.socket, data: bytes, descriptors: Iterable[int]) -> int:
    """Send bytes and descriptors; return how many bytes went. Raises OSError.

    An account may have as many descriptors on their way, of all its processes together, as the sender may have open. Many runs
    that start at once get there (ETOOMANYREFS); it is over as soon as some were received. Five seconds are enough for that.
    """
    packed = b"".join(number.to_bytes(_SIZE, "little") for number in descriptors)
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)] if packed else []
    for _ in range(_TRIES):
        try:
            return connection.sendmsg([data], rights)
        except OSError as error:
            if error.errno != errno.ETOOMANYREFS:
                raise
        time.sleep(_PAUSE_S)
    return connection.sendmsg([data], rights)


def received(ancillary: Iterable[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors that came with what recvmsg(2) gave; one that was cut off is left out."""
    return [
        int.from_bytes(data[at : at + _SIZE], "little")
        for level, kind, data in ancillary
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
        for at in range(0, len(data) - _SIZE + 1, _SIZE)
    ]
