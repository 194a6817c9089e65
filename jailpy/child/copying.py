"""Copy a tree into the jail: `--put`, and `--cow` where an overlay cannot be had. The tmpfs bounds what is copied, or `Room`.

The walk holds one descriptor per level and follows no link, so a source that changes meanwhile cannot lead it astray, nor
hold it up: nothing is waited for that a FIFO in a file's place would keep from coming. Nor is there a link on the way to where
the copy goes: a copy made before may hold some, and here they would lead to the host's files.
"""

from __future__ import annotations

import errno
import os
import stat

from jailpy.kernel import mount

DEEPEST = 200
_CHUNK = 1 << 20
_NO_BOUND = 1 << 62
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Room:
    """How many bytes, and how many files and folders, may be copied yet: a file with holes is large, and takes nothing."""

    def __init__(self, size: int, count: int) -> None:
        self._size = size
        self._count = count

    def chunk(self) -> int:
        """Return how much to copy at a time: one byte more than there is room for tells that it is too much."""
        return min(_CHUNK, self._size + 1)

    def take(self, size: int, count: int = 0) -> None:
        """Take room. Raises OSError where there is too little."""
        self._size -= size
        self._count -= count
        if self._size < 0 or self._count < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def copy_tree(source: int, path: str, room: Room | None = None) -> None:
    """Copy what the O_PATH descriptor `source` refers to, a file or a folder, to `path`. Raises OSError: ELOOP for a link."""
    room = room or Room(_NO_BOUND, _NO_BOUND)
    around, name = os.path.split(path)
    into = mount.openat2(mount.AT_FDCWD, os.fsencode(around or "."), os.O_PATH | os.O_DIRECTORY, mount.NO_LINKS)
    try:
        _copy_to(f"/proc/self/fd/{source}", name, into, room)
    finally:
        os.close(into)


def _copy_to(source: str, name: str, into: int, room: Room) -> None:
    found = os.stat(source)
    if stat.S_ISDIR(found.st_mode):
        folder = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        _make_folder(name, stat.S_IMODE(found.st_mode), into)
        target = mount.openat2(into, os.fsencode(name), os.O_RDONLY | os.O_DIRECTORY, mount.NO_LINKS)
        _copy_folder(folder, target, 0, room)
    else:
        _copy_file(os.open(source, _FILE & ~os.O_NOFOLLOW), name, into, room)


def _make_folder(path: str, mode: int, folder: int) -> None:
    try:
        os.mkdir(path, dir_fd=folder)
    except FileExistsError:  # the mount point of the copy itself
        return
    os.chmod(path, (mode & 0o777) | 0o700, dir_fd=folder)


def _copy_folder(source: int, target: int, depth: int, room: Room) -> None:
    """Copy what is in a folder; closes both."""
    try:
        if depth > DEEPEST:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        for name in os.listdir(source):
            room.take(0, 1)
            _copy_entry(name, source, target, depth, room)
        _copy_times(source, target)
    finally:
        os.close(source)
        os.close(target)


def _copy_entry(name: str, source: int, target: int, depth: int, room: Room) -> None:
    found = os.stat(name, dir_fd=source, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    elif stat.S_ISDIR(found.st_mode):
        below = os.open(name, _FILE | os.O_DIRECTORY, dir_fd=source)
        _make_folder(name, stat.S_IMODE(found.st_mode), target)
        _copy_folder(below, os.open(name, _FILE | os.O_DIRECTORY, dir_fd=target), depth + 1, room)
    elif stat.S_ISREG(found.st_mode):
        _copy_file(os.open(name, _FILE, dir_fd=source), name, target, room)


def _copy_times(source: int, target: int) -> None:
    """Keep the time of last change, which make and its like go by."""
    found = os.fstat(source)
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _copy_file(source: int, name: str, folder: int, room: Room) -> None:
    try:
        found = os.fstat(source)
        if not stat.S_ISREG(found.st_mode):  # another one has taken its place since it was looked at
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        mode = (stat.S_IMODE(found.st_mode) & 0o777) | 0o400
        target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
        try:
            while sent := os.sendfile(target, source, None, room.chunk()):
                room.take(sent)
            _copy_times(source, target)
        finally:
            os.close(target)
    finally:
        os.close(source)
