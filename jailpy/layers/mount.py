"""Mount namespace: a new root on a private tmpfs with only what the profile shows. Parent side, pure.

`[filesystem] ro` becomes OpenSource and Attach here, jailpy/child/mounts.py applies them, jailpy/kernel/mount.py calls
the kernel. The tree is built in this order: system folders, /etc, /dev, /proc, private folders, what the user shows.
"""

from __future__ import annotations

from jailpy.kernel.mount import NODEV, NOEXEC, NOSUID, RDONLY
from jailpy.layers import Context, Planned
from jailpy.layers import etc as etc_files
from jailpy.layers.tree import Tree
from jailpy.layers.view import CANARY, devices, etc_entries, inside, root_entries, tmpfs_destinations
from jailpy.steps import mounts as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.sources import Source

NAME = "mount"
_SHOWN = RDONLY | NOSUID | NODEV
_ROOT_SIZE, _ROOT_INODES = 4 << 20, 4096
_STAGE = ".disk"
_PROC_SHOWN = frozenset(
    ("cpuinfo", "filesystems", "loadavg", "meminfo", "mounts", "net", "self", "stat", "sys", "thread-self", "uptime", "version")
)


def plan(context: Context) -> Planned:
    """Plan the whole tree."""
    tree = Tree()
    tree.add(steps.CutPropagation())
    _open_all(tree, context)
    _root(tree, context)
    _etc(tree, context)
    _dev(tree, context)
    _proc(tree, context)
    _disk(tree, context)
    _places(tree, context)
    for source in context.command.put:
        _put(tree, context, source)
    _finish(tree, context)
    method = _method(context)
    return Planned(NAME, "enforced", f"mount namespace, new root on tmpfs, {method}", tuple(tree.steps), notes=_notes(context))


def _method(context: Context) -> str:
    return "chroot" if context.host.root_filesystem == "rootfs" else "pivot_root"


def _notes(context: Context) -> tuple[str, ...]:
    return tuple(
        f"{source.foreign} files below {source.path} belong to others and cannot be changed in the copy"
        for source in context.command.sources
        if source.foreign
    )


def writable_attributes(context: Context) -> int:
    """Return the attributes of everything that the payload may write."""
    return NOSUID | NODEV | (0 if context.profile.filesystem.exec == "any" else NOEXEC)


def _open_all(tree: Tree, context: Context) -> None:
    """Open every source before the new root covers part of the host's tree."""
    for entry in (*root_entries(context), *etc_entries(context)):
        if entry.kind != "link":
            tree.add(steps.OpenSource(slot=tree.slot(entry), path=entry.path, attributes=_SHOWN))
    for name in devices(context):
        tree.add(steps.OpenSource(slot=tree.slot(name), path=f"/dev/{name}", attributes=RDONLY | NOSUID | NOEXEC))
    for source in (*context.command.sources, *context.command.put):
        attributes = writable_attributes(context) if source.mode == "rw" else _SHOWN
        slot = tree.slot(source)
        if context.host.real_root:
            outside = context.host.outside
            step = steps.MapSource(slot=slot, path=source.path, attributes=attributes, owner=source.owner, outside=outside)
            tree.add(step)
        else:
            tree.add(steps.OpenSource(slot=slot, path=source.path, attributes=attributes))


def _root(tree: Tree, context: Context) -> None:
    slot = tree.slot("root")
    tree.add(steps.NewTmpfs(slot=slot, size=_ROOT_SIZE, inodes=_ROOT_INODES, mode=0o755, attributes=NOSUID | NODEV))
    tree.add(steps.EnterRoot(slot=slot, over=context.host.stage))
    tree.file(CANARY, b"Landlock refuses to let anyone in the jail read this file.\n")
    for entry in root_entries(context):
        tree.entry(entry, inside(context, entry))


def _etc(tree: Tree, context: Context) -> None:
    if context.profile.filesystem.root != "system":
        return
    tree.folder("/etc")
    for name, content in etc_files.files(context):
        tree.file(f"/etc/{name}", content)
    for entry in etc_entries(context):
        if entry.path not in tree:
            tree.entry(entry, entry.path)


def _dev(tree: Tree, context: Context) -> None:
    tree.folder("/dev")
    for name in devices(context):
        tree.attach(tree.slot(name), f"/dev/{name}", "file")
    for name, target in (("fd", "self/fd"), ("stdin", "self/fd/0"), ("stdout", "self/fd/1"), ("stderr", "self/fd/2")):
        tree.link(f"/dev/{name}", f"/proc/{target}")
    if context.command.terminal:
        tree.folder("/dev/pts")
        tree.add(steps.NewDevpts(slot=tree.slot("pts")))
        tree.add(steps.Attach(slot=tree.slot("pts"), path="dev/pts"))
        tree.link("/dev/ptmx", "pts/ptmx")


