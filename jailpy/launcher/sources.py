"""Sources opened by a launcher that is root: detached mounts whose owner appears in the jail as its one user.

So a jail that runs as a high, unused uid can read what only root may read, and nothing on disk changes. Parent side.
See mount_setattr(2), MOUNT_ATTR_IDMAP; Linux 5.12.
"""

from __future__ import annotations

import errno
import os

from jailpy.kernel import files, mount, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.steps.mounts import MapSource

_UNSUPPORTED = (errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP)
_namespaces: dict[tuple[tuple[int, int], tuple[int, int]], int] = {}


def open_mapped(step: MapSource) -> int:
    """Apply MapSource; return the detached mount. Raises OSError.

    On a filesystem without idmapped mounts a read-only source is shown as it is: the jail's user then has what "others"
    have. A writable one is refused, for its new files would belong to a uid that nobody has.
    """
    tree = mount.copy_at(os.fsencode(step.path))
    try:
        mount.mount_setattr(tree, step.attributes)
        _map(tree, step)
    except BaseException:
        os.close(tree)
        raise
    return tree


def make_room(floor: int) -> None:
    """Move what is kept here out of the descriptors below `floor`, which a run wants to hand on. Raises OSError."""
    for owner, number in _namespaces.items():
        _namespaces[owner] = files.above(number, floor)


def _map(tree: int, step: MapSource) -> None:
    try:
        mount.mount_setattr(tree, 0, userns=_user_namespace(step.owner, step.outside))
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        if not step.attributes & mount.RDONLY:
            raise OSError(
                errno.EOPNOTSUPP, "its filesystem has no idmapped mounts, and new files would have no owner"
            ) from error


def _user_namespace(owner: tuple[int, int], outside: tuple[int, int]) -> int:
    """Return a descriptor of a user namespace that maps the owner's ids to the jail's ids on the host; kept for the next."""
    if (owner, outside) not in _namespaces:
        _namespaces[owner, outside] = _new_user_namespace(owner, outside)
    return _namespaces[owner, outside]


def _new_user_namespace(owner: tuple[int, int], outside: tuple[int, int]) -> int:
    reader, writer = os.pipe()
    pid, pidfd = process.clone3(process.CLONE_NEWUSER)
    if pid == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    try:
        files.write(f"/proc/{pid}/uid_map", f"{owner[0]} {outside[0]} 1")
        files.write(f"/proc/{pid}/gid_map", f"{owner[1]} {outside[1]} 1")
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writer)
        os.waitpid(pid, 0)
        os.close(pidfd)
