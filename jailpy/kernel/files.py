"""Descriptors and small files: close_range(2), reading and writing what the kernel offers as files."""

from __future__ import annotations

import ctypes
import os

from jailpy.kernel import NUMBERS, syscall


def close_all_but(keep: tuple[int, ...]) -> None:
    """Close every descriptor that is not in `keep`."""
    start = 0
    for number in sorted(set(keep)):
        if start < number:  # closerange(0, 0) closes every descriptor: its bounds become unsigned in close_range(2)
            os.closerange(start, number)
        start = number + 1
    os.closerange(start, 0x7FFFFFFF)


def above(number: int, floor: int) -> int:
    """Move a descriptor to `floor` or above, close-on-exec, where it is lower; return its number. Raises OSError."""
    if number >= floor:
        return number
    import fcntl  # for callers that hand descriptors on, only

    moved = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, floor)
    os.close(number)
    return moved


def memory(name: str, content: bytes) -> int:
    """Return a file in memory, to be read from its start; nobody but its owner may write it. See memfd_create(2)."""
    number = os.memfd_create(os.path.basename(name)[-200:], os.MFD_CLOEXEC)
    left = memoryview(content)
    while left:
        left = left[os.write(number, left) :]
    os.fchmod(number, 0o644)
    os.lseek(number, 0, os.SEEK_SET)
    return number


def write(path: str, value: str) -> None:
    """Write a value to a kernel file in one write(2). Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)


def read(path: str, limit: int = 1 << 20) -> str:
    """Read at most `limit` bytes of a kernel file. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while limit > 0 and (part := os.read(descriptor, min(limit, 65536))):
            parts.append(part)
            limit -= len(part)
        return os.fsdecode(b"".join(parts))
    finally:
        os.close(descriptor)


def entries(folder: int, size: int) -> bytes:
    """Return the next entries of an open folder, as many as `size` bytes hold, raw. Raises OSError. See getdents64(2)."""
    buffer = ctypes.create_string_buffer(size)
    filled = syscall(NUMBERS["getdents64"], folder, buffer, size, what="getdents64")
    return buffer.raw[:filled]