def _proc(tree: Tree, context: Context) -> None:
    tree.folder("/run")
    if context.profile.filesystem.proc == "none":
        return
    tree.folder("/proc")
    tree.add(steps.NewProc(slot=tree.slot("proc"), attributes=NOSUID | NODEV | NOEXEC))
    tree.add(steps.Attach(slot=tree.slot("proc"), path="proc"))
    hidden = [entry for entry in context.host.proc if entry.path not in _PROC_SHOWN and entry.kind != "link"]
    files = tuple(f"proc/{entry.path}" for entry in hidden if entry.kind == "file")
    folders = tuple(f"proc/{entry.path}" for entry in hidden if entry.kind == "folder")
    tree.add(steps.BindReadOnly(path="proc/sys"))
    tree.add(steps.Mask(files=files, folders=folders, file_cover="dev/null", folder_cover="run"))


def _disk(tree: Tree, context: Context) -> None:
    """Make the one tmpfs of the disk limit; every place of the jail's own that is written to is a folder of it."""
    limits, slot = context.profile.limits, tree.slot("disk")
    tree.folder(f"/{_STAGE}")
    tree.add(steps.NewTmpfs(slot=slot, size=limits.disk, inodes=limits.inodes, mode=0o755, attributes=NOSUID | NODEV))
    tree.add(steps.Attach(slot=slot, path=_STAGE))


def _places(tree: Tree, context: Context) -> None:
    """Attach private folders and what the user shows, outer places before those inside them."""
    places: list[tuple[str, int | None | Source]] = list(tmpfs_destinations(context))
    places += [(source.destination, source) for source in context.command.sources]
    for destination, what in sorted(places, key=lambda place: place[0].count("/")):
        if what is None or isinstance(what, int):
            _private(tree, context, destination, what)
        else:
            _show(tree, context, what)


def _private(tree: Tree, context: Context, destination: str, size: int | None) -> None:
    mode = 0o1777 if destination in ("/tmp", "/dev/shm") else 0o755  # noqa: S108
    slot, attributes = tree.slot(destination), writable_attributes(context)
    if size is None:
        tree.folder(f"/{_STAGE}/{slot}", mode)
        tree.add(steps.TakeFolder(slot=slot, path=f"{_STAGE}/{slot}", attributes=attributes))
    else:
        inodes = context.profile.limits.inodes
        tree.add(steps.NewTmpfs(slot=slot, size=size, inodes=inodes, mode=mode, attributes=attributes))
    tree.private.add(destination)
    tree.attach(slot, destination, "folder")


def _show(tree: Tree, context: Context, source: Source) -> None:
    if source.mode != "cow":
        tree.attach(tree.slot(source), source.destination, source.kind, host=True)
    elif source.kind == "folder" and context.host.tmpfs_user_xattr:
        _overlay(tree, context, source)
    else:
        _copy(tree, context, source)


def _copy(tree: Tree, context: Context, source: Source) -> None:
    """Copy into the disk tmpfs and show the copy."""
    copy, slot = f"{_STAGE}/copy{tree.slot(source)}", tree.slot(("copy", source))
    tree.add(steps.CopyTree(slot=tree.slot(source), path=copy))
    tree.add(steps.TakeFolder(slot=slot, path=copy, attributes=writable_attributes(context)))
    tree.attach(slot, source.destination, source.kind, host=True)


def _put(tree: Tree, context: Context, source: Source) -> None:
    if tree.is_private(source.destination):
        tree.parents(source.destination)
        tree.add(steps.CopyTree(slot=tree.slot(source), path=source.destination.strip("/")))
    else:
        _copy(tree, context, source)


def _overlay(tree: Tree, context: Context, source: Source) -> None:
    slot = tree.slot(source)
    lower, upper, work = (f"{_STAGE}/cow{slot}/{name}" for name in ("lower", "upper", "work"))
    for path in (lower, upper, work):
        tree.folder(f"/{path}")
    tree.add(steps.Attach(slot=slot, path=lower))
    attributes = writable_attributes(context)
    tree.add(steps.NewOverlay(slot=slot, lower=lower, upper=upper, work=work, attributes=attributes))
    tree.attach(slot, source.destination, "folder", host=True)


def hidden(context: Context) -> tuple[str, ...]:
    """Return where JailPy's own folders would appear in the jail: they are masked there."""
    return tuple(
        source.destination.rstrip("/") + path[len(source.path) :]
        for source in context.command.sources
        for path in context.host.hidden
        if path == source.path or path.startswith(source.path + "/")
    )


def _finish(tree: Tree, context: Context) -> None:
    workdir = context.profile.filesystem.workdir.strip("/")
    own = tuple(path.strip("/") for path in hidden(context))
    if own:
        tree.add(steps.Mask(files=(), folders=own, file_cover="dev/null", folder_cover="run"))
    tree.add(steps.OfferFolder(path=_STAGE, purpose="disk"))
    if context.command.collect:
        tree.add(steps.OfferFolder(path=workdir, purpose="collect"))
    tree.add(steps.DropMount(path=_STAGE))
    tree.add(steps.SetAttributes(path="", attributes=_SHOWN))
    tree.add(steps.ChangeRoot(method=_method(context)))
