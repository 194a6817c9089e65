"""Collect files out of a dead run: the one place that reads what a payload left behind. Parent side.

The folder is a read-only, nosymfollow view of the work folder (steps/mounts.py, OfferFolder). Nothing is looked at by path
and used by path: each file is opened once, below the folder and through no link (openat2(2)), and judged by what was
opened. The classes of attack that this answers: CVE-2024-28185, CVE-2024-28189.
"""

from __future__ import annotations

import errno
import os
import stat

from jailpy.frozen import Frozen
from jailpy.kernel import mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.profile.model import Limits

_RESOLVE = mount.RESOLVE_BENEATH | mount.RESOLVE_NO_SYMLINKS | mount.RESOLVE_NO_MAGICLINKS | mount.RESOLVE_NO_XDEV
_CHUNK = 1 << 20
_DEEPEST = 64
_KINDS = {
    stat.S_IFLNK: "symbolic link", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}  # fmt: skip
# Files that tools of the host execute by themselves (CVE-2026-48124, CVE-2026-55607)
_EXECUTED = ("conftest.py", "sitecustomize.py", "usercustomize.py", "CLAUDE.md", "AGENTS.md", ".envrc", "Makefile")
_EXECUTED_BELOW = (".git", ".vscode", ".idea", ".github", ".husky")


class Caps(Frozen):
    """What is taken at most: bytes of one file, bytes and files in all."""

    file: int
    total: int
    files: int


class Collection:
    """One collection: counts against the caps, and the entries of the report."""

    def __init__(self, folder: int, caps: Caps) -> None:
        self.entries: list[dict[str, object]] = []
        self._folder = folder
        self._left = caps.total
        self._files = caps.files
        self._largest = caps.file

    def take(self, name: str, destination: str) -> None:
        """Collect a file or a folder of the work folder."""
        try:
            found = self._open(name)
        except OSError as error:
            self._refuse(name, destination, _why(error))
            return
        try:
            if stat.S_ISDIR(os.fstat(found).st_mode):
                self._take_folder(found, name, destination)
            else:
                self._take_file(found, name, destination)
        finally:
            os.close(found)

    def _open(self, name: str) -> int:
        """Open for reading, without waiting for a fifo's writer and without a device's side effects."""
        probe = mount.openat2(self._folder, os.fsencode(name), os.O_PATH | os.O_NOFOLLOW, _RESOLVE)
        try:
            kind = _KINDS.get(stat.S_IFMT(os.fstat(probe).st_mode))
        finally:
            os.close(probe)
        if kind:
            raise OSError(errno.EINVAL, kind)
        return mount.openat2(self._folder, os.fsencode(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, _RESOLVE)

    def _take_folder(self, found: int, name: str, destination: str) -> None:
        if name.count("/") >= _DEEPEST:
            self._refuse(name, destination, f"deeper than {_DEEPEST} folders")
            return
        try:
            _make_folder(destination)
        except OSError as error:
            self._refuse(name, destination, f"cannot be written: {error.strerror}")
            return
        for entry in _names(found):
            if self._files <= 0:
                self._refuse(f"{name}/{entry}", destination, "too many files")
                return
            self.take(f"{name}/{entry}", f"{destination}/{entry}")

    def _take_file(self, found: int, name: str, destination: str) -> None:
        state = os.fstat(found)
        reason = self._why_not(state)
        if reason:
            self._refuse(name, destination, reason)
            return
        self._files -= 1
        try:
            size = _copy(found, destination, state.st_size, executable=bool(state.st_mode & stat.S_IXUSR))
        except OSError as error:
            self._refuse(name, destination, f"cannot be written: {error.strerror}")
            return
        self._left -= size
        self._add(name, destination, size, None)

    def _why_not(self, state: os.stat_result) -> str | None:
        """Judge an opened file."""
        if not stat.S_ISREG(state.st_mode):
            return _KINDS.get(stat.S_IFMT(state.st_mode), "not a regular file")
        if state.st_nlink != 1:
            return "hard link"
        if state.st_size > self._largest or state.st_size > self._left:
            return f"too large: {state.st_size} bytes"
        return "too many files" if self._files <= 0 else None

    def _refuse(self, name: str, destination: str, reason: str) -> None:
        self._files -= 1
        self._add(name, destination, 0, reason)

    def _add(self, name: str, destination: str, size: int, refused: str | None) -> None:
        warning = None if refused or not executed_by_host(name) else "tools of the host execute a file of this name"
        entry = {"name": _text(name), "destination": _text(destination), "bytes": size}
        self.entries.append({**entry, "refused": refused, "warning": warning})


def collect(folder: int, wanted: tuple[tuple[str, str], ...], limits: Limits) -> list[dict[str, object]]:
    """Collect each (name in the work folder, destination on the host); return what was taken and what was refused.

    Regular files with one link only, never through a link, no larger than `file_size` and together than `disk`, no more
    than `inodes`. What cannot be read or written is refused with the reason; nothing is raised for it.
    """
    collection = Collection(folder, Caps(limits.file_size or limits.disk, limits.disk, limits.inodes))
    for name, destination in wanted:
        collection.take(name, os.path.abspath(destination))
    return collection.entries


def executed_by_host(name: str) -> bool:
    """Say whether a file of this name is one that tools of the host execute by themselves."""
    parts = name.split("/")
    last = parts[-1]
    named = last in _EXECUTED or last.endswith(".pth") or (last.startswith(".") and last.endswith(("rc", "profile")))
    return named or any(part in _EXECUTED_BELOW for part in parts[:-1])


def _text(name: str) -> str:
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _why(error: OSError) -> str:
    if error.errno == errno.EINVAL and error.strerror in _KINDS.values():
        return str(error.strerror)
    words = {errno.ENOENT: "not there", errno.ENOTDIR: "not there", errno.ELOOP: "symbolic link", errno.EXDEV: "outside"}
    return words.get(error.errno or 0, error.strerror or "cannot be opened")


def _names(folder: int) -> Iterator[str]:
    reopened = os.open(f"/proc/self/fd/{folder}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os.scandir(reopened) as listing:
            for entry in listing:
                yield entry.name
    finally:
        os.close(reopened)


def _make_folder(path: str) -> None:
    try:
        os.mkdir(path)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise


def _copy(source: int, destination: str, size: int, executable: bool) -> int:
    """Write aside under a new name, then rename: a link or a file at the destination is replaced, never written to."""
    above = os.open(os.path.dirname(destination) or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    aside, name = f".jailpy-{os.getpid()}-{os.urandom(8).hex()}", os.path.basename(destination)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        target = os.open(aside, flags, 0o755 if executable else 0o644, dir_fd=above)
        try:
            written = _copy_bytes(source, target, size)
            os.rename(aside, name, src_dir_fd=above, dst_dir_fd=above)
        except BaseException:
            os.unlink(aside, dir_fd=above)
            raise
        finally:
            os.close(target)
    finally:
        os.close(above)
    return written


def _copy_bytes(source: int, target: int, size: int) -> int:
    """Copy at most `size` bytes, as the file had when it was judged."""
    written = 0
    while written < size and (count := os.sendfile(target, source, None, min(_CHUNK, size - written))):
        written += count
    return written
