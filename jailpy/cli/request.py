"""Parsed options become a request and the caller's streams. Parent side."""

from __future__ import annotations

import os

from jailpy.api import Request
from jailpy.cli.options import OPTIONS
from jailpy.errors import UsageError
from jailpy.profile.values import split_get, split_put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jailpy.cli.options import Parsed
    from jailpy.profile.merge import Override

_KEYS = {option.name: option.key for option in OPTIONS if option.key}


def request(parsed: Parsed, verb: str = "exec") -> Request:
    """Make the request. Raises UsageError and ProfileError."""
    if not parsed.command:
        raise UsageError("command: none was given", [f"jailpy {verb} [OPTIONS] -- COMMAND [ARG...]"])
    for arg in parsed.command:
        if "\0" in arg:
            raise UsageError("command: an argument holds a NUL byte")
    return Request(
        argv=parsed.command,
        profile=parsed.last("profile", "strict"),
        overrides=tuple(override for name, value, spelling in parsed.given if (override := _override(name, value, spelling))),
        excused=_excused(parsed),
        put=tuple(_pair("--put", split_put, value) for value in parsed.all("put")),
        get=tuple(_pair("--get", split_get, value) for value in parsed.all("get")),
        terminal=parsed.has("tty"),
    )


def _override(name: str, value: str, spelling: str) -> Override | None:
    if name not in _KEYS and name != "set":
        return None
    from jailpy.profile import overrides

    return overrides.parse_set(value) if name == "set" else overrides.from_text(_KEYS[name], value, spelling)


def _excused(parsed: Parsed) -> tuple[str, ...]:
    from jailpy.profile.model import LAYERS

    names = parsed.all("allow_missing")
    for name in names:
        if name not in LAYERS:
            raise UsageError(f"option --allow-missing: no layer {name!r}", [f"layers: {', '.join(LAYERS)}"])
    return names


def _pair(option: str, split: Callable[[str], tuple[str, str]], value: str) -> tuple[str, str]:
    try:
        return split(value)
    except ValueError as error:
        raise UsageError(f"option {option} {value}: {error}") from error


class Streams:
    """The caller's descriptors 0, 1 and 2, or the files that stand in for them. Opened before the run, never inherited."""

    def __init__(self, parsed: Parsed) -> None:
        self._opened: list[int] = []
        self.numbers = (
            self._one(0, parsed.last("stdin")),
            self._one(1, parsed.last("stdout")),
            self._one(2, parsed.last("stderr")),
        )

    def _one(self, standard: int, path: str) -> int:
        if path:
            from jailpy.cli import outputs

            name = f"--{('stdin', 'stdout', 'stderr')[standard]}"
            self._opened.append(outputs.open_stream(name, path) if standard else outputs.open_input(name, path))
            return self._opened[-1]
        try:
            os.fstat(standard)
        except OSError:  # closed by the caller: an empty input, an output that goes nowhere
            if standard == 0:
                return -1
            self._opened.append(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC))
            return self._opened[-1]
        return standard

    def close(self) -> None:
        """Close what was opened here."""
        for number in self._opened:
            os.close(number)
        self._opened.clear()
