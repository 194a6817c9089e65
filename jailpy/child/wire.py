"""The messages between launcher and child: one byte of kind, then fixed integers. Both sides of the fork.

Set-up channel (SOCK_SEQPACKET), child to launcher: FAILED, FOLDER, TERMINAL, LISTENER (each with a descriptor),
READY. Launcher to child: GO, once for the id maps, once for execve; before the latter COMMAND, parts of what to execute, where
the steps do not say it. Status pipe, init to launcher: HIDDEN once init holds nothing but this pipe, a status record at the
end, stop records in between. That HIDDEN comes this way and not by the channel is what lets the end of the channel stand for
execve: the payload then has its only other end.

A template says READY or FAILED once, one that is an interpreter before that IMPORTING with the name of each module, and
in place of READY may say REFUSED with the reason.
"""

from __future__ import annotations

import _socket

FAILED, FOLDER, TERMINAL, LISTENER, HIDDEN, READY = b"F", b"D", b"T", b"L", b"H", b"R"
IMPORTING, REFUSED = b"I", b"N"
GO, COMMAND = b"G", b"C"
ENDED, STOPPED = b"E", b"S"
STATUS_SIZE = 40
PART_SIZE = 1 << 16


SCRIPT = 1 << 16  # detail of a failed last step: it was about the script


def receive(connection: _socket.socket, size: int, room: int = 0) -> tuple[bytes, list[tuple[int, int, bytes]]]:
    """Receive one message and what came with it; b"" at the end. Raises OSError. For the launcher.

    Of a child that died with a word of ours unread the kernel tells ECONNRESET once, before what it said last (unix(7)).
    """
    try:
        message, ancillary, _, _ = connection.recvmsg(size, room, _socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        message, ancillary, _, _ = connection.recvmsg(size, room, _socket.MSG_CMSG_CLOEXEC)
    return message, ancillary


def say(connection: _socket.socket, word: bytes) -> None:
    """Send a word to the child. One that is dead is noticed where its messages are taken. Raises other OSError."""
    try:
        connection.send(word)
    except (BrokenPipeError, ConnectionResetError):
        return


def has_failed(connection: _socket.socket) -> bool:
    """Say whether the child's word that a step of its own failed waits to be taken."""
    try:
        return connection.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT) == FAILED
    except OSError:
        return False


def failure(index: int, errno: int, detail: int = 0) -> bytes:
    """Pack a failed step: its index in the plan, the errno, and a detail (execve: 1 + the candidate that exists)."""
    return FAILED + index.to_bytes(4, "little") + errno.to_bytes(4, "little") + detail.to_bytes(4, "little")


def unpack_failure(message: bytes) -> tuple[int, int, int]:
    """Unpack `failure`."""
    index, errno, detail = (int.from_bytes(message[at : at + 4], "little") for at in (1, 5, 9))
    return index, errno, detail


def status(kind: bytes, wait_status: int, user_us: int, system_us: int, max_rss: int) -> bytes:
    """Pack what init learnt of the payload: wait status, CPU time in microseconds, largest resident set in KiB."""
    values = (wait_status, user_us, system_us, max_rss)
    return (kind + b"".join(value.to_bytes(8, "little") for value in values)).ljust(STATUS_SIZE, b"\0")


HIDDEN_RECORD = status(HIDDEN, 0, 0, 0, 0)


def unpack_status(record: bytes) -> tuple[bytes, int, int, int, int]:
    """Unpack `status`."""
    values = tuple(int.from_bytes(record[at : at + 8], "little") for at in (1, 9, 17, 25))
    return record[:1], values[0], values[1], values[2], values[3]
