"""Keyword arguments of the Python API become a request: the words of INTERFACE.md's options, as Python values."""

from __future__ import annotations

import os

from jailpy.errors import UsageError
from jailpy.profile.model import LAYERS
from jailpy.profile.values import split_get, split_put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeAlias

    Path: TypeAlias = str | os.PathLike[str]
    Override: TypeAlias = tuple[str, object, str]

LISTS = {
    "ro": "filesystem.ro",
    "rw": "filesystem.rw",
    "cow": "filesystem.cow",
    "tmpfs": "filesystem.tmpfs",
    "runtime": "runtime",
}
SCALARS = {
    "cwd": "filesystem.workdir",
    "wall": "limits.wall",
    "timeout": "limits.wall",
    "cpu": "limits.cpu",
    "idle": "limits.idle",
    "memory": "limits.memory",
    "disk": "limits.disk",
    "output": "limits.output",
    "file_size": "limits.file_size",
    "processes": "limits.processes",
    "open_files": "limits.open_files",
    "cpus": "limits.cpus",
    "stack": "limits.stack",
    "net": "network.mode",
}
OTHERS = ("env", "set", "put", "get", "allow_missing", "pass_fds", "profile")
_FIRST_PASSED = 3


def request(argv: Sequence[Path], options: Mapping[str, Any]) -> dict[str, Any]:
    """Make the message that asks for a run. Raises UsageError for what is no option, TypeError for what has no words."""
    if isinstance(argv, (str, bytes)):
        raise UsageError("command: expected a list of words, got one text", ['for a shell line: ["sh", "-c", line]'])
    words = [os.fsdecode(word) for word in argv]
    if not words or any("\0" in word for word in words):
        raise UsageError("command: none was given" if not words else "command: an argument holds a NUL byte")
    name, laid_over = _profile(options.get("profile", "strict"))
    return {
        "argv": words,
        "profile": name,
        "overrides": [*laid_over, *overrides(options)],
        "excused": _excused(options.get("allow_missing", ())),
        "put": [_pair("put", split_put, entry) for entry in _entries(options.get("put"))],
        "get": [_pair("get", split_get, entry) for entry in _entries(options.get("get"))],
        "keep": _keep(options.get("pass_fds", ())),
        "folder": _folder(),
        "environment": dict(os.environ),
    }


def overrides(options: Mapping[str, Any]) -> list[Override]:
    """Return the overrides that keyword arguments stand for, as (key, value, spelling). Raises UsageError."""
    found: list[Override] = []
    for name, value in options.items():
        if value is None:
            continue
        if name in LISTS:
            found += [(LISTS[name], [entry], f"{name}={entry!r}") for entry in _entries(value)]
        elif name in SCALARS:
            plain = os.fspath(value) if isinstance(value, os.PathLike) else value
            found.append((SCALARS[name], plain, f"{name}={plain!r}"))
        elif name == "env":
            found += [("environment.set", {key: text}, f"env={{{key!r}: ...}}") for key, text in value.items()]
        elif name == "set":
            found += [(key, given, f"set={{{key!r}: {given!r}}}") for key, given in value.items()]
        elif name not in OTHERS:
            raise UsageError(f"option {name}: there is none of this name", _near(name))
    return found


def _near(name: str) -> list[str]:
    import difflib

    known = (*LISTS, *SCALARS, *OTHERS)
    return [f"did you mean {near}?" for near in difflib.get_close_matches(name, known, 1)] or [f"options: {', '.join(known)}"]


def _profile(profile: object) -> tuple[str, Iterable[Override]]:
    """Return a profile's name or path, and what is laid over it; relative paths are seen from the caller's folder."""
    from jailpy.client.profile import Profile

    if isinstance(profile, Profile):
        return profile.source, profile.overrides
    if isinstance(profile, (str, os.PathLike)):
        return os.fspath(profile), ()
    raise UsageError(f"option profile: expected a name, a path or a jailpy.Profile, got {type(profile).__name__}")


def _entries(value: Path | Iterable[Path] | None) -> list[str]:
    if value is None:
        return []
    return [os.fspath(value)] if isinstance(value, (str, os.PathLike)) else [os.fspath(entry) for entry in value]


def _excused(layers: str | Iterable[str]) -> list[str]:
    names = [layers] if isinstance(layers, str) else list(layers)
    for name in names:
        if name not in LAYERS:
            raise UsageError(f"option allow_missing: no layer {name!r}", [f"layers: {', '.join(LAYERS)}"])
    return names


def _pair(name: str, split: Callable[[str], tuple[str, str]], entry: str) -> tuple[str, str]:
    try:
        return split(entry)
    except ValueError as error:
        raise UsageError(f"option {name}: {entry}: {error}") from error


def _keep(numbers: Iterable[int]) -> list[int]:
    wanted = list(numbers)
    if any(number < _FIRST_PASSED for number in wanted):
        raise UsageError("option pass_fds: 0, 1 and 2 are stdin, stdout and stderr")
    return wanted


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # a deleted folder: nothing relative can be found
        return "/"
