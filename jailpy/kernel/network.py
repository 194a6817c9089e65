"""Network interfaces: netdevice(7) by ioctl(2)."""

from __future__ import annotations

import _socket
import ctypes

from jailpy.kernel import fail, libc

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def loopback_up() -> None:
    """Bring lo up in this network namespace. Raises OSError."""
    request = ctypes.create_string_buffer(b"lo", 40)
    request[16] = bytes([_IFF_UP])
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        if libc.ioctl(ctypes.c_int(sock.fileno()), ctypes.c_ulong(_SIOCSIFFLAGS), request) == -1:
            raise fail("lo")
    finally:
        sock.close()
