"""What the payload will see, as a list: the one source for both the mounts and the Landlock rules. Parent side, pure."""

from __future__ import annotations

import os.path

from jailpy.frozen import Frozen
from jailpy.layers import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.facts import Entry

CANARY = "/.landlock"


class Seen(Frozen):
    """A path of the jail. `execute` says whether programs may be run from it.

    `kind` is "folder", "file", "device", "system" for a folder of the host's own system, or "listing" for a folder of which only the names below may be read.
    """

    path: str
    kind: str
    writable: bool
    execute: bool


def root_entries(context: Context) -> tuple[Entry, ...]:
    """Return the host entries that make up the root: the system folders, or the top level of a root filesystem folder."""
    root = context.profile.filesystem.root
    if root == "empty":
        return ()
    return context.host.system if root == "system" else context.command.root


def etc_entries(context: Context) -> tuple[Entry, ...]:
    """Return the entries of the host's /etc that a jail with the system's root shows."""
    if context.profile.filesystem.root != "system":
        return ()
    host = context.host
    return host.etc + (host.etc_network if context.profile.network.mode == "host" else ())


def tmpfs_destinations(context: Context) -> tuple[tuple[str, int | None], ...]:
    """Return (destination, own size or None) of every private folder; the work folder is one where nothing else is it."""
    filesystem = context.profile.filesystem
    listed = tuple((entry.destination, entry.size) for entry in filesystem.tmpfs)
    shown = [destination for destination, _ in listed]
    shown += [source.destination for source in context.command.sources]
    inside = any(filesystem.workdir == path or filesystem.workdir.startswith(path.rstrip("/") + "/") for path in shown)
    system = any(filesystem.workdir.startswith(f"/{entry.path.lstrip('/')}") for entry in root_entries(context))
    return listed if inside or system else (*listed, (filesystem.workdir, None))


def view(context: Context) -> tuple[Seen, ...]:
    """Return everything that is visible, host links left out (they lead to what is listed itself)."""
    execute = context.profile.filesystem.exec
    seen = [Seen("/", "listing", False, False)]
    kinds = (
        {"folder": "system", "file": "file"}
        if context.profile.filesystem.root == "system"
        else {"folder": "folder", "file": "file"}
    )
    seen += [
        Seen(inside(context, entry), kinds[entry.kind], False, True) for entry in root_entries(context) if entry.kind in kinds
    ]
    seen += [Seen(path, "folder", False, False) for path in _private_folders(context)]
    seen += [Seen(f"/dev/{name}", "device", True, False) for name in devices(context)]
    for destination, _ in tmpfs_destinations(context):
        seen.append(Seen(destination, "folder", True, execute == "any"))
    for source in context.command.sources:
        writable = source.mode != "ro"
        seen.append(Seen(source.destination, source.kind, writable, execute == "any" or not writable))
    return tuple(seen)


def inside(context: Context, entry: Entry) -> str:
    """Return where a root entry appears in the jail."""
    root = context.profile.filesystem.root
    return entry.path if root == "system" else "/" + os.path.basename(entry.path)


def devices(context: Context) -> tuple[str, ...]:
    """Return the names of the device nodes shown: no tty without a terminal."""
    return tuple(name for name in context.host.devices if name != "tty" or context.command.terminal)


def _private_folders(context: Context) -> list[str]:
    folders = ["/proc"] if context.profile.filesystem.proc == "private" else []
    folders += ["/etc", "/run"] if context.profile.filesystem.root == "system" else []
    return folders + (["/dev/pts"] if context.command.terminal else [])
