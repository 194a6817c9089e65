"""A launcher for plain containers, whose jails show a path only where it is: what is to be shown elsewhere is copied in.

The jail's work folder has another path in each run, so that words of the command that name a file in it become relative.
"""

from __future__ import annotations

import functools
import os

from jailpy.client.launcher import Launcher
from jailpy.client.profile import Profile
from jailpy.client.python import Script
from jailpy.services.languages.build import WORK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from jailpy.client.options import Command
    from jailpy.client.running import Running

PROFILE = "grade-container"
_BLOCK = 4096
_FOLDERS = {"go": {"GOCACHE": f"{WORK}/.go/cache", "GOPATH": f"{WORK}/.go"}}  # the preset's are in /tmp, which is not there
_PROFILES = {"build": "build-container"}


class ContainedLauncher(Launcher):
    """Takes the options that a launcher of `strict` and `build` takes."""

    def _start(self, argv: Command, streams: Sequence[Any], options: Mapping[str, Any]) -> Running:
        given = dict(options)
        shown: list[str] = []
        copied: list[str] = []
        size = 0
        for entry in given.pop("ro", None) or ():
            source, place = _split(entry)
            if source in (place, os.path.realpath(place)):  # links are the host's own in such a jail
                shown.append(source)
            else:
                copied.append(f"{source}:{_inside(place)}")
                size += _taken(source)
        for name in given.get("runtime") or ():
            given["env"] = {**_FOLDERS.get(name, {}), **(given.get("env") or {})}
        if "profile" in given:
            given["profile"] = _PROFILES.get(given["profile"], given["profile"])
        if copied:  # what strict shows takes nothing of the limit either
            given["disk"] = (given.get("disk") or _disk(given.get("profile", PROFILE))) + size
        put = [*copied, *(given.pop("put", None) or ())]
        return super()._start(_moved(argv), streams, {**given, "ro": shown, "put": put})


def launcher(profile: str) -> Launcher:
    """Return a launcher for runs of this profile, which are those of `strict` or of a plain container."""
    return ContainedLauncher(profile) if profile == PROFILE else Launcher(profile)


@functools.cache
def _disk(profile: str) -> int:
    return Profile.load(profile).resolve().limits.disk


def _taken(path: str) -> int:
    """Return how many bytes a copy of a file or folder takes, in whole blocks."""
    found = [path, *(os.path.join(folder, name) for folder, inner, names in os.walk(path) for name in (*inner, *names))]
    return sum(-(-os.lstat(each).st_size // _BLOCK) * _BLOCK for each in found)


def _split(entry: str) -> tuple[str, str]:
    """Split SRC:DST, whose DST is absolute; SRC stands for both where there is none."""
    source, colon, place = entry.rpartition(":/")
    return (source, f"/{place}") if colon else (entry, entry)


def _inside(place: str) -> str:
    """Return a place in the work folder for one that is not."""
    return place if place.startswith(f"{WORK}/") else WORK + place


def _moved(argv: Command) -> Command:
    """Return a command whose words name files by their places in the work folder."""
    if isinstance(argv, Script):
        return Script(argv.path, [_relative(word) for word in argv.args], interpreter=argv.interpreter)
    return [_relative(word) for word in argv]


def _relative(word: Any) -> Any:
    """Return a word of the command, relative to the work folder where it names a file of the judge's or the program's."""
    if not isinstance(word, str):
        return word
    return f".{word.removeprefix(WORK)}" if word.startswith((f"{WORK}/", "/judge/")) else word
