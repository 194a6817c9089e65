"""Descriptors of the client's own, all above the standard three: a program may have been started with those closed.

What got number 0, 1 or 2 would be written to by every print of the program, and be replaced in the server that it starts.
"""

from __future__ import annotations

import fcntl
import os
import socket

_STANDARD = 3


def pipe() -> tuple[int, int]:
    """Return a pipe's (reader, writer), close-on-exec. Raises OSError, with nothing left open."""
    reader, writer = os.pipe()
    try:
        reader = _above(reader)
    except OSError:
        os.close(writer)
        raise
    try:
        return reader, _above(writer)
    except OSError:
        os.close(reader)
        raise


def null() -> int:
    """Open /dev/null for reading and writing, close-on-exec. Raises OSError."""
    return _above(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))


def pair() -> tuple[socket.socket, socket.socket]:
    """Return a pair of stream sockets, close-on-exec. Raises OSError, with nothing left open."""
    ours, theirs = socket.socketpair()
    try:
        return _socket_above(ours), _socket_above(theirs)
    except OSError:
        ours.close()
        theirs.close()
        raise


def is_open(number: int) -> bool:
    """Say whether a descriptor is open."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def close(numbers: list[int]) -> None:
    """Close each that is not negative, once."""
    for number in dict.fromkeys(numbers):
        if number >= 0:
            os.close(number)


def _socket_above(given: socket.socket) -> socket.socket:
    return given if given.fileno() >= _STANDARD else socket.socket(fileno=_above(given.detach()))


def _above(number: int) -> int:
    """Move a descriptor above the standard three; the one given is closed then, also where that fails."""
    if number >= _STANDARD:
        return number
    try:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _STANDARD)
    finally:
        os.close(number)
