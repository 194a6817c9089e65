"""Toolchains as data: which languages there are, which one a program is written in, which of their tools are here."""

from __future__ import annotations

import os
import re
import tomllib
from typing import Literal

import msgspec

from jailpy.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATH = "/usr/local/bin:/usr/bin:/bin"
BINARY = "program"
_FILE = "languages.toml"


class Language(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of languages.toml, which says what the keys mean."""

    name: str
    suffixes: tuple[str, ...]
    run: tuple[str, ...]
    package: str
    code: str = ""
    shebang: str = ""
    compile: tuple[str, ...] = ()
    keeps: Literal["binary", "all"] = "binary"
    whole: bool = False
    shows: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ()

    def sources(self, paths: Iterable[str]) -> list[str]:
        """Return those paths that are source files of this language, sorted."""
        return sorted(path for path in paths if path.endswith(self.suffixes))

    def command(self, template: tuple[str, ...], names: Names) -> list[str]:
        """Fill in a command."""
        words: list[str] = []
        for word in template:
            words += list(names.files) if word == "{files}" else [names.fill(word)]
        return words

    def missing(self) -> str:
        """Return the first program that a command needs and the host has not, "" where all are there."""
        heads = [command[0] for command in (self.compile, self.run) if command]
        return next((head for head in heads if "{" not in head and "/" not in head and not find_tool(head)), "")

    def require(self) -> None:
        """Raise HostError where a program is missing, with the package to install."""
        missing = self.missing()
        if missing:
            raise HostError(f"{self.name}: no {missing} here: apt install {self.package}", [])


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What the placeholders of a command stand for."""

    files: tuple[str, ...]
    main: str
    memory_mib: int = 256
    binary: str = BINARY

    def fill(self, word: str) -> str:
        """Replace the placeholders of a word."""
        stem = os.path.splitext(self.main)[0]
        folder, base = os.path.split(stem)
        capital = os.path.join(folder, base[:1].upper() + base[1:])
        meaning = {
            "main": self.main,
            "mainclass": stem.replace("/", "."),
            "Mainclass": capital.replace("/", "."),
            "binary": self.binary,
            "memory_mib": str(self.memory_mib),
        }
        return re.sub(r"\{(\w+)\}", lambda found: meaning.get(found[1], found[0]), word)


def find_tool(name: str) -> str:
    """Return where a jail finds a program, "" where it does not."""
    places = (f"{folder}/{name}" for folder in PATH.split(":"))
    return next((place for place in places if os.access(place, os.X_OK)), "")


def load() -> dict[str, Language]:
    """Return the languages by their codes, in order; the user's own file adds to them. Raises UsageError."""
    found = _read(os.path.join(os.path.dirname(__file__), _FILE))
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    own = os.path.join(home, "jailpy", _FILE)
    return {**found, **_read(own)} if os.path.exists(own) else found


def _read(path: str) -> dict[str, Language]:
    try:
        with open(path, "rb") as file:
            tables = tomllib.load(file)
        return {code: _language(code, table) for code, table in tables.items()}
    except (OSError, ValueError) as error:
        raise UsageError(f"languages: {path}: {error}") from error


def _language(code: str, table: object) -> Language:
    if not isinstance(table, dict):
        raise ValueError(f"{code}: expected a table")  # noqa: TRY004 - one kind of error for a file that is wrong
    try:
        language = msgspec.convert({**table, "code": code}, Language)
        re.compile(language.shebang)
    except (msgspec.ValidationError, re.error) as error:
        raise ValueError(f"{code}: {error}") from error
    return language


def detect(files: Mapping[str, bytes], languages: Mapping[str, Language]) -> Language | None:
    """Return the language that most files are written in, the first one where two have as many; None where none has any."""
    best, most = None, 0
    for language in languages.values():
        count = sum(_speaks(language, path, content) for path, content in files.items())
        if count > most:
            best, most = language, count
    return best


def _speaks(language: Language, path: str, content: bytes) -> bool:
    """Tell whether a file is of a language: by its suffix, by its first line where it has none."""
    if os.path.splitext(path)[1]:
        return path.endswith(language.suffixes)
    line = content[:200].split(b"\n", 1)[0].decode(errors="replace")
    return bool(language.shebang and line.startswith("#!") and re.search(language.shebang, line))


def main_file(language: Language, files: Mapping[str, bytes]) -> str:
    """Return the file that the program begins in: the only one, `main.*`, the one with a main, or the first one.

    "" where no file is one of the language's sources.
    """
    sources = language.sources(files) or sorted(path for path, content in files.items() if content.startswith(b"#!"))
    if len(sources) < 2:
        return sources[0] if sources else ""
    named = [path for path in sources if os.path.basename(path).lower().split(".")[0] in ("main", "__main__")]
    holding = [path for path in sources if re.search(rb"\bstatic\s+void\s+main\b", files[path])]
    return (named or holding or sources)[0]
