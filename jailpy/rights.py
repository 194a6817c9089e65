"""Sending descriptors over Unix sockets (SCM_RIGHTS, unix(7)). Both ends, and both sides of the fork."""

from __future__ import annotations

import _socket
import errno
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_TRIES = 5000
_PAUSE_S = 0.001


def send(connection: _socket.socket, data: bytes, descriptors: Iterable[int]) -> int:
    """Send bytes and descriptors; return how many bytes went. Raises OSError.

    An account may have as many descriptors on their way, of all its processes together, as the sender may have open. Many runs
    that start at once get there (ETOOMANYREFS); it is over as soon as some were received. Five seconds are enough for that.
    """
    packed = b"".join(number.to_bytes(4, "little") for number in descriptors)
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)] if packed else []
    for _ in range(_TRIES):
        try:
            return connection.sendmsg([data], rights)
        except OSError as error:
            if error.errno != errno.ETOOMANYREFS:
                raise
        time.sleep(_PAUSE_S)
    return connection.sendmsg([data], rights)
