"""What the payload will see, as a list: the one source for both the mounts and the Landlock rules. Parent side, pure."""

from __future__ import annotations

import os.path

from jailpy.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.facts import Entry
    from jailpy.layers import Context

CANARY = "/.landlock"


class Seen(Frozen):
    """A path of the jail. `execute` says whether programs may be run from it.

    `kind` is "folder", "file", "device", "system" for a folder of the host's own system, or "listing" for a folder of
    which only the names below may be read.
    """

    path: str
    kind: str
    writable: bool
    execute: bool


def shown_at(context: Context, path: str) -> bool:
    """Say whether the user shows something at a path or around it, so that nothing else need be there."""
    shown = {source.destination for source in context.command.sources}
    return path in shown or any(path.startswith(f"{destination}/") for destination in shown)


def root_entries(context: Context) -> tuple[tuple[Entry, str], ...]:
    """Return what makes up the root, each with its path in the jail.

    It is the host's system folders, or the top level of a root filesystem folder.
    """
    root = context.profile.filesystem.root
    entries = {"system": context.host.system, "empty": ()}.get(root, context.command.root)
    pairs = ((entry, entry.path if root == "system" else "/" + os.path.basename(entry.path)) for entry in entries)
    return tuple((entry, path) for entry, path in pairs if not shown_at(context, path))


def etc_entries(context: Context) -> tuple[Entry, ...]:
    """Return the entries of the host's /etc that a jail with the system's root shows."""
    if context.profile.filesystem.root != "system":
        return ()
    entries = context.host.etc + (context.host.etc_network if context.profile.network.mode == "host" else ())
    return tuple(entry for entry in entries if not shown_at(context, entry.path))


def tmpfs_destinations(context: Context) -> tuple[tuple[str, int | None], ...]:
    """Return (destination, own size or None) of every private folder; the work folder is one where nothing else is it."""
    workdir = context.profile.filesystem.workdir
    listed = tuple((entry.destination, entry.size) for entry in context.profile.filesystem.tmpfs)
    places = [destination for destination, _ in listed]
    places += [source.destination for source in context.command.sources]
    places += [path for _, path in root_entries(context)]
    there = workdir == "/" or any(workdir == place or workdir.startswith(f"{place}/") for place in places)
    return listed if there else (*listed, (workdir, None))


def view(context: Context) -> tuple[Seen, ...]:
    """Return everything that is visible, host links left out (they lead to what is listed itself)."""
    execute, command = context.profile.filesystem.exec, context.command
    folder = "system" if context.profile.filesystem.root == "system" else "folder"
    seen = [Seen("/", "listing", False, False)]
    for entry, path in root_entries(context):
        if entry.kind != "link":
            seen.append(Seen(path, folder if entry.kind == "folder" else "file", False, True))
    seen += [Seen(path, "folder", False, False) for path in _private_folders(context)]
    seen += [Seen(f"/dev/{name}", "device", True, False) for name in devices(context)]
    seen += [Seen(destination, "folder", True, execute == "any") for destination, _ in tmpfs_destinations(context)]
    for source in (*command.sources, *command.put):
        writable = source.mode != "ro"
        seen.append(Seen(source.destination, source.kind, writable, execute == "any" or not writable))
    return tuple(seen)


def devices(context: Context) -> tuple[str, ...]:
    """Return the names of the device nodes shown: no tty without a terminal."""
    return tuple(name for name in context.host.devices if name != "tty" or context.command.terminal)


def _private_folders(context: Context) -> list[str]:
    folders = ["/proc"] if context.profile.filesystem.proc == "private" else []
    folders += ["/etc", "/run"] if context.profile.filesystem.root == "system" else []
    return folders + (["/dev/pts"] if context.command.terminal else [])
