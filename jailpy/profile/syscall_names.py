"""Whether a system call or a group of them exists, from the shipped data. Parent side, without a TOML parser.

What they are is the business of `layers`; here a misspelt one is found with the other problems of a profile.
"""

from __future__ import annotations

import os

from jailpy.profile import locate

FOLDER = locate.BUILTIN_FOLDER + "/syscalls"
_NUMBERS = "numbers"


def problem(text: str) -> str:
    """Return what is wrong with a name or an @group, "" where nothing is."""
    group = text.startswith("@")
    if (_is_group(text[1:]) if group else f"\n{text} = [" in _numbers()) and text != f"@{_NUMBERS}":
        return ""
    near = locate.nearest(text, _groups() if group else _calls())
    return f"expected {'a group' if group else 'a system call'} that exists, got {text}" + (
        f": did you mean {near}?" if near else ""
    )


def _is_group(name: str) -> bool:
    return os.path.isfile(f"{FOLDER}/{name}{locate.SUFFIX}")


def _numbers() -> str:
    with open(f"{FOLDER}/{_NUMBERS}{locate.SUFFIX}", encoding="utf-8") as file:
        return file.read()


def _calls() -> list[str]:
    return [line.partition(" = [")[0] for line in _numbers().splitlines() if " = [" in line]


def _groups() -> list[str]:
    return [f"@{name}" for name in locate.names(FOLDER) if name != _NUMBERS]
