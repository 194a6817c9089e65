"""Descriptors and small files: close_range(2), reading and writing what the kernel offers as files."""

from __future__ import annotations

import ctypes
import os

from jailpy.kernel import NEW, NUMBERS, syscall

CLOSE_RANGE = 436
_HERE = -100  # AT_FDCWD
_F_SETFD = 2
_LAST = 0x7FFFFFFF
_WHOLE = 1 << 14


def close_all_but(keep: tuple[int, ...]) -> None:
    """Close every descriptor that is not in `keep`. See close_range(2), Linux 5.9."""
    start = 0
    for number in sorted(set(keep)):
        if start < number:
            _close_range(start, number - 1)
        start = number + 1
    _close_range(start, _LAST)


def _close_range(first: int, last: int) -> None:
    try:
        syscall(CLOSE_RANGE, first, last, 0)
    except OSError:  # a container's filter that does not know the call; Python closes them one by one
        os.closerange(first, last + 1)


def open_path(path: bytes, flags: int, refused: int = 0) -> int:
    """Return the descriptor (close-on-exec) of a path. Raises OSError. With `refused` see that it fails with that errno."""
    return syscall(NUMBERS["openat"], _HERE, path, flags | os.O_CLOEXEC, 0, what=os.fsdecode(path), gives=NEW, refused=refused)


def close(number: int) -> None:
    """Close a descriptor. Raises OSError."""
    syscall(NUMBERS["close"], number)


def write_to(number: int, data: bytes) -> None:
    """Write to a descriptor, in one write(2), what fits into one. Raises OSError."""
    syscall(NUMBERS["write"], number, data, len(data), gives=len(data))


def put(path: bytes, data: bytes) -> None:
    """Write to a file that exists, in one write(2). Raises OSError."""
    descriptor = open_path(path, os.O_WRONLY)
    write_to(descriptor, data)
    close(descriptor)


def mkdir(path: bytes, mode: int) -> None:
    """Make a folder. Raises OSError. See mkdir(2)."""
    syscall(NUMBERS["mkdirat"], _HERE, path, mode, what=os.fsdecode(path))


def chmod(path: bytes, mode: int) -> None:
    """Set a mode. Raises OSError. See chmod(2)."""
    syscall(NUMBERS["fchmodat"], _HERE, path, mode, what=os.fsdecode(path))


def mknod(path: bytes, mode: int) -> None:
    """Make a file. Raises OSError. See mknod(2)."""
    syscall(NUMBERS["mknodat"], _HERE, path, mode, 0, what=os.fsdecode(path))


def symlink(target: bytes, path: bytes) -> None:
    """Make a symbolic link. Raises OSError. See symlink(2)."""
    syscall(NUMBERS["symlinkat"], target, _HERE, path, what=os.fsdecode(path))


def chdir(path: bytes) -> None:
    """Change the working folder. Raises OSError. See chdir(2)."""
    syscall(NUMBERS["chdir"], path, what=os.fsdecode(path))


def chroot(path: bytes) -> None:
    """Change the root. Raises OSError. See chroot(2)."""
    syscall(NUMBERS["chroot"], path, what=os.fsdecode(path))


def fchdir(number: int) -> None:
    """Change the working folder to that of a descriptor. Raises OSError."""
    syscall(NUMBERS["fchdir"], number)


def dup_to(number: int, target: int) -> None:
    """Put a descriptor at another number, inherited by execve. Raises OSError. See dup2(2); the numbers differ."""
    syscall(NUMBERS["dup3"], number, target, 0, gives=target)


def inherit(number: int) -> None:
    """Let execve keep a descriptor. Raises OSError. See fcntl(2), F_SETFD."""
    syscall(NUMBERS["fcntl"], number, _F_SETFD, 0)


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


def write_and_read(path: str, value: str) -> str:
    """Write a value to a kernel file in one write(2), and return what it reads then. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
        return os.fsdecode(os.pread(descriptor, _WHOLE, 0))
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


def whole(path: str) -> str:
    """Read a small file that the kernel gives in one read(2): a value, or one process's record. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.fsdecode(os.read(descriptor, _WHOLE))
    finally:
        os.close(descriptor)


def mounts() -> list[str]:
    """Return the lines of /proc/self/mountinfo. Raises OSError. See proc_pid_mountinfo(5)."""
    return read("/proc/self/mountinfo", 1 << 24).splitlines()


def stat_fields(pid: int | str) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on: the name before it may hold anything. Raises OSError.

    See proc_pid_stat(5), which counts from 1 and has the state as field 3.
    """
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def entries(folder: int, size: int) -> bytes:
    """Return the next entries of an open folder, as many as `size` bytes hold, raw. Raises OSError. See getdents64(2)."""
    buffer = ctypes.create_string_buffer(size)
    filled = syscall(NUMBERS["getdents64"], folder, buffer, size, what="getdents64")
    return buffer.raw[:filled]
