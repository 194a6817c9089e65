"""Combinations of keys that cannot be meant, whatever each says by itself. Parent side, pure."""

from __future__ import annotations

from jailpy.errors import ProfileError
from jailpy.profile.values import clean_path, format_size, printable, split_show, split_tmpfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.profile.merge import Merged
    from jailpy.profile.schema import Document


def entries(document: Document, key: str) -> list[str]:
    """Return the list under a key of a checked document."""
    value = document[key]
    assert isinstance(value, list)
    return value


def number(document: Document, key: str) -> int:
    """Return the integer under a key of a checked document that cannot be off."""
    value = document[key]
    assert isinstance(value, int)
    return value


def refuse(problems: list[str], what: str) -> None:
    """Raise ProfileError where there are problems. A single one is the message itself."""
    if problems:
        message = problems[0] if len(problems) == 1 else f"{printable(what)}: {len(problems)} problems"
        raise ProfileError(message, problems)


def destinations(document: Document) -> Iterator[tuple[str, str, str]]:
    """Yield key, entry and destination of everything that is shown; "" where it depends on the host."""
    workdir = clean_path(str(document["filesystem.workdir"]))
    for key in ("filesystem.ro", "filesystem.rw", "filesystem.cow"):
        for entry in entries(document, key):
            source, destination = split_show(entry)
            yield key, entry, clean_path(destination or default_destination(source, workdir))
    for entry in entries(document, "filesystem.tmpfs"):
        yield "filesystem.tmpfs", entry, clean_path(split_tmpfs(entry)[0])


def default_destination(source: str, workdir: str) -> str:
    """Return where a source without DST appears; "" where only the caller's own folder tells (".", "..")."""
    if source.startswith("/"):
        return source
    name = source.rstrip("/").rpartition("/")[2]
    return "" if name in ("", ".", "..") else f"{workdir}/{name}"


def problems(merged: Merged) -> list[str]:
    """Return every impossible combination as "place: key: what was expected"."""
    found = [*_twice(merged.document), *_too_large(merged.document), *_writable_settings(merged.document)]
    return [f"{_place(merged, key, entry)}: {key}: {words}" for key, entry, words in found]


def _place(merged: Merged, key: str, entry: str) -> str:
    nowhere = ("", "default")
    return merged.trail.get(f"{key}={entry}", merged.trail.get(key, nowhere))[1]


def _twice(document: Document) -> Iterator[tuple[str, str, str]]:
    seen: dict[str, str] = {}
    for key, entry, destination in destinations(document):
        if destination == "/":
            continue
        if destination in seen:
            words = f"expected one entry for {printable(destination)}, which {seen[destination]} shows already"
            remove = f'"!{printable(destination)}"' if "tmpfs" in seen[destination] else "one of the two"
            yield key, entry, f"{words} (remove {remove})"
        seen.setdefault(destination, f"{key} {printable(entry)}")


def _too_large(document: Document) -> Iterator[tuple[str, str, str]]:
    sizes = [split_tmpfs(entry)[1] or 0 for entry in entries(document, "filesystem.tmpfs")]
    disk = number(document, "limits.disk")
    if sum(sizes) > disk:
        last = next(entry for entry in reversed(entries(document, "filesystem.tmpfs")) if split_tmpfs(entry)[1])
        words = f"expected sizes of at most limits.disk ({format_size(disk)}) together, got {format_size(sum(sizes))}"
        yield "filesystem.tmpfs", last, words


def _writable_settings(document: Document) -> Iterator[tuple[str, str, str]]:
    """A payload that may write profiles, or the filters made of them, chooses the policy of the next run.

    One that may write JailPy's code, or its Python's, need not wait for that: a report imports modules once the run is over.
    A mask over the folder would not do where it can write around it: it renames a parent and makes the folder anew.
    """
    shown = entries(document, "filesystem.rw")
    if not shown:
        return
    import os

    from jailpy.profile import own

    for entry in shown:
        source = os.path.expanduser(split_show(entry)[0])
        for what, place in own.places():
            if _meet(source, place):
                inside = f"expected a folder without JailPy's own {what} ({printable(place)})"
                yield "filesystem.rw", entry, f"{inside}; show what the command writes to, or the folder by cow"
                break


def _meet(one: str, other: str) -> bool:
    """Tell whether one path is the other or lies in it, by whatever name or mount each was reached."""
    ours, theirs = _lineage(one), _lineage(other)
    return ours[0] in theirs or theirs[0] in ours


def _lineage(path: str) -> list[tuple[int, int] | str]:
    """Return device and inode of a path and of every folder above it, and the name of what is not there."""
    import os

    path = os.path.realpath(path)
    found: list[tuple[int, int] | str] = []
    while True:
        try:
            looked = os.stat(path)
            found.append((looked.st_dev, looked.st_ino))
        except OSError:
            found.append(path)
        if path == "/":
            return found
        path = os.path.dirname(path)
