"""Runtime presets: fragments that make a language runtime fit the limits it is given. Parent side.

A preset is merged after the profile and before the options. Its [limits] are floors: they raise a lower limit and never
lower a higher one. Placeholders in its texts stand for what the run will have, options included.
"""

from __future__ import annotations

import os
import sys

from jailpy import cache
from jailpy.profile import locate
from jailpy.profile.check import convert
from jailpy.profile.merge import Part
from jailpy.profile.schema import KEYS
from jailpy.profile.values import clean_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jailpy.profile.schema import Document, Value

PLACEHOLDERS = {
    "memory_mib_half": "half of limits.memory, in MiB",
    "memory_mib_quarter": "a quarter of it",
    "memory_mib_eighth": "an eighth of it",
    "memory_mib_most": "seven eighths of it",
    "code_mib": "an eighth of it, at most 240",
    "cpus": "limits.cpus, rounded up",
    "python_prefix": "sys.prefix of the Python that runs JailPy",
    "python_base_prefix": "sys.base_prefix of that Python",
    "path": "PATH as the profile sets it",
}
_SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


def part(name: str, document: Document, preview: Document) -> Part:
    """Return a preset for a profile's document. `preview` is the document with the options already in it."""
    fragment = _fragment(f"{locate.RUNTIME_FOLDER}/{name}{locate.SUFFIX}")
    meaning = _meaning(document, preview)
    values: Document = {}
    for key, said in fragment["values"].items():
        value = _floor(said, document[key]) if key.startswith("limits.") else _meant(said, meaning, preview)
        if value != document[key]:
            values[key] = _again(key, value)
    return Part(f"runtime {name}", values, fragment["where"])


def _meant(said: Value, meaning: dict[str, str], preview: Document) -> Value:
    if isinstance(said, list):
        return _shown([_expand(entry, meaning) for entry in said], preview)
    if isinstance(said, dict):
        return {variable: _expand(text, meaning) for variable, text in said.items()}
    return said


def _again(key: str, value: Value) -> Value:
    """Check what placeholders made of a value. Raises ProfileError."""
    if not isinstance(value, list | dict):
        return value
    try:
        return convert(KEYS[key], value)
    except ValueError as error:
        from jailpy.errors import ProfileError

        raise ProfileError(f"runtime preset: {key}: {error}") from None


def _fragment(path: str) -> dict[str, Any]:
    """Read a preset, from the cache where its file has not changed."""
    kept: Any = cache.load("runtime", path)
    if kept is not None and all(locate.is_unchanged(stamp) for stamp in kept["stamps"]):
        return dict(kept)
    from jailpy.profile.resolve import resolve_fragment

    return resolve_fragment(path)


def _floor(floor: Value, now: Value) -> Value:
    """Return the looser of two limits; None is off."""
    if now is None or not isinstance(floor, int | float) or not isinstance(now, int | float):
        return now
    return max(floor, now)


def _shown(entries: list[str], preview: Document) -> list[str]:
    """Leave out what a jail with the host's system folders shows anyway."""
    if preview["filesystem.root"] != "system":
        return entries
    return [entry for entry in entries if not _is_system(clean_path(entry))]


def _is_system(path: str) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in _SYSTEM_FOLDERS)


def _expand(text: str, meaning: dict[str, str]) -> str:
    for name, value in meaning.items():
        text = text.replace("{" + name + "}", value)
    return text


def _meaning(document: Document, preview: Document) -> dict[str, str]:
    mib = _memory(preview) >> 20
    variables = document["environment.set"]
    return {
        "memory_mib_half": str(max(mib // 2, 1)),
        "memory_mib_quarter": str(max(mib // 4, 1)),
        "memory_mib_eighth": str(max(mib // 8, 1)),
        "memory_mib_most": str(max(mib * 7 // 8, 1)),
        "code_mib": str(min(max(mib // 8, 3), 240)),
        "cpus": str(_cpus(preview)),
        "python_prefix": sys.prefix,
        "python_base_prefix": sys.base_prefix,
        "path": variables.get("PATH", os.defpath) if isinstance(variables, dict) else os.defpath,
    }


def _memory(document: Document) -> int:
    """Return the memory limit in bytes; where it is off, what the host has."""
    limit = document["limits.memory"]
    return limit if isinstance(limit, int) else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cpus(document: Document) -> int:
    limit = document["limits.cpus"]
    return max(1, -int(-limit // 1)) if isinstance(limit, int | float) else os.cpu_count() or 1
