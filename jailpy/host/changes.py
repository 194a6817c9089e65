"""Whether what host facts were gathered from has changed since: cheap looks, for a launcher that plans again and again.

What no cheap look can tell, its user bounds by age. Parent side, no fork.
"""

from __future__ import annotations

import os
import resource
import select
import time

from jailpy import cache
from jailpy.host import apparmor
from jailpy.kernel import files

_FOLDERS = ("/", "/etc", "/etc/ssl", "/dev", "/nix/store", "/gnu/store", "/etc/resolv.conf")
_APPARMOR = "/sys/kernel/security/apparmor/revision"
_LARGEST_LISTING = 1 << 15
_NEXT_ENTRY = 64  # bytes: room for the entry of one process
_NAME = 19  # where the name begins in struct linux_dirent64, getdents64(2)
_LIMITS = tuple(sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}))
_SETTLED_NS = 200_000_000  # longer than the clock of any filesystem's timestamps ticks


class Changes:
    """A look at the host. `none()` says that a second look, now, sees the same, and that no mount came, went or changed.

    Make it before gathering facts, so that a change in between is one.
    """

    def __init__(self) -> None:
        self._mounts = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self._proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._confined = apparmor.enabled()
        self._entries = _static(files.entries(self._proc, _LARGEST_LISTING))
        self._seen = self._look()
        self._settled = _is_settled(self._seen[0])

    def none(self) -> bool:
        """Say whether everything is as it was. A file that had been written just before the first look counts as changed."""
        return self._settled and not self._mounts_changed() and self._proc_is_same() and self._look() == self._seen

    def _mounts_changed(self) -> bool:
        """Ask the kernel, which tells of it by POLLPRI on this very descriptor (proc_pid_mountinfo(5))."""
        poll = select.poll()
        poll.register(self._mounts, select.POLLPRI)
        return bool(poll.poll(0))

    def _proc_is_same(self) -> bool:
        """See that /proc holds the same beside processes: modules bring files, and a jail hides those that it knows."""
        os.lseek(self._proc, 0, os.SEEK_SET)
        listed = files.entries(self._proc, len(self._entries) + _NEXT_ENTRY)
        return listed.startswith(self._entries) and _name(listed, len(self._entries)).isdigit()

    def _look(self) -> tuple[object, ...]:
        """Return all that can be compared: stamps first."""
        stamps = tuple(_stamp(path) for path in _FOLDERS)
        limits = tuple(map(resource.getrlimit, _LIMITS))
        policy = _revision() if self._confined else b""
        return stamps, limits, policy, os.sched_getaffinity(0), cache.folder()

    def move(self, floor: int) -> None:
        """Move the descriptors out of the numbers below `floor`. Raises OSError."""
        self._proc = files.above(self._proc, floor)
        self._mounts = files.above(self._mounts, floor)

    def close(self) -> None:
        """Close what was opened."""
        os.close(self._mounts)
        os.close(self._proc)


def _stamp(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mode, found.st_mtime_ns, found.st_ctime_ns


def _revision() -> bytes:
    """Return AppArmor's count of policy changes, b"" where it cannot be read.

    A second read would wait for the next change, and so would the first one where no policy was ever loaded.
    """
    try:
        descriptor = os.open(_APPARMOR, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 64)
    except BlockingIOError:
        return b""
    finally:
        os.close(descriptor)


def _is_settled(stamps: object) -> bool:
    """Say whether a further change of each file must alter its stamp."""
    assert isinstance(stamps, tuple)
    newest: int = max(stamp[-1] for stamp in stamps if stamp)
    return newest < time.time_ns() - _SETTLED_NS


def _static(listing: bytes) -> bytes:
    """Return the first entries of /proc up to the first process: those that no process makes come first."""
    at = 0
    while at < len(listing) and not _name(listing, at).isdigit():
        at += int.from_bytes(listing[at + 16 : at + 18], "little")
    return listing[:at]


def _name(listing: bytes, at: int) -> bytes:
    return listing[at + _NAME :].partition(b"\0")[0]
