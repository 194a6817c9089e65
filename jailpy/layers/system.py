"""What every jail has before the user shows it anything: system folders, /etc, /dev, /proc. Parent side, pure."""

from __future__ import annotations

from jailpy.kernel.mount import NODEV, NOEXEC, NOSUID, RDONLY
from jailpy.layers import etc as etc_files
from jailpy.layers.tree import HOST
from jailpy.layers.view import CANARY, devices, etc_entries, root_entries, shown_at
from jailpy.steps import mounts as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.layers import Context
    from jailpy.layers.tree import Tree

SHOWN = RDONLY | NOSUID | NODEV
_ROOT_SIZE, _ROOT_INODES = 4 << 20, 4096
PROC_SHOWN = frozenset(
    ("cpuinfo", "filesystems", "loadavg", "meminfo", "mounts", "net", "self", "stat", "sys", "thread-self", "uptime", "version")
)


def furnish(tree: Tree, context: Context) -> None:
    """Plan the new root and what is in it by itself."""
    _root(tree, context)
    _etc(tree, context)
    _dev(tree, context)
    _proc(tree, context)


def _root(tree: Tree, context: Context) -> None:
    slot = tree.slot()
    tree.add(steps.NewTmpfs(slot=slot, size=_ROOT_SIZE, inodes=_ROOT_INODES, mode=0o755, attributes=NOSUID | NODEV))
    tree.add(steps.EnterRoot(slot=slot))
    tree.file(CANARY, b"Landlock refuses to let anyone in the jail read this file.\n")
    for entry, path in root_entries(context):
        if context.profile.filesystem.root == "system" or entry.kind == "link":
            tree.entry(entry, path, SHOWN)
        else:
            slot = open_source(tree, context, entry.path, SHOWN, context.command.root_owner)
            tree.attach(slot, path, entry.kind, HOST, entry.path)


def _etc(tree: Tree, context: Context) -> None:
    if context.profile.filesystem.root != "system":
        return
    tree.folder("/etc")
    for name, content in etc_files.files(context):
        if not shown_at(context, f"/etc/{name}"):
            tree.file(f"/etc/{name}", content)
    for entry in etc_entries(context):
        tree.entry(entry, entry.path, SHOWN)


def _dev(tree: Tree, context: Context) -> None:
    tree.folder("/dev")
    for name in devices(context):
        at = tree.place(f"/dev/{name}", "file", HOST)
        tree.add(steps.ShowSystem(path=f"/dev/{name}", at=at, attributes=RDONLY | NOSUID | NOEXEC))
    for name, target in (("fd", "self/fd"), ("stdin", "self/fd/0"), ("stdout", "self/fd/1"), ("stderr", "self/fd/2")):
        tree.link(f"/dev/{name}", f"/proc/{target}")
    if context.command.terminal:
        slot = tree.slot()
        tree.add(steps.NewDevpts(slot=slot))
        tree.attach(slot, "/dev/pts", "folder", HOST, "it")
        tree.link("/dev/ptmx", "pts/ptmx")


def _proc(tree: Tree, context: Context) -> None:
    tree.folder("/run")
    if context.profile.filesystem.proc == "none":
        return
    slot = tree.slot()
    tree.add(steps.NewProc(slot=slot, attributes=NOSUID | NODEV | NOEXEC))
    tree.attach(slot, "/proc", "folder", HOST, "it")
    hidden = [entry for entry in context.host.proc if entry.path not in PROC_SHOWN and entry.kind != "link"]
    files = tuple(f"proc/{entry.path}" for entry in hidden if entry.kind == "file")
    folders = tuple(f"proc/{entry.path}" for entry in hidden if entry.kind == "folder")
    tree.add(steps.BindReadOnly(path="proc/sys"))
    tree.add(steps.Mask(files=files, folders=folders, file_cover="dev/null", folder_cover="run"))


def open_source(tree: Tree, context: Context, path: str, attributes: int, owner: tuple[int, int]) -> int:
    """Open a source into a slot. Started by root, the launcher does it and maps the owner to the jail's user."""
    slot = tree.slot()
    if context.host.real_root:
        outside = context.host.outside
        tree.add(steps.MapSource(slot=slot, path=path, attributes=attributes, owner=owner, outside=outside))
    else:
        tree.add(steps.OpenSource(slot=slot, path=path, attributes=attributes))
    return slot
