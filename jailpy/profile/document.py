"""TOML files to checked parts, with every problem's line. Parent side; only where the cache has no answer.

A problem is one line: `file:line: key: what was expected`. All of them are collected before anything is refused.
"""

from __future__ import annotations

import os
import stat
import tomllib

from jailpy.errors import ProfileError
from jailpy.frozen import Frozen
from jailpy.profile import locate
from jailpy.profile.check import EntryError, convert
from jailpy.profile.lines import TooDeepError, find_lines
from jailpy.profile.merge import Part
from jailpy.profile.schema import KEYS, TABLES
from jailpy.profile.values import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jailpy.profile.locate import Stamp
    from jailpy.profile.schema import Document

LARGEST_FILE = 1 << 20
DEEPEST = 16
MOST_FILES = 64
MOST_PROBLEMS = 200


class File(Frozen):
    """One file's content: its part, its parents as written, and the stamp that tells whether it changed since."""

    path: str
    part: Part
    parents: list[str]
    stamp: Stamp


def read_text(path: str) -> tuple[str, Stamp]:
    """Read a file of at most 1 MiB. Raises ProfileError; never blocks on a FIFO or a device."""
    shown = printable(path)
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise ProfileError(f"{shown}: cannot be opened: {error.strerror}") from None
    except ValueError:
        raise ProfileError(f"{shown}: cannot be opened: not a path") from None
    try:
        return _read_regular(file, path, shown)
    except OSError as error:
        raise ProfileError(f"{shown}: cannot be read: {error.strerror}") from None
    finally:
        os.close(file)


def _read_regular(file: int, path: str, shown: str) -> tuple[str, Stamp]:
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        raise ProfileError(f"{shown}: not a regular file")
    data = b""
    while found.st_size <= LARGEST_FILE >= len(data) and (more := os.read(file, 1 << 16)):
        data += more
    if max(found.st_size, len(data)) > LARGEST_FILE:
        raise ProfileError(f"{shown}: expected a profile of at most 1 MiB, got {max(found.st_size, len(data))} bytes")
    try:
        return data.decode("utf-8"), locate.stamp_of(path, found)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ProfileError(f"{shown}:{line}: expected UTF-8 text") from None


def read_file(path: str, problems: list[str], label: str) -> File | None:
    """Read, parse and check one profile file; None, with a problem noted, where it cannot be used at all."""
    try:
        text, stamp = read_text(path)
        return File(path, *parse(text, path, label, problems), stamp)
    except ProfileError as error:
        problems.append(error.message)
        return None


def parse(text: str, path: str, label: str, problems: list[str]) -> tuple[Part, list[str]]:
    """Parse one TOML text into a part and the parents that it names. Raises ProfileError where it is not TOML."""
    shown = printable(path)
    lines, raw = _parse_toml(text, shown)
    reader = _Reader(shown, lines, problems)
    reader.read(raw)
    extends = reader.values.get("extends", [])
    return Part(label, reader.values, reader.places()), list(extends) if isinstance(extends, list) else []


def _parse_toml(text: str, shown: str) -> tuple[dict[str, int], dict[str, Any]]:
    try:
        lines = find_lines(text)
        return lines, tomllib.loads(text)
    except TooDeepError as error:
        raise ProfileError(f"{shown}:{error.line}: {error}") from None
    except RecursionError:
        raise ProfileError(f"{shown}: expected lists and tables nested less deeply") from None
    except ValueError as error:
        raise ProfileError(_syntax_problem(str(error), text, shown)) from None


def _syntax_problem(message: str, text: str, shown: str) -> str:
    """Turn "Invalid value (at line 3, column 8)" around, so that the place comes first."""
    what, _, place = message.rpartition(" (at ")
    if not what:
        return f"{shown}: not TOML: {printable(message)}"
    number = "".join(char for char in place.partition(",")[0] if char.isdigit())
    line = number or str(text.rstrip().count("\n") + 1)
    return f"{shown}:{line}: not TOML: {printable(what)}"


class _Reader:
    """Checks one parsed file against the table, key by key, and goes on after each problem."""

    def __init__(self, shown: str, lines: dict[str, int], problems: list[str]) -> None:
        self.shown = shown
        self.lines = lines
        self.problems = problems
        self.values: Document = {}

    def read(self, raw: dict[str, Any]) -> None:
        for name, value in raw.items():
            if name in TABLES and isinstance(value, dict):
                for inner, leaf in value.items():
                    self._leaf(f"{name}.{inner}", leaf)
            else:
                self._leaf(name, value)

    def places(self) -> dict[str, str]:
        return {name: f"{self.shown}:{line}" for name, line in self.lines.items()}

    def _leaf(self, name: str, value: object) -> None:
        key = KEYS.get(name)
        if len(self.problems) >= MOST_PROBLEMS:
            return
        if key is None:
            self._note(name, self._unknown(name))
            return
        try:
            self.values[name] = convert(key, value)
        except EntryError as error:
            for index, words in error.wrong:
                self._note(name, words, f"{name}[{index}]")
        except ValueError as error:
            self._note(name, str(error))

    def _unknown(self, name: str) -> str:
        if name in TABLES:
            return f"expected a table: [{name}]"
        near = locate.nearest(name, [*KEYS, *TABLES])
        owner = name.partition(".")[0] if "." in name else ""
        known = sorted(key.removeprefix(owner + ".") for key in KEYS if key.startswith(owner + ".")) if owner else []
        hint = f": did you mean {near}?" if near else f", expected one of {', '.join(known)}" if known else ""
        return "unknown key" + hint

    def _note(self, name: str, words: str, place: str = "") -> None:
        if len(self.problems) >= MOST_PROBLEMS:
            return
        line = self.lines.get(place) or self.lines.get(name) or self.lines.get(name.partition(".")[0], 1)
        self.problems.append(f"{self.shown}:{line}: {printable(name)}: {words}")


def read_chain(name: str, problems: list[str]) -> list[File]:
    """Read a profile and all that it extends, parents first, each once."""
    path = locate.resolve(name)
    chain = _Chain(problems)
    chain.follow(path, [], name if not locate.is_path(name) else "")
    return chain.files


class _Chain:
    """The walk over `extends`: depth first, parents before children, no file twice, no cycle."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        self.files: list[File] = []
        self._done: set[str] = set()

    def follow(self, path: str, above: list[str], name: str) -> None:
        real = os.path.realpath(path)
        if real in self._done:
            return
        self._done.add(real)
        file = read_file(path, self.problems, f"profile {name or _stem(path)}")
        if file is None:
            return
        for index, parent in enumerate(file.parents):
            place = file.part.place(f"extends[{index}]")
            problem = self._parent(parent, path, [*above, real])
            if problem:
                self.problems.append(f"{place}: extends: {problem}")
        self.files.append(file)

    def _parent(self, parent: str, child: str, above: list[str]) -> str:
        """Follow one parent; return what is wrong with it, "" where nothing is."""
        try:
            path = locate.resolve(parent, os.path.dirname(child))
        except ProfileError as error:
            return f"expected a profile's name or path: {error.message}"
        real = os.path.realpath(path)
        if real in above:
            names = [_stem(each) for each in [*above[above.index(real) :], real]]
            return f"expected no cycle, got {' -> '.join(names)}"
        if len(above) >= DEEPEST or len(self._done) >= MOST_FILES:
            return f"expected at most {DEEPEST} profiles in a row and {MOST_FILES} in all"
        self.follow(path, above, parent if not locate.is_path(parent) else "")
        return ""


def _stem(path: str) -> str:
    return printable(os.path.basename(path).removesuffix(locate.SUFFIX))
