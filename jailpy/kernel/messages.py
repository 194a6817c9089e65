"""A descriptor over a Unix socket as one system call: sendmsg(2), cmsg(3), unix(7). Used in the child."""

from __future__ import annotations

import ctypes
import sys

from jailpy.kernel import NUMBERS, syscall

_SOL_SOCKET, _SCM_RIGHTS = 1, 1
_HEAD, _SPACE = 20, 24  # of a control message with one descriptor: its length, and with padding


class _Buffer(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]


class _Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("buffers", ctypes.POINTER(_Buffer)),
        ("buffer_count", ctypes.c_size_t),
        ("control", ctypes.c_char_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


def send_descriptor(connection: int, data: bytes, number: int) -> None:
    """Send bytes and one descriptor. Raises OSError."""
    words = ((_HEAD, 8), (_SOL_SOCKET, 4), (_SCM_RIGHTS, 4), (number, 4))
    control = b"".join(value.to_bytes(size, sys.byteorder) for value, size in words).ljust(_SPACE, b"\0")
    buffer = _Buffer(data, len(data))
    message = _Message(buffers=ctypes.pointer(buffer), buffer_count=1, control=control, control_length=_SPACE)
    syscall(NUMBERS["sendmsg"], connection, ctypes.byref(message), 0, what="sendmsg", gives=len(data))
