"""The private work folder of a run without namespaces: made, filled, measured, removed; and what a killed launcher left.

Parent side. What the payload did to the folder is not trusted: nothing is followed, depth and modes do not matter.
"""

from __future__ import annotations

import errno
import os
import stat

from jailpy.child import copying
from jailpy.frozen import Frozen
from jailpy.host.plain import open_plain
from jailpy.kernel import files, mount
from jailpy.launcher.cgroups import is_of_a_dead_launcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.steps.plain import CopyIn, MakeWork

_WORK, _CANARY = "work", "canary"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = mount.RESOLVE_BENEATH | mount.NO_LINKS
_FILLABLE = stat.S_IWUSR | stat.S_IXUSR  # what its owner needs to put something into a folder
_BLOCK = 512  # st_blocks counts these, whatever the filesystem's own are (stat(2))


class Fill(Frozen):
    """What lies in a work folder: bytes, and how many files and folders. `whole`: nothing was left uncounted."""

    bytes: int
    inodes: int
    whole: bool


class WorkFolder:
    """The folder of one run: `path` is the host's, `inside` and `top` the payload's work folder and root.

    The folder around it holds a canary that Landlock must refuse, and is nobody's but the launcher's.
    """

    def __init__(self, step: MakeWork, name: str) -> None:
        collect_leftovers(step.base)
        self._around = f"{step.base}/{name}-{os.urandom(8).hex()}"
        self.path = f"{self._around}/{_WORK}"
        shown = {"": self.path, "empty": f"/{_WORK}"}.get(step.root, self.path[len(step.root.rstrip("/")) :])
        self.inside = shown
        self.top = self._around if step.root == "empty" else step.root
        self._stands_for = step.stands_for
        self.view = -1
        os.mkdir(self._around, 0o700)
        try:
            self._fill(step)
        except BaseException:
            self.remove()
            raise

    def _fill(self, step: MakeWork) -> None:
        os.mkdir(self.path, 0o700)
        canary = os.open(f"{self._around}/{_CANARY}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        os.fchmod(canary, 0o644)
        os.close(canary)
        os.chown(self.path, *step.owner)
        if step.owner[0] != os.geteuid():
            os.chmod(self._around, 0o711)  # noqa: S103 - the run's own uid passes through, and lists nothing
        self.view = os.open(self.path, _FOLDER)

    def copy(self, step: CopyIn) -> None:
        """Apply CopyIn. Raises OSError: ENOSPC where one copy, or all together, are more than the limits of disk and inodes."""
        target = self.path if step.path == "." else f"{self.path}/{step.path}"
        self._make_around(step.path)
        source = open_plain(step.source) if step.content is None else files.memory(step.source, step.content)
        try:
            copying.copy_tree(source, target, copying.Room(step.most, step.inodes))
        finally:
            os.close(source)
        found = self.fill(step.inodes + 1)
        if found.bytes > step.most or not found.whole:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if os.geteuid() != step.owner[0]:
            for name, _, folder in walk(self.view):
                os.chown(name, *step.owner, dir_fd=folder, follow_symlinks=False)

    def _make_around(self, path: str) -> None:
        """Make the folders around a place, none through a link of what was copied in before. Raises OSError."""
        parts = path.split("/")
        for depth, name in enumerate(parts[:-1]):
            around = mount.openat2(self.view, os.fsencode("/".join(parts[:depth]) or "."), os.O_PATH, _NO_LINKS)
            try:
                os.mkdir(name, 0o755, dir_fd=around)
            except FileExistsError:
                continue
            finally:
                os.close(around)

    def variables(self, environment: tuple[tuple[bytes, bytes], ...]) -> dict[bytes, bytes]:
        """Return the variables that name the work folder, or a place in it, by its real path; TMPDIR always does."""
        stood, path = os.fsencode(self._stands_for), os.fsencode(self.inside)
        found = {b"TMPDIR": path}
        for name, value in environment:
            if value == stood or value.startswith(stood.rstrip(b"/") + b"/"):
                found[name] = path + value[len(stood) :]
        return found

    def fill(self, most: int) -> Fill:
        """Measure what lies there; the look ends after `most` files and folders. A file of several names is counted once."""
        size = count = 0
        linked: set[tuple[int, int]] = set()
        try:
            for _, found, _ in walk(self.view):
                which = found.st_dev, found.st_ino
                size, count = size + (found.st_blocks * _BLOCK if which not in linked else 0), count + 1
                if found.st_nlink > 1:
                    linked.add(which)
                if count >= most:
                    return Fill(size, count, whole=False)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return Fill(size, count, whole=False)
        return Fill(size, count, whole=True)

    def remove(self) -> None:
        """Remove the folder and all in it. May be called twice."""
        if self.view >= 0:
            os.close(self.view)
            self.view = -1
        if self._around:
            remove_tree(self._around)
            self._around = ""


def walk(folder: int) -> Iterator[tuple[str, os.stat_result, int]]:
    """Yield (name, what it is, descriptor of its folder) of everything below a folder, never through a link.

    The payload may change the tree meanwhile: what is gone is passed over. A folder that can be written and not listed
    is made readable; one that can be neither is passed over, for nobody can have put anything into it: the payload may
    change no modes, or else the launcher is root. One descriptor is open for each level. Raises OSError: ENAMETOOLONG below
    `copying.DEEPEST` levels.
    """
    yield from _below(os.dup(folder), 0)


def _below(folder: int, depth: int) -> Iterator[tuple[str, os.stat_result, int]]:
    try:
        if depth > copying.DEEPEST:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        for name in _names(folder):
            try:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                yield name, found, folder
                if stat.S_ISDIR(found.st_mode):
                    yield from _below(_opened(name, folder), depth + 1)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ELOOP):
                    raise
    finally:
        os.close(folder)


