"""Mount namespace: a new root on a private tmpfs with only what the profile shows. Parent side, pure.

`[filesystem] ro` becomes OpenSource and Attach in `_show`; jailpy/child/mounts.py applies them, jailpy/kernel/mount.py
calls the kernel. The tree is built in this order: system folders, /etc, /dev, /proc, then private folders and what the
user shows, outer places before those inside them, then what is copied in.
"""

from __future__ import annotations

from jailpy.kernel.mount import NODEV, NOEXEC, NOSUID
from jailpy.layers import Context, Planned, script_name
from jailpy.layers.system import SHOWN, furnish, open_source
from jailpy.layers.tree import COW, HOST, PRIVATE, Tree
from jailpy.layers.view import tmpfs_destinations
from jailpy.steps import mounts as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.sources import Source

NAME = "mount"
_LEAST_INODES = 16
_NO_PROC = (
    "/proc is masked around JailPy, so the kernel refuses the jail one of its own: there is none (as filesystem.proc = none)"
)


def plan(context: Context) -> Planned:
    """Plan the whole tree."""
    tree = Tree()
    tree.add(steps.CutPropagation())
    furnish(tree, context)
    _disk(tree, context)
    for destination, what in _places(context):
        if what is None or isinstance(what, int):
            _private(tree, context, destination, what)
        else:
            _show(tree, context, what)
    for source in context.command.put:
        _copy(tree, context, source)
    if context.command.script is not None:
        _put_script(tree, context, context.command.script)
    if tree.around(context.profile.filesystem.workdir) == PRIVATE:
        tree.folder(context.profile.filesystem.workdir)
    _finish(tree, context)
    mechanism = f"mount namespace, new root on tmpfs, {_method(context)}"
    tiers = ("no-proc",) if context.host.proc_refused else ()
    return Planned(NAME, "enforced", mechanism, tuple(tree.steps), notes=_notes(context), tiers=tiers)


def _method(context: Context) -> str:
    return "chroot" if context.host.root_filesystem == "rootfs" else "pivot_root"


def _notes(context: Context) -> tuple[str, ...]:
    foreign = tuple(f"{source.path}: {source.foreign}" for source in context.command.sources if source.foreign)
    return (*foreign, _NO_PROC) if context.host.proc_refused else foreign


def writable_attributes(context: Context) -> int:
    """Return the attributes of everything that the payload may write."""
    return NOSUID | NODEV | (0 if context.profile.filesystem.exec == "any" else NOEXEC)


def _disk(tree: Tree, context: Context) -> None:
    """Make the one tmpfs of the disk limit; every place of the jail's own without a size is a folder of it."""
    limits, slot = context.profile.limits, tree.slot()
    own = [size for _, size in tmpfs_destinations(context) if size is not None]
    size = max(limits.disk - sum(own), 4096)  # a tmpfs of size 0 has no bound
    inodes = max(limits.inodes - sum(_inodes(context, size) for size in own), _LEAST_INODES)
    tree.add(steps.NewTmpfs(slot=slot, size=size, inodes=inodes, mode=0o755, attributes=NOSUID | NODEV))
    tree.add(steps.AttachBehind(slot=slot, path=steps.DISK, what="it"))


