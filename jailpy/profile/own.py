"""Where JailPy's own settings, cache and code lie: what no payload may write. Imported where one might. Parent side."""

from __future__ import annotations

import os
import sys

from jailpy import cache
from jailpy.profile.locate import user_folder


def places() -> list[tuple[str, str]]:
    """Return what it is and the path of each; not all need exist. Code is the package, Python's own, a virtual environment."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = [package, os.path.dirname(os.path.abspath(os.__file__)), *([sys.prefix] if sys.prefix != sys.base_prefix else [])]
    settings = os.path.dirname(user_folder())
    return [("profiles", settings), *(("cache", place) for place in cache.places()), *(("code", place) for place in code)]


def doors() -> set[tuple[tuple[int, int], str]]:
    """Return by which name one gets into each from the folder around it, or makes it where it is missing."""
    return {_door(os.path.realpath(place)) for _, place in places()}


def _door(path: str) -> tuple[tuple[int, int], str]:
    around, name = os.path.split(path)
    try:
        found = os.stat(around)
    except OSError:
        return _door(around)
    return (found.st_dev, found.st_ino), name
