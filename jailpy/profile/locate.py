"""Which file a profile's name or path means, and whether it has changed since it was read. Parent side.

A built-in profile is never shadowed, and a file of the current directory is never picked up by its bare name.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from jailpy.errors import ProfileError

    Stamp: TypeAlias = tuple[str, int, int, int, int]

BUILTIN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + "/profiles"
RUNTIME_FOLDER = BUILTIN_FOLDER + "/runtimes"
SUFFIX = ".toml"
_SETTLED_NS = 2_000_000_000
_NO_MARKS = {ord(mark): None for mark in "_.+-"}


def user_folder() -> str:
    """Return the folder of the user's own profiles, whether it exists or not."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = os.path.expanduser("~") + "/.config"
    return base + "/jailpy/profiles"


def is_path(name: str) -> bool:
    """Tell whether `-p` was given a path: it has a "/" or ends in ".toml"."""
    return "/" in name or name.endswith(SUFFIX)


def builtin_path(name: str) -> str:
    """Return the file that a built-in profile of this name has."""
    return f"{BUILTIN_FOLDER}/{name}{SUFFIX}"


def is_name(text: str) -> bool:
    """Tell whether a text can name a profile: ASCII letters, digits and "_.+-", the first a letter, digit or "_"."""
    inner = text.translate(_NO_MARKS)
    return text.isascii() and len(text) <= 64 and text[:1] not in ".+-" and (not inner or inner.isalnum())


def resolve(name: str, base: str = "") -> str:
    """Return the file of a profile. A relative path starts at `base`, and stays relative where that is "".

    Raises ProfileError for a name that no profile has, and for a user's profile with the name of a built-in one.
    """
    if "\0" in name or not name:
        raise _error("profile: expected a name or a path, got an empty text or a NUL byte")
    if is_path(name):
        return os.path.join(base, name)
    builtin, own = builtin_path(name), f"{user_folder()}/{name}{SUFFIX}"
    has_own = is_name(name) and os.path.lexists(own)
    if not is_name(name) or not (has_own or os.path.isfile(builtin)):
        raise _unknown(name)
    if has_own and os.path.isfile(builtin):
        raise _shadows(name, own)
    return own if has_own else builtin


def shadow_warning(name: str) -> str | None:
    """Say that a file of the current directory has this name and is not what is used; None where there is none."""
    if is_path(name):
        return None
    here = next((file for file in (name + SUFFIX, name) if os.path.isfile(file)), "")
    if not here:
        return None
    shown = _printable(here)
    return f"profile {_printable(name)}: ./{shown} is not used: a file is named by its path (-p ./{shown})"


def stamp_of(path: str, found: os.stat_result) -> Stamp:
    """Return what differs once a file was written again or replaced."""
    return (os.path.abspath(path), found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns)


def is_unchanged(stamp: Stamp) -> bool:
    """Tell whether a file is still what it was when it was stamped."""
    try:
        return stamp_of(stamp[0], os.stat(stamp[0])) == tuple(stamp)
    except OSError:
        return False


def is_settled(stamp: Stamp) -> bool:
    """Tell whether a file is old enough that a further change must alter its stamp, whatever clock dates it."""
    return max(stamp[1], stamp[4]) < time.time_ns() - _SETTLED_NS


def names(folder: str) -> list[str]:
    """List the profiles of a folder by name, sorted; none where it cannot be read."""
    try:
        files = os.listdir(folder)
    except OSError:
        return []
    return sorted(file.removesuffix(SUFFIX) for file in files if file.endswith(SUFFIX))


def _error(message: str, hints: Sequence[str] = ()) -> ProfileError:
    from jailpy.errors import ProfileError

    return ProfileError(message, hints=hints)


def _printable(text: str) -> str:
    from jailpy.profile.values import printable

    return printable(text)


def _shadows(name: str, own: str) -> ProfileError:
    shown = _printable(own)
    return _error(
        f"profile {name}: {shown} has the name of a built-in profile, which is never replaced",
        [f"rename {shown}, or name it by its path: -p {shown}"],
    )


def _unknown(name: str) -> ProfileError:
    own = f"{user_folder()}/{name}{SUFFIX}"
    if not is_name(name) and os.path.lexists(own):
        words = f"profile {_printable(name)}: expected a name of letters, digits, '.', '_', '+' and '-'"
        return _error(words, [f"rename {_printable(own)}, or name it by its path"])
    known = [each for each in (*names(BUILTIN_FOLDER), *names(user_folder())) if is_name(each)]
    hints = [f"known profiles: {', '.join(_printable(each) for each in known)}"]
    here, near = shadow_warning(name), nearest(name, known)
    if here:
        hints.insert(0, here)
    guess = f": did you mean {near}?" if near else ""
    return _error(f"profile {_printable(name)}: no profile has this name{guess}", hints)


def nearest(word: str, known: list[str]) -> str:
    """Return the known word most like this one, "" where none is."""
    import difflib

    return _printable(next(iter(difflib.get_close_matches(word, known, 1)), ""))