def _inodes(context: Context, size: int) -> int:
    """Return the share of the inodes that goes with a share of the disk."""
    limits = context.profile.limits
    return max(limits.inodes * size // limits.disk, _LEAST_INODES)


def _places(context: Context) -> list[tuple[str, int | Source | None]]:
    """Return private folders and what the user shows, by destination, outer places before those inside them."""
    places: list[tuple[str, int | Source | None]] = [*tmpfs_destinations(context)]
    places += [(source.destination, source) for source in context.command.sources]
    return sorted(places, key=lambda place: place[0].count("/"))


def _private(tree: Tree, context: Context, destination: str, size: int | None) -> None:
    mode = 0o1777 if destination in ("/tmp", "/dev/shm") else 0o755  # noqa: S108
    slot, attributes = tree.slot(), writable_attributes(context)
    if size is None:
        tree.add(steps.TakeFolder(slot=slot, path=tree.aside(str(slot), mode), attributes=attributes))
    else:
        inodes = _inodes(context, size)
        tree.add(steps.NewTmpfs(slot=slot, size=size, inodes=inodes, mode=mode, attributes=attributes))
    tree.attach(slot, destination, "folder", PRIVATE, "it")
    if size is not None:
        tree.add(steps.OfferFolder(path=destination.strip("/"), purpose="disk"))


def _show(tree: Tree, context: Context, source: Source) -> None:
    """Show one source. This is where `[filesystem] ro` turns into steps."""
    if source.mode == "cow" and not (source.kind == "folder" and context.host.tmpfs_user_xattr):
        _copy(tree, context, source)
        return
    attributes = writable_attributes(context) if source.mode == "rw" else SHOWN
    slot = open_source(tree, context, source.path, attributes, source.owner)
    if source.mode == "cow":
        _overlay(tree, context, source, slot)
    else:
        tree.attach(slot, source.destination, source.kind, HOST, source.path)


def _copy(tree: Tree, context: Context, source: Source) -> None:
    """Copy a source into the jail: straight to its place where that is the jail's own, else aside, and show the copy.

    A folder of `cow` is a mount in any case, as an overlay would be: it covers what is there. So is a file in an overlay.
    """
    slot = open_source(tree, context, source.path, SHOWN, source.owner)
    around = tree.around(source.destination)
    own = tree.places.get(source.destination) == PRIVATE or around == PRIVATE
    if (source.mode == "put" and (own or around == COW)) or (source.kind == "file" and own):
        tree.copy(slot, source.path, source.destination)
        return
    aside = f"{steps.DISK}/copy{slot}"
    tree.add(steps.CopyTree(slot=slot, source=source.path, path=aside))
    tree.add(steps.TakeFolder(slot=slot, path=aside, attributes=writable_attributes(context)))
    tree.attach(slot, source.destination, source.kind, COW, "the copy")


def _put_script(tree: Tree, context: Context, content: bytes) -> None:
    """Copy the script in; jailpy/host/sources.py saw that the work folder is the jail's own."""
    slot, name = tree.slot(), script_name(context)
    tree.add(steps.HoldScript(slot=slot, name=name, content=content))
    tree.copy(slot, name, f"{context.profile.filesystem.workdir.rstrip('/')}/{name}")


def _overlay(tree: Tree, context: Context, source: Source, slot: int) -> None:
    lower, upper, work = (tree.aside(f"cow{slot}/{name}") for name in ("lower", "upper", "work"))
    tree.add(steps.AttachBehind(slot=slot, path=lower, what=source.path))
    attributes = writable_attributes(context)
    tree.add(steps.NewOverlay(slot, source.path, lower, upper, work, attributes))
    tree.attach(slot, source.destination, "folder", COW, "it")


def hidden(context: Context) -> tuple[str, ...]:
    """Return where JailPy's own folders would appear in the jail: they are masked there."""
    return tuple(
        source.destination.rstrip("/") + path[len(source.path) :]
        for source in (*context.command.sources, *context.command.put)
        for path in context.host.hidden
        if path.startswith(source.path + "/")
    )


def _collected(tree: Tree, workdir: str) -> list[str]:
    """Return the work folder and the mounts below it that are the jail's own: each has to be offered by itself."""
    below = workdir.rstrip("/") + "/"
    return [workdir, *(path for path, whose in tree.places.items() if whose in (PRIVATE, COW) and path.startswith(below))]


def _finish(tree: Tree, context: Context) -> None:
    own = tuple(path.strip("/") for path in hidden(context))
    if own:
        tree.add(steps.Mask(files=(), folders=own, file_cover="dev/null", folder_cover=tree.aside("nothing")))
    tree.add(steps.OfferFolder(path=steps.DISK, purpose="disk"))
    if context.command.collect:
        for path in _collected(tree, context.profile.filesystem.workdir):
            tree.add(steps.OfferFolder(path=path.strip("/"), purpose="collect"))
    tree.add(steps.SetAttributes(path="", attributes=SHOWN))
    tree.add(steps.ChangeRoot(method=_method(context)))
