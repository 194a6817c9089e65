"""Private folders for as long as a grading lives. Those of gradings that were killed are removed by the next one.

Each is locked (flock(2)) by the process that made it, for as long as that lives: one that can be locked is nobody's any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile

_PREFIX = "jailpy-grading-"
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Scratch:
    """A folder that nobody else may read, removed by `close`. Raises OSError."""

    def __init__(self) -> None:
        remove_left()
        self.path, self._lock = _made()

    def close(self) -> None:
        """Remove the folder with all that is in it. May be called twice."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def _made() -> tuple[str, int]:
    """Make a folder; return its path, and the descriptor that locks it."""
    while True:
        path = tempfile.mkdtemp(prefix=_PREFIX)
        number = -1
        try:
            number = os.open(path, _OPEN)
            _lock(number)
            if os.path.samestat(os.fstat(number), os.lstat(path)):
                return path, number
        except FileNotFoundError:  # another grading took it for one that was left, before it was locked
            pass
        if number >= 0:
            os.close(number)


def _lock(number: int) -> None:
    """Lock a folder. Where its filesystem has no locks, nobody else can take it for unlocked either."""
    with contextlib.suppress(OSError):
        fcntl.flock(number, fcntl.LOCK_EX)


def remove_left() -> None:
    """Remove the folders of this user's gradings that live no more. What cannot be removed stays."""
    with contextlib.suppress(OSError):
        top = os.open(tempfile.gettempdir(), _OPEN & ~os.O_NOFOLLOW)
        try:
            for name in os.listdir(top):
                if name.startswith(_PREFIX):
                    with contextlib.suppress(OSError):
                        _remove(top, name)
        finally:
            os.close(top)


def _remove(top: int, name: str) -> None:
    """Remove a folder by its descriptor, where it is ours, private and not locked. Raises OSError."""
    number = os.open(name, _OPEN, dir_fd=top)
    try:
        found = os.fstat(number)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
            return
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for inner in os.listdir(number):
            if stat.S_ISDIR(os.stat(inner, dir_fd=number, follow_symlinks=False).st_mode):
                shutil.rmtree(inner, dir_fd=number)
            else:
                os.unlink(inner, dir_fd=number)
        os.rmdir(name, dir_fd=top)
    finally:
        os.close(number)