def _names(folder: int) -> list[str]:
    os.lseek(folder, 0, os.SEEK_SET)
    return os.listdir(folder)


def remove_tree(path: str) -> None:
    """Remove a folder that the payload filled. Folders in folders are moved up first, so no depth is too deep."""
    top = os.open(path, _FOLDER)
    try:
        while names := _names(top):
            for name in names:
                _remove(top, name, top)
    finally:
        os.close(top)
    os.rmdir(path)


def _opened(name: str, folder: int) -> int:
    """Open a folder to list it, never through a link. Raises OSError."""
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except PermissionError:
        return _unlocked(name, folder, _FILLABLE)


def _unlocked(name: str, folder: int, having: int = 0) -> int:
    """Open a folder, its owner's rights given to it first where it has those of `having`. Raises OSError.

    Modes are changed of what was opened, never by name: somebody who lives on could put a link there in between, and
    chmod(2) follows it (proc_pid_fd(5)). What is no folder, or a link to one, is NotADirectoryError.
    """
    held = os.open(name, os.O_PATH | _FOLDER, dir_fd=folder)
    try:
        mode, path = stat.S_IMODE(os.fstat(held).st_mode), f"/proc/self/fd/{held}"
        if mode & having != having:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        os.chmod(path, mode | stat.S_IRWXU)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(held)


def _remove(folder: int, name: str, top: int) -> None:
    """Remove one entry; what is in a folder is removed, but for folders in it, which are moved to `top`."""
    try:
        inner = _unlocked(name, folder)
    except NotADirectoryError:
        os.unlink(name, dir_fd=folder)
        return
    try:
        for each in _names(inner):
            try:
                os.unlink(each, dir_fd=inner)
            except IsADirectoryError:
                os.close(_unlocked(each, inner))  # a folder that moves has its ".." written
                os.rename(each, os.urandom(16).hex(), src_dir_fd=inner, dst_dir_fd=top)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=folder)


def collect_leftovers(base: str) -> None:
    """Remove work folders of this account whose launcher is dead.

    What a killed run has left alive may still change its own; no leftover keeps a new run from starting.
    """
    for name in os.listdir(base):
        group, _, _ = name.rpartition("-")
        path = f"{base}/{name}"
        if is_of_a_dead_launcher(group) and _is_own(path):
            try:
                remove_tree(path)
            except OSError:
                continue  # another start was quicker, or it is not to be removed yet: the next start tries again


def _is_own(path: str) -> bool:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
