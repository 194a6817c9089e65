"""Messages between client and server: a mark, a length, JSON, and descriptors (SCM_RIGHTS). Both ends. See unix(7).

While a run goes on the client may send orders about it, single bytes. One that comes when the run has just ended is skipped: no
message begins with it. JSON escapes the surrogates that stand for bytes which are no UTF-8, so any argv crosses unchanged.
"""

from __future__ import annotations

import _socket
import json
import os
import select

from jailpy import rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from typing import Any

LARGEST = 64 << 20
MOST_DESCRIPTORS = 64
KILL, TERMINATE = b"K", b"T"
_MARK = b"M"
_HEAD = 5


class BrokenMessageError(Exception):
    """The other end sent what is no message, or ended in the middle of one."""


def send(connection: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message. Raises OSError where the other end is gone, ValueError where it is too large."""
    transmit(connection, pack(message), descriptors)


def pack(message: dict[str, Any]) -> bytes:
    """Return a message's bytes. Raises ValueError where it is too large, TypeError where it holds what is no JSON."""
    body = json.dumps(message).encode()
    if len(body) > LARGEST:
        raise ValueError(f"a message of {len(body)} bytes is too large")
    return _MARK + len(body).to_bytes(_HEAD - 1, "little") + body


def transmit(connection: socket.socket, data: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send what `pack` made, and descriptors. Raises OSError where the other end is gone or a descriptor is not open."""
    sent = rights.send(connection, data, descriptors)
    if sent < len(data):
        connection.sendall(memoryview(data)[sent:])


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Receive one message and its descriptors (close-on-exec); None where the other end closed between two.

    Raises BrokenMessageError, with no descriptor left open, and OSError.
    """
    head, descriptors = _first(connection)
    try:
        if not head and not descriptors:
            return None
        return _body(connection, head), descriptors
    except BaseException:
        for number in descriptors:
            os.close(number)
        raise


def _body(connection: socket.socket, head: bytes) -> dict[str, Any]:
    head = _rest(connection, head, _HEAD)
    size = int.from_bytes(head[1:], "little")
    if head[:1] != _MARK:
        raise BrokenMessageError("no message begins like this")
    if size > LARGEST:
        raise BrokenMessageError(f"a message of {size} bytes")
    try:
        body = json.loads(_rest(connection, b"", size))
    except ValueError as error:
        raise BrokenMessageError(str(error)) from error
    if not isinstance(body, dict):
        raise BrokenMessageError("a message that is no object")
    return body


def is_due(connection: socket.socket, patience_ms: int) -> bool:
    """Wait for a message or the end of file; say whether it came. Orders about a run that has ended are dropped."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    while poll.poll(patience_ms):
        first = connection.recv(1, _socket.MSG_PEEK)
        if first not in (KILL, TERMINATE):
            return True
        connection.recv(1)
    return False


def _first(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Return the first bytes of a message, b"" at the end of file, and what came with them."""
    space = _socket.CMSG_SPACE(MOST_DESCRIPTORS * 4)
    found: list[int] = []
    while True:
        head, ancillary, _, _ = connection.recvmsg(_HEAD, space, _socket.MSG_CMSG_CLOEXEC)
        found += rights.received(ancillary)
        begun = head.lstrip(KILL + TERMINATE)
        if begun or not head:
            return begun, found


def _rest(connection: socket.socket, data: bytes, size: int) -> bytes:
    parts, missing = [data], size - len(data)
    while missing:
        part = connection.recv(min(missing, 1 << 20))
        if not part:
            raise BrokenMessageError("the other end closed in the middle of a message")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
