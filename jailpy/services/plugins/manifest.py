"""`jailpy-plugin.toml`: what a plugin offers and what it asks for. Every problem is told at once, with its line."""

from __future__ import annotations

import os
import tomllib
from typing import Any

import msgspec

from jailpy.client.python import read_file
from jailpy.errors import ManifestError, and_more
from jailpy.profile.lines import TooDeepError, find_lines
from jailpy.profile.values import printable
from jailpy.services.plugins import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Checks = Mapping[str, Callable[[Any], Any]]

FILE = "jailpy-plugin.toml"
_LARGEST = 1 << 20
_KINDS = ("module", "command", "filter")


class Asks(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin asks for. Bytes and seconds; None is whatever it gets. `cpu` and `wall` are of one call."""

    read: tuple[str, ...] = ()
    write: bool = False
    environment: tuple[str, ...] = ()
    network: str = "none"
    host: tuple[str, ...] = ()
    memory: int | None = None
    cpu: float | None = None
    wall: float | None = None
    processes: int | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin as its package describes it. One of `module`, `command` and `filter` is given; `folder` is absolute."""

    schema: int
    name: str
    version: str = ""
    description: str = ""
    module: str = ""
    command: tuple[str, ...] = ()
    filter: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    packages: str = ""
    asks: Asks = Asks()
    folder: str = ""


_ASKS: Checks = {
    "read": checks.paths,
    "write": checks.flag,
    "environment": checks.variables,
    "network": checks.network,
    "host": checks.names,
    "memory": checks.size,
    "cpu": checks.duration,
    "wall": checks.duration,
    "processes": checks.count,
}
_TOP: Checks = {
    "schema": checks.schema,
    "name": checks.plugin_name,
    "version": checks.text,
    "description": checks.text,
    "module": checks.module,
    "command": checks.argv,
    "filter": checks.argv,
    "entries": checks.names,
    "packages": checks.inner_path,
    "asks": checks.table,
}


def load(path: str) -> Manifest:
    """Read a manifest, or that of a plugin's folder. Raises ManifestError with every problem."""
    file = os.path.join(path, FILE) if os.path.isdir(path) else path
    text = _read(file)
    try:
        lines = find_lines(text)
        table = tomllib.loads(text)
    except TooDeepError as error:
        raise refused(file, [f"{file}:{error.line}: {error}"]) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise refused(file, [f"{file}: {error}"]) from None
    return check(table, os.path.dirname(os.path.abspath(file)), file, lines)


def check(table: Mapping[str, Any], folder: str, file: str, lines: Mapping[str, int] | None = None) -> Manifest:
    """Make a manifest of a table. Raises ManifestError with every problem."""
    problems: list[str] = []

    def say(key: str, words: str) -> None:
        line = (lines or {}).get(key) or (lines or {}).get(key.partition(".")[0])
        problems.append(f"{printable(file)}:{line or 1}: {printable(key)}: {words}")

    found = _values(table, _TOP, "", say)
    asked = found.pop("asks", {})
    found["asks"] = Asks(**_values(asked, _ASKS, "asks.", say))
    _whole(table, found, folder, say)
    if problems:
        raise refused(file, problems)
    return Manifest(**found, folder=folder)


def refused(file: str, problems: list[str], hints: Sequence[str] = ()) -> ManifestError:
    """Return the error for a file's problems."""
    return ManifestError(f"{problems[0] if problems else printable(file)}{and_more(problems)}", problems, hints)


def _values(table: Mapping[str, Any], known: Checks, prefix: str, say: Callable[[str, str], None]) -> dict[str, Any]:
    """Check what is known, say what is not."""
    found = {}
    for key, value in table.items():
        if key not in known:
            say(prefix + key, f"unknown key{checks.guess(key, known)}")
            continue
        try:
            found[key] = known[key](value)
        except ValueError as error:
            say(prefix + key, str(error))
    return found


def _whole(table: Mapping[str, Any], found: Mapping[str, Any], folder: str, say: Callable[[str, str], None]) -> None:
    """Say what is missing, and what does not go together."""
    for key in ("schema", "name"):
        if key not in table:
            say(key, "is missing")
    kinds = [kind for kind in _KINDS if kind in table]
    if len(kinds) != 1:
        say(kinds[1] if kinds else "module", f"expected one of {', '.join(_KINDS)}, got {' and '.join(kinds) or 'none'}")
    if kinds == ["filter"] and "entries" in table:
        say("entries", "a filter has none: it reads standard input and writes standard output")
    elif kinds and kinds != ["filter"] and not table.get("entries"):
        say("entries", "expected the names that the plugin offers")
    packages = found.get("packages")
    if packages and not os.path.isdir(os.path.join(folder, packages)):
        say("packages", f"there is no folder {printable(packages)} beside the manifest")


def _read(file: str) -> str:
    try:
        return read_file(file, _LARGEST).decode()
    except OSError as error:
        raise refused(file, [f"{printable(file)}: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise refused(file, [f"{printable(file)}: is not UTF-8"]) from None
