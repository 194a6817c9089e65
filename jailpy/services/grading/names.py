"""Names of submissions and of the files in them: unique, valid text, and safe to create. Pure."""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
_LONGEST_PART, _LONGEST_PATH = 255, 1024
_UNSAFE = re.compile(r"[^A-Za-z0-9_.+-]+")


def shown(name: str) -> str:
    """Return a name of the file system as valid text: bytes that are no UTF-8 are shown in hexadecimal."""
    return os.fsencode(name).decode(errors="backslashreplace")


def file_path(name: str) -> str:
    """Return a relative path that may be created below a folder. Raises ValueError, with the reason, for any other."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError("it is not in UTF-8") from None
    if _CONTROLS.search(name):
        raise ValueError("it has control characters")
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[/\\]", name):
        raise ValueError("it is absolute")
    parts = name.split("/")
    if ".." in parts or ("\\" in name and ".." in name.split("\\")):
        raise ValueError("it leads out of its folder")
    if "" in parts or "." in parts:
        raise ValueError("it has an empty part")
    if len(name.encode()) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_PART for part in parts):
        raise ValueError("it is too long")
    return name


def file_and_folder(paths: Iterable[str]) -> str:
    """Return the first of the paths that is a folder of another one, "" where none is."""
    files = set(paths)
    folders = {path[:at] for path in files for at, letter in enumerate(path) if letter == "/"}
    return min(files & folders, default="")


def unique(paths: Sequence[str]) -> list[str]:
    """Return a name for each path, all different: its last part, with folders before it where that is not enough."""
    names = [shown(path) for path in paths]
    depth = dict.fromkeys(range(len(paths)), 1)
    while clashes := _clashes([_tail(name, depth[number]) for number, name in enumerate(names)]):
        grew = False
        for number in clashes:
            if depth[number] < names[number].count("/"):
                depth[number] += 1
                grew = True
        if not grew:
            break
    return _numbered([_tail(name, depth[number]) for number, name in enumerate(names)])


def file_name(number: int, name: str) -> str:
    """Return a name for a report file of the submission `name`, the `number`th: letters, digits, `_.+-`, at most 80."""
    return f"{number:05d}-{safe(name)}"


def safe(name: str) -> str:
    """Return a name with anything but letters, digits and `_.+-` replaced, its last 70 characters."""
    return _UNSAFE.sub("_", name)[-70:]


def _tail(name: str, depth: int) -> str:
    return "/".join(name.rsplit("/", depth)[-depth:])


def _clashes(names: list[str]) -> list[int]:
    seen: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        seen.setdefault(name, []).append(number)
    return [number for numbers in seen.values() if len(numbers) > 1 for number in numbers]


def _numbered(names: list[str]) -> list[str]:
    """Tell apart what is still the same: only names that are no UTF-8 can be."""
    taken: set[str] = set()
    result = []
    for name in names:
        free, number = name, 2
        while free in taken:
            free, number = f"{name} ({number})", number + 1
        taken.add(free)
        result.append(free)
    return result
