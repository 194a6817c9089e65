"""Zip files of students: names that lead elsewhere, links, bombs and lies about sizes are refused, in a bounded time."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib

from jailpy.services.grading.intake import Bounds, RefusedError
from jailpy.services.grading.names import file_and_folder, file_path
from jailpy.services.grading.submission import SourceFile
from jailpy.services.grading.words import count, short, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ENTRY = b"PK\1\2"  # begins an entry of the archive's list
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # a header of the others may ask for gigabytes of memory
_CHUNK = 1 << 16
_JUNK = ("__MACOSX/", ".DS_Store")


def unpack(content: bytes, bounds: Bounds) -> Iterator[SourceFile]:
    """Yield the files of a zip file, without the one folder that all may be in. Raises RefusedError."""
    if content.count(_ENTRY) > 4 * bounds.files:  # folders and junk beside the files; parsing them all takes seconds
        raise RefusedError(f"it has more than {count(bounds.files, 'file')}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from _without_top(_files(archive, bounds))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise RefusedError(f"it is not a zip file that can be unpacked: {short(str(error), 120)}") from None


def _files(archive: zipfile.ZipFile, bounds: Bounds) -> list[SourceFile]:
    listed = [entry for entry in archive.infolist() if not _is_junk(entry.filename)]
    if len(listed) > bounds.files:
        raise RefusedError(f"it has more than {count(bounds.files, 'file')}")
    for entry in listed:
        _check(entry)
    wanted = [entry for entry in listed if not entry.is_dir()]
    _check_names(wanted)
    left = bounds.bytes
    files = []
    for entry in wanted:
        data = _read(archive, entry, left, bounds)
        left -= len(data)
        files.append(SourceFile(path=entry.filename, content=data))
    return files


def _is_junk(name: str) -> bool:
    return name.startswith(_JUNK[0]) or name.rsplit("/", 1)[-1] == _JUNK[1]


def _check(entry: zipfile.ZipInfo) -> None:
    """Refuse an entry for its name or kind. `orig_filename` is what the archive says, before zipfile mends it."""
    name = short(entry.orig_filename, 80)
    try:
        file_path(entry.filename.removesuffix("/"))
        file_path(entry.orig_filename.removesuffix("/"))
    except ValueError as error:
        raise RefusedError(f"the name {name} in it cannot be used: {error}") from None
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise RefusedError(f"{name} in it is {'a symbolic link' if kind == stat.S_IFLNK else 'no regular file'}")
    if entry.flag_bits & _ENCRYPTED:
        raise RefusedError(f"{name} in it is encrypted")
    if entry.compress_type not in _METHODS:
        raise RefusedError(f"{name} in it is packed by a method other than deflate")


def _check_names(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse a name that is there twice, or as a file and as a folder."""
    files: set[str] = set()
    for entry in entries:
        if entry.filename in files:
            raise RefusedError(f"the name {short(entry.filename, 80)} is in it twice")
        files.add(entry.filename)
    both = file_and_folder(files)
    if both:
        raise RefusedError(f"the name {short(both, 80)} is in it as a file and as a folder")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int, bounds: Bounds) -> bytes:
    """Unpack one file, whatever size its header promises, up to what is left."""
    data = bytearray()
    with archive.open(entry) as stream:
        while chunk := stream.read(_CHUNK):
            data += chunk
            if len(data) > left:
                raise RefusedError(f"unpacked it is too large: at most {size(bounds.bytes)} together are taken")
    return bytes(data)


def _without_top(files: list[SourceFile]) -> list[SourceFile]:
    """Take away the one folder that all files are in, as when a student packs the folder and not what is in it."""
    tops = {file.path.partition("/")[0] for file in files}
    if len(tops) != 1 or not all("/" in file.path for file in files):
        return files
    return [SourceFile(path=file.path.partition("/")[2], content=file.content) for file in files]
