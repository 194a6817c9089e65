"""Intake: paths that a teacher names become submissions, or one sentence each on why not. What is in them is hostile.

Nothing is followed that a student could have put there: no link, no device, no name that leads elsewhere. Everything is
bounded before it is read, and a submission is in memory only while it is judged: ten thousand are names until then.
"""

from __future__ import annotations

import errno
import os
import stat

import msgspec

from jailpy.errors import UsageError
from jailpy.services.grading.names import file_path, shown, unique
from jailpy.services.grading.submission import SourceFile, Submission
from jailpy.services.grading.words import count, short, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_BYTES = 16 << 20
MOST_FILES = 1000
_DEEPEST = 16
_TOO_DEEP = f"its folders are nested more than {_DEEPEST} deep"
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_NOT_TAKEN = {
    errno.ELOOP: "it is a symbolic link: hand in the file itself",
    errno.ENXIO: "it is neither a file nor a folder",
}
_BYTE_ORDER_MARKS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


class RefusedError(UsageError):
    """A submission that cannot be judged; the message says why, for its author."""


class UnreadableError(RefusedError):
    """A submission that this host does not let us read: no fault of its author."""


class Source(msgspec.Struct, frozen=True):
    """Where a submission is to be read from, and its name among all."""

    name: str
    path: str


class Bounds(msgspec.Struct, frozen=True):
    """What one submission may hold."""

    bytes: int = MOST_BYTES
    files: int = MOST_FILES


def sources(paths: Sequence[str]) -> list[Source]:
    """Name each path's submission, without reading any. A path given twice is one submission.

    The name is the last part of the path; where several are the same, as many folders before it as tell them apart.
    """
    distinct = list(dict.fromkeys(os.path.abspath(path) for path in paths))
    return [Source(name, path) for name, path in zip(unique(distinct), distinct, strict=True)]


def entries(folder: str) -> list[str]:
    """List a folder of submissions, in order of name, without hidden entries. Raises UsageError where it cannot be read."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from error
    return [os.path.join(folder, name) for name in names if not name.startswith(".")]


def load(source: Source, bounds: Bounds = Bounds()) -> Submission:  # noqa: B008 - frozen
    """Read a submission: a source file, a folder, or a zip file. Raises RefusedError (UnreadableError: the host's fault)."""
    try:
        handle = os.open(source.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _refusal(error) from error
    try:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            return _checked(source.name, _folder(handle, bounds))
        content = _regular(handle, found, bounds)
    except OSError as error:
        raise _refusal(error) from error
    finally:
        os.close(handle)
    if source.path.lower().endswith(".zip"):
        from jailpy.services.grading.archive import unpack

        return _checked(source.name, unpack(content, bounds))
    return _single(source, content)


def read(path: str | os.PathLike[str], language: str | None = None) -> Submission:
    """Read the submission at a path: a source file, a folder, or a zip file. Raises RefusedError."""
    (source,) = sources([os.fspath(path)])
    return msgspec.structs.replace(load(source), language=language)


def _refusal(error: OSError) -> RefusedError:
    words = _unreadable(error)
    return RefusedError(words) if error.errno in _NOT_TAKEN else UnreadableError(words)


def _unreadable(error: OSError) -> str:
    return _NOT_TAKEN.get(error.errno or 0, f"it cannot be read: {error.strerror}")


def _regular(handle: int, found: os.stat_result, bounds: Bounds) -> bytes:
    kind = _KINDS.get(stat.S_IFMT(found.st_mode))
    if kind:
        raise RefusedError(f"it is {kind}: hand in a file, a folder or a zip file")
    if found.st_size > bounds.bytes:
        raise RefusedError(f"it is too large: {size(found.st_size)}, at most {size(bounds.bytes)} are taken")
    return _read(handle, bounds.bytes)


def _read(handle: int, most: int) -> bytes:
    """Read a file that may grow meanwhile."""
    chunks: list[bytes] = []
    left = most + 1
    while left and (chunk := os.read(handle, min(left, 1 << 20))):
        chunks.append(chunk)
        left -= len(chunk)
    if not left:
        raise RefusedError(f"it is too large: more than {size(most)}")
    return b"".join(chunks)


def _folder(handle: int, bounds: Bounds) -> Iterator[SourceFile]:
    left = bounds.bytes
    for number, (path, content) in enumerate(_walk(handle, "", 0, bounds)):
        left -= len(content)
        if left < 0:
            raise RefusedError(f"its files are too large: at most {size(bounds.bytes)} together are taken")
        if number >= bounds.files:
            raise RefusedError(f"it has more than {count(bounds.files, 'file')}")
        yield SourceFile(path=path, content=content)


def _walk(folder: int, prefix: str, depth: int, bounds: Bounds) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file below a folder, each opened below its own folder and never through a link."""
    if depth > _DEEPEST:
        raise RefusedError(_TOO_DEEP)
    names = os.listdir(folder)
    if len(names) > bounds.files:
        raise RefusedError(f"it has more than {count(bounds.files, 'file')}")
    for name in sorted(names):
        path = _path(prefix + name)
        handle = _open_below(folder, name, path)
        try:
            found = os.fstat(handle)
            if stat.S_ISDIR(found.st_mode):
                yield from _walk(handle, f"{path}/", depth + 1, bounds)
            else:
                yield path, _regular_below(handle, found, path, bounds)
        finally:
            os.close(handle)


def _open_below(folder: int, name: str, path: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise RefusedError(f"{short(path, 80)}: {_unreadable(error)}") from error


def _regular_below(handle: int, found: os.stat_result, path: str, bounds: Bounds) -> bytes:
    try:
        return _regular(handle, found, bounds)
    except RefusedError as error:
        raise RefusedError(f"{short(path, 80)}: {error.message}") from None


def _path(name: str) -> str:
    """Return a path that may be created, for a name on disk."""
    try:
        return file_path(name)
    except ValueError as error:
        raise RefusedError(f"the file name {short(shown(name), 80)} cannot be used: {error}") from None


def _checked(name: str, files: Iterator[SourceFile]) -> Submission:
    taken = tuple(files)
    if not taken:
        raise RefusedError("it holds no file")
    if not any(file.content.strip() for file in taken):
        raise RefusedError("its files are empty")
    if any(file.path.count("/") > _DEEPEST for file in taken):
        raise RefusedError(_TOO_DEEP)
    return Submission(name=name, files=taken, notes=tuple(_notes(taken)))


def _single(source: Source, content: bytes) -> Submission:
    if not content.strip():
        raise RefusedError("it is empty")
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            raise RefusedError(f"it is a text in {encoding}: save it as UTF-8")
    if b"\0" in content:
        raise RefusedError("it is a binary file, not source code")
    file = SourceFile(path=_path(os.path.basename(source.path)), content=content)
    return Submission(name=source.name, files=(file,), notes=tuple(_notes((file,))))


def _notes(files: tuple[SourceFile, ...]) -> Iterator[str]:
    for file in files:
        try:
            file.content.decode()
        except UnicodeDecodeError as error:
            if b"\0" not in file.content:
                row = file.content.count(b"\n", 0, error.start) + 1
                byte = file.content[error.start]
                yield f"{short(file.path, 80)} is not in UTF-8: byte 0x{byte:02x} in line {row}"
