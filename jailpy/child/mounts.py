"""The child side of the mount steps. One function per step, between fork and execve."""

from __future__ import annotations

import os
import stat

from jailpy.child import copying, wire
from jailpy.kernel import files, mount, python
from jailpy.steps import mounts as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jailpy.child.state import Child
    from jailpy.steps import Step

_HERE = mount.AT_FDCWD
_NO_LINKS = mount.RESOLVE_BENEATH | mount.NO_LINKS


def cut_propagation(step: steps.CutPropagation, child: Child) -> None:
    """Apply CutPropagation."""
    mount.make_private()


def show_system(step: steps.ShowSystem, child: Child) -> None:
    """Apply ShowSystem. No step of the way can be another's link: only the host's owner changes these folders."""
    shown = mount.open_tree(_HERE, os.fsencode(step.path))
    mount.mount_setattr(shown, step.attributes)
    mount.move_mount(shown, _HERE, os.fsencode(step.at))
    files.close(shown)


def open_source(step: steps.OpenSource, child: Child) -> None:
    """Apply OpenSource: look the path up once, refuse links, copy the mount that was found."""
    child.slots[step.slot] = mount.copy_at(os.fsencode(step.path))
    mount.mount_setattr(child.slots[step.slot], step.attributes)


def new_tmpfs(step: steps.NewTmpfs, child: Child) -> None:
    """Apply NewTmpfs."""
    options = (("size", str(step.size)), ("nr_inodes", str(step.inodes)), ("mode", f"{step.mode:o}"))
    child.slots[step.slot] = mount.new_filesystem(b"tmpfs", options, step.attributes)


def enter_root(step: steps.EnterRoot, child: Child) -> None:
    """Apply EnterRoot."""
    child.root = child.slots.pop(step.slot)
    mount.move_mount(child.root, _HERE, b"/")
    files.fchdir(child.root)


def make_folder(step: steps.MakeFolder, child: Child) -> None:
    """Apply MakeFolder."""
    path = os.fsencode(step.path)
    files.mkdir(path, step.mode)
    if step.mode & stat.S_ISVTX:  # mkdir(2) heeds the umask
        files.chmod(path, step.mode)


def make_file(step: steps.MakeFile, child: Child) -> None:
    """Apply MakeFile."""
    path = os.fsencode(step.path)
    files.mknod(path, step.mode | stat.S_IFREG)
    if step.content:
        files.put(path, step.content)


def make_link(step: steps.MakeLink, child: Child) -> None:
    """Apply MakeLink."""
    files.symlink(os.fsencode(step.target), os.fsencode(step.path))


def _attach(source: int, path: str) -> None:
    target = mount.openat2(_HERE, os.fsencode(path), os.O_PATH, _NO_LINKS)
    mount.move_mount(source, target, b"")
    files.close(target)


def attach(step: steps.Attach, child: Child) -> None:
    """Apply Attach."""
    source = child.slots.pop(step.slot)
    _attach(source, step.path)
    files.close(source)


def attach_behind(step: steps.AttachBehind, child: Child) -> None:
    """Apply AttachBehind: an absolute path starts at the host's tree, which the new root covers."""
    source = child.slots.pop(step.slot)
    mount.move_mount(source, _HERE, os.fsencode(step.path))
    files.close(source)


def take_folder(step: steps.TakeFolder, child: Child) -> None:
    """Apply TakeFolder."""
    taken = mount.open_tree(_HERE, os.fsencode(step.path), recursive=False)
    mount.mount_setattr(taken, step.attributes, recursive=False)
    child.slots[step.slot] = taken


def new_overlay(step: steps.NewOverlay, child: Child) -> None:
    """Apply NewOverlay."""
    options = (("lowerdir", step.lower), ("upperdir", step.upper), ("workdir", step.work), ("userxattr", None))
    child.slots[step.slot] = mount.new_filesystem(b"overlay", options, step.attributes)


def copy_tree(step: steps.CopyTree, child: Child) -> None:
    """Apply CopyTree."""
    source = child.slots.pop(step.slot)
    python(copying.copy_tree, source, step.path)
    files.close(source)


def new_proc(step: steps.NewProc, child: Child) -> None:
    """Apply NewProc."""
    child.slots[step.slot] = mount.new_filesystem(b"proc", (("hidepid", "invisible"),), step.attributes)


def new_devpts(step: steps.NewDevpts, child: Child) -> None:
    """Apply NewDevpts."""
    options = (("newinstance", None), ("ptmxmode", "0666"), ("mode", "0620"))
    child.slots[step.slot] = mount.new_filesystem(b"devpts", options, mount.NOSUID | mount.NOEXEC)


def bind_read_only(step: steps.BindReadOnly, child: Child) -> None:
    """Apply BindReadOnly."""
    copy = mount.open_tree(_HERE, os.fsencode(step.path))
    mount.mount_setattr(copy, mount.RDONLY | mount.NOSUID | mount.NODEV | mount.NOEXEC)
    _attach(copy, step.path)
    files.close(copy)


def mask(step: steps.Mask, child: Child) -> None:
    """Apply Mask. A bind mount inherits attributes, so only the first one of a kind needs to be given them."""
    for paths, cover in ((step.files, step.file_cover), (step.folders, step.folder_cover)):
        for path in paths[:1]:
            copy = mount.open_tree(_HERE, os.fsencode(cover), recursive=False)
            mount.mount_setattr(copy, mount.RDONLY | mount.NOSUID | mount.NOEXEC, recursive=False)
            _attach(copy, path)
            files.close(copy)
        for path in paths[1:]:
            mount.bind(os.fsencode(paths[0]), os.fsencode(path))


def set_attributes(step: steps.SetAttributes, child: Child) -> None:
    """Apply SetAttributes."""
    target = child.root if not step.path else mount.openat2(_HERE, os.fsencode(step.path), os.O_PATH, _NO_LINKS)
    mount.mount_setattr(target, step.attributes, recursive=False)
    if step.path:
        files.close(target)


def change_root(step: steps.ChangeRoot, child: Child) -> None:
    """Apply ChangeRoot."""
    if step.method == "pivot_root":
        mount.pivot_root()
        mount.detach(b".")
    else:
        files.chroot(b".")
    files.chdir(b"/")
    files.close(child.root)


def offer_folder(step: steps.OfferFolder, child: Child) -> None:
    """Apply OfferFolder. In a folder of the host somebody may put a link in its place meanwhile, which would lead out."""
    view = mount.copy_at(os.fsencode(step.path or "."))
    mount.mount_setattr(view, mount.RDONLY | mount.NOSYMFOLLOW | mount.NOEXEC | mount.NODEV | mount.NOSUID)
    child.send_descriptor(wire.FOLDER, view)
    files.close(view)


APPLY: dict[type[Step], Callable[[Any, Child], None]] = {
    steps.CutPropagation: cut_propagation,
    steps.ShowSystem: show_system,
    steps.OpenSource: open_source,
    steps.NewTmpfs: new_tmpfs,
    steps.EnterRoot: enter_root,
    steps.MakeFolder: make_folder,
    steps.MakeFile: make_file,
    steps.MakeLink: make_link,
    steps.Attach: attach,
    steps.AttachBehind: attach_behind,
    steps.TakeFolder: take_folder,
    steps.NewOverlay: new_overlay,
    steps.CopyTree: copy_tree,
    steps.NewProc: new_proc,
    steps.NewDevpts: new_devpts,
    steps.BindReadOnly: bind_read_only,
    steps.Mask: mask,
    steps.SetAttributes: set_attributes,
    steps.ChangeRoot: change_root,
    steps.OfferFolder: offer_folder,
}
