"""Files of the caller that JailPy itself opens: --stdin, --stdout, --stderr, --report, and --keep of run. Parent side.

They may lie in a folder that a payload may write (--rw), of this run or an earlier one, and a payload plants links and
FIFOs where it expects a file (CVE-2024-28185). So what is opened is decided before the run, and no link at the name
itself leads elsewhere, where a secret would be read or written over; only below /dev and /proc, which no jail writes, links
stand for the caller's own descriptors.
"""

from __future__ import annotations

import errno
import os
import stat

from jailpy.errors import UsageError

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
_SYSTEM = ("/dev", "/proc")


def open_stream(option: str, path: str) -> int:
    """Open the FILE of --stdout, --stderr or --keep, empty. Raises UsageError: also for a link that names a file."""
    return _open(option, path, _CREATE | os.O_TRUNC)


def open_input(option: str, path: str) -> int:
    """Open the FILE of --stdin. Raises UsageError: also for a link that names a file."""
    return _open(option, path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)


def _open(option: str, path: str, flags: int) -> int:
    flags |= 0 if _is_special(path) else os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        if os.path.islink(path) and flags & os.O_NOFOLLOW:
            hints = [f"name what it points to: {os.path.realpath(path)}"]
            raise UsageError(f"option {option} {path}: is a symbolic link", hints) from error
        raise UsageError(f"option {option} {path}: {error.strerror}") from error


def _is_special(path: str) -> bool:
    """Tell whether a path names no file: a terminal, pipe or device, or a link of the system's own to a descriptor.

    Any other link does not: a payload can leave one that leads to a disk, say.
    """
    folder = os.path.realpath(os.path.dirname(path) or ".") + "/"
    if any(folder.startswith(f"{system}/") for system in _SYSTEM):
        return True
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_IFMT(mode) not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)


class ReportFile:
    """Where --report goes. The folder is opened before the run; the file is made anew after it, in place of any other.

    So a link at the name is replaced and never followed, nobody waits for a FIFO that the payload put there, and a report
    that the payload wrote itself does not stay. What is no file from the start is opened at the start.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._held = self._folder = -1
        self._error: OSError | None = None
        folder, self._name = os.path.split(path)
        try:
            self._open(folder or ".")
        except OSError as error:
            self._error = error

    def _open(self, folder: str) -> None:
        if self.path == "-":
            self._held = os.dup(2)
        elif _is_special(self.path):
            self._held = os.open(self.path, _CREATE | os.O_APPEND, 0o666)
        elif not self._name or os.path.isdir(self.path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        elif not os.access(folder, os.W_OK, effective_ids=True):
            self._held = os.open(self.path, _CREATE | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
        else:
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def write(self, text: str) -> None:
        """Write the report. Raises OSError, also what stood in the way before the run."""
        if self._error:
            raise self._error
        data = text.encode()
        if self._held >= 0:
            _write_all(self._held, data)
            return
        aside = f".jailpy-{os.urandom(8).hex()}"
        target = os.open(aside, _CREATE | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=self._folder)
        try:
            _write_all(target, data)
            os.rename(aside, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError:
            os.unlink(aside, dir_fd=self._folder)
            raise
        finally:
            os.close(target)

    def close(self) -> None:
        """Close what was opened here."""
        for number in (self._held, self._folder):
            if number >= 0:
                os.close(number)
        self._held = self._folder = -1


def _write_all(target: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(target, rest) :]
