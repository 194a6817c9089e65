"""The mount system calls of Linux 5.2 to 5.12: every mount is a descriptor until it is attached.

A path is looked up once, without following links, and what was found is what gets mounted: no race between check and use.
"""

from __future__ import annotations

import ctypes
import os

from jailpy.kernel import NEW, NUMBERS, files, syscall

_SYS_open_tree, _SYS_move_mount, _SYS_fsopen, _SYS_fsconfig, _SYS_fsmount = 428, 429, 430, 431, 432
_SYS_mount_setattr, _SYS_openat2 = 442, 437

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_CLOEXEC = os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 4
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 1 << 18
_MNT_DETACH = 2

RDONLY = 0x1
NOSUID = 0x2
NODEV = 0x4
NOEXEC = 0x8
NOSYMFOLLOW = 0x00200000
IDMAP = 0x00100000

RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH = 1, 2, 4, 8
NO_LINKS = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS


class _MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


class _OpenHow(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


def openat2(folder: int, path: bytes, flags: int, resolve: int) -> int:
    """Open a path below the descriptor `folder`, with RESOLVE_* limits. Raises OSError. See openat2(2), Linux 5.6."""
    how = _OpenHow(flags=flags | _CLOEXEC, resolve=resolve)
    return syscall(_SYS_openat2, folder, path, ctypes.byref(how), ctypes.sizeof(how), what=os.fsdecode(path), gives=NEW)


def make_private() -> None:
    """Cut the whole mount namespace off from its peers. Raises OSError. See mount_namespaces(7)."""
    syscall(NUMBERS["mount"], None, b"/", None, _MS_REC | _MS_PRIVATE, None, what="/")


def open_tree(folder: int, path: bytes, recursive: bool = True) -> int:
    """Return a detached copy of the mount at a path (b"" for `folder` itself). Raises OSError. See open_tree(2)."""
    flags = _OPEN_TREE_CLONE | _CLOEXEC | (AT_RECURSIVE if recursive else 0) | (0 if path else AT_EMPTY_PATH)
    return syscall(_SYS_open_tree, folder, path, flags, what=os.fsdecode(path), gives=NEW)


def copy_at(path: bytes) -> int:
    """Return a detached copy of the mount at a path, with no link on the way there. Raises OSError: ELOOP for one."""
    found = openat2(AT_FDCWD, path, os.O_PATH, NO_LINKS)
    try:
        return open_tree(found, b"")
    finally:
        files.close(found)


def move_mount(mount: int, folder: int, path: bytes) -> None:
    """Attach a detached mount at a path below `folder` (b"" for `folder` itself). Raises OSError. See move_mount(2)."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | (0 if path else 0x40)  # MOVE_MOUNT_T_EMPTY_PATH
    syscall(_SYS_move_mount, mount, b"", folder, path, flags, what=os.fsdecode(path))


def bind(source: bytes, target: bytes) -> None:
    """Show a file or folder at a second path, with the attributes of its mount. Raises OSError. See mount(2), MS_BIND.

    Both paths are followed: for paths that nobody else can change. One call where open_tree(2) needs three.
    """
    syscall(NUMBERS["mount"], source, target, None, _MS_BIND, None, what=os.fsdecode(target))


def mount_setattr(mount: int, attributes: int, recursive: bool = True, userns: int | None = None) -> None:
    """Set attributes of a mount given by descriptor, and its propagation to private.

    With `userns`, ids are mapped through that user namespace (needs CAP_SYS_ADMIN over the filesystem). Raises OSError.
    See mount_setattr(2), Linux 5.12.
    """
    attr = _MountAttr(attr_set=attributes, propagation=_MS_PRIVATE)
    if userns is not None:
        attr.attr_set |= IDMAP
        attr.userns_fd = userns
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    syscall(_SYS_mount_setattr, mount, b"", flags, ctypes.byref(attr), ctypes.sizeof(attr), what="mount_setattr")


def new_filesystem(kind: bytes, options: tuple[tuple[str, str | None], ...], attributes: int) -> int:
    """Make a filesystem and return its detached mount. An option without a value is a flag.

    Raises OSError; `filename` names the option that was refused. See fsopen(2), fsconfig(2), fsmount(2).
    """
    context = syscall(_SYS_fsopen, kind, 1, what=kind.decode(), gives=NEW)
    try:
        for name, value in options:
            command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
            text = None if value is None else os.fsencode(value)
            syscall(_SYS_fsconfig, context, command, name.encode(), text, 0, what=f"{kind.decode()} {name}")
        syscall(_SYS_fsconfig, context, _FSCONFIG_CMD_CREATE, None, None, 0, what=kind.decode())
        return syscall(_SYS_fsmount, context, 1, attributes, what=kind.decode(), gives=NEW)
    finally:
        files.close(context)


def pivot_root() -> None:
    """Make the working directory the root, with the old root mounted over it. Raises OSError. See pivot_root(2)."""
    syscall(NUMBERS["pivot_root"], b".", b".", what="pivot_root")


def detach(path: bytes) -> None:
    """Unmount a path lazily. Raises OSError. See umount2(2), MNT_DETACH."""
    syscall(NUMBERS["umount2"], path, _MNT_DETACH, what=os.fsdecode(path))
