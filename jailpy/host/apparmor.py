"""AppArmor on this host: which profiles are loaded and in which mode, and the profile that lets the launcher start.

Parent side, no fork; on the way to execve, so keep it cheap. See apparmor(7), apparmor.d(5).
"""

from __future__ import annotations

import os
import stat

from jailpy.frozen import Frozen
from jailpy.kernel import files

FOLDER = "/etc/apparmor.d"
MARK = "# Written by jailpy apparmor"
ALLOWS = "# allows "
PREFIX = "jailpy-"
LAUNCHER = "jailpy-launcher"
ENFORCING = ("enforce", "kill")
_LOADED = "/sys/kernel/security/apparmor/policy/profiles"
_SPECIAL = '*?[]{}^"\\@,'


class Loaded(Frozen):
    """A loaded profile. Of those that JailPy may have written `mode` is known, and `allows` has the lines of its file.

    Other profiles are many, and are not looked at: their `mode` is "", and `/` in their `name` is `.`.
    """

    name: str
    mode: str = ""
    allows: tuple[str, ...] = ()


def enabled() -> bool:
    """Say whether this kernel runs with AppArmor."""
    return _read_or_empty("/sys/module/apparmor/parameters/enabled").strip() == "Y"


def loaded() -> tuple[Loaded, ...]:
    """Return the loaded profiles; each is a folder NAME.NUMBER of securityfs, which anyone may read."""
    try:
        folders = os.listdir(_LOADED)
    except OSError:
        return ()
    return tuple(_loaded(folder) for folder in sorted(folders))


def _loaded(folder: str) -> Loaded:
    if not folder.startswith(PREFIX):
        return Loaded(folder.rpartition(".")[0])
    name = _read_or_empty(f"{_LOADED}/{folder}/name").strip()
    return Loaded(name, _read_or_empty(f"{_LOADED}/{folder}/mode").strip(), allowed(_read_or_empty(file_of(name))))


def _read_or_empty(path: str) -> str:
    try:
        return files.read(path)
    except OSError:
        return ""


def file_of(name: str) -> str:
    """Return the file that JailPy keeps a profile in."""
    return f"{FOLDER}/{name}"


def allowed(text: str) -> tuple[str, ...]:
    """Return what the head of a profile written by JailPy says that it allows; nothing for any other text."""
    if not text.startswith(MARK):
        return ()
    return tuple(line.removeprefix(ALLOWS) for line in text.splitlines() if line.startswith(ALLOWS))


def split_label(label: str) -> tuple[tuple[str, ...], str]:
    """Split the label of a process into the profiles stacked on each other and their mode: "a//&b (enforce)"."""
    names, parted, mode = label.strip("\0\n").rpartition(" (")
    return (tuple(names.split("//&")), mode.rstrip(")")) if parted else (tuple(mode.split("//&")), "")


def holds(label: str, name: str, enforced: bool) -> bool:
    """Say whether the label of a process has a profile in it, and (`enforced`) in no mode that denies nothing.

    "mixed" is the mode of several profiles, one of which is the caller's own; the plan knows the mode of the other.
    """
    names, mode = split_label(label)
    return name in names and (not enforced or mode in (*ENFORCING, "mixed"))


def quoted(path: str) -> str:
    """Return a path as a profile spells it: what would be a pattern stands for itself."""
    return '"' + "".join(f"\\{char}" if char in _SPECIAL else char for char in path) + '"'


def launcher_profile(path: str) -> tuple[str, ...]:
    """Return the lines of the smallest profile that grants user namespaces to the program at a path, and to no other."""
    return (
        f"{MARK}: user namespaces for the start script; all else is as without a profile.",
        *(f"# {line}" for line in worth(path)),
        "abi <abi/4.0>,",
        "include <tunables/global>",
        f"profile {LAUNCHER} {quoted(path)} flags=(unconfined) {{",
        "  userns,",
        "}",
    )


def worth(path: str) -> tuple[str, ...]:
    """Say in a line or two what a grant to the program at a path is worth."""
    writer = _writer(path)
    if writer:
        return (
            f"{path} can be changed by {writer}: what is granted to it is granted to each program of that account.",
            "For a grant to JailPy alone, install it where root alone may write.",
        )
    return ("An account can still make this Python script load code of its own (PYTHONPATH): this is no wall against it.",)


def _writer(path: str) -> str:
    """Name who, beside root, may change a file or a folder on the way to it; "" for nobody."""
    while True:
        try:
            found = os.stat(path)
        except OSError:
            return ""
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if found.st_uid != 0:
            return f"uid {found.st_uid}"
        if found.st_mode & 0o022 and not sticky:
            return "others than root"
        if path == "/":
            return ""
        path = os.path.dirname(path)
