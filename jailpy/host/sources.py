"""The host paths that a run shows or copies, looked at once before the plan. Parent side, no fork."""

from __future__ import annotations

import os
import stat

from jailpy.errors import UsageError
from jailpy.frozen import Frozen
from jailpy.host import facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.facts import Entry

_REFUSED = ("/", "/proc", "/sys", "/dev", "/run", "/tmp", "/var/run")  # noqa: S108
_OWN_PLACES = ("proc", "sys", "dev", "run", "tmp")


class Source(Frozen):
    """A host path to show. `mode` is "ro", "rw", "cow" or "put"; `destination` is absolute, in the jail.

    `foreign` counts files of a copy-on-write folder that the jail's user cannot change (another owner).
    """

    mode: str
    path: str
    destination: str
    kind: str
    owner: tuple[int, int]
    foreign: int = 0


def look(mode: str, source: str, destination: str, workdir: str, cwd: str) -> Source:
    """Resolve one SRC[:DST]. Raises UsageError: missing, a link, a special file, or a place that is never shown."""
    path = os.path.normpath(os.path.join(cwd, os.path.expanduser(source)))
    found = _stat(mode, source, path)
    real = os.path.realpath(path)
    if real in _REFUSED or real.startswith(("/proc/", "/sys/", "/dev/")):
        raise UsageError(
            f"--{mode} {source}: {real} is never shown whole",
            ["name the folder or file below it that the command needs"],
        )
    kind = "folder" if stat.S_ISDIR(found.st_mode) else "file"
    where = destination or (path if os.path.isabs(source) and mode != "put" else f"{workdir}/{os.path.basename(path)}")
    return Source(mode, real, where, kind, (found.st_uid, found.st_gid))


def _stat(mode: str, source: str, path: str) -> os.stat_result:
    try:
        found = os.lstat(path)
    except OSError as error:
        raise UsageError(f"--{mode} {source}: {error.strerror}", [f"looked for {path}"]) from error
    if stat.S_ISLNK(found.st_mode):
        raise UsageError(f"--{mode} {source}: is a symbolic link", [f"name what it points to: {os.path.realpath(path)}"])
    if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
        raise UsageError(f"--{mode} {source}: is neither a file nor a folder")
    return found


def root_folder(root: str) -> tuple[Entry, ...]:
    """Return the top level of a root filesystem folder, () for "system" and "empty". Raises UsageError.

    The places where JailPy mounts its own must not be links: a link would lead the mount elsewhere (CVE-2025-31133).
    """
    if root in ("system", "empty"):
        return ()
    found = look("ro", root, "/", "/", os.getcwd())
    entries = [entry for name in sorted(os.listdir(found.path)) if (entry := facts.entry(f"{found.path}/{name}"))]
    for entry in entries:
        if os.path.basename(entry.path) in _OWN_PLACES and entry.kind != "folder":
            raise UsageError(f"filesystem.root: {entry.path} is a {entry.kind}, not a folder", ["mend the root filesystem folder"])
    return tuple(entry for entry in entries if os.path.basename(entry.path) not in _OWN_PLACES)


def check_destination(source: Source, shown: tuple[Source, ...], root: str, entries: tuple[Entry, ...]) -> None:
    """Refuse a destination inside something of the host that has no such path: JailPy creates nothing there.

    Raises UsageError.
    """
    places = [(other.destination, other.path) for other in shown if other is not source]
    if root == "system":
        places += [(f"/{name}", f"/{name}") for name in facts.SYSTEM]
    places += [("/" + os.path.basename(entry.path), entry.path) for entry in entries]
    for inside, outside in places:
        if source.destination.startswith(inside.rstrip("/") + "/"):
            there = outside + source.destination[len(inside.rstrip("/")) :]
            if source.mode == "put" or not os.path.exists(there):
                raise UsageError(
                    f"--{source.mode} {source.path}: destination {source.destination} lies in {inside}, a folder of the host",
                    ["choose a destination below the work folder: nothing is ever created in a folder of the host"],
                )


def count_foreign(path: str, owner: tuple[int, int], most: int = 20_000) -> int:
    """Count files below a folder that do not belong to `owner`, looking at no more than `most`."""
    count = seen = 0
    for folder, folders, names in os.walk(path):
        for name in (*folders, *names):
            found = os.lstat(f"{folder}/{name}")
            count += (found.st_uid, found.st_gid) != owner
            seen += 1
            if seen >= most:
                return count
    return count
