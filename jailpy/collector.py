"""The collector: copies files out of the work folder once the run is dead. Parent side, no fork.

Everything below the work folder is the payload's and hostile: names, types, sizes, links. So:

* DEST's folder is opened before the run (`Order`): nothing that the run does can lead a write elsewhere.
* The work folder is read through detached, read-only, nosymfollow views (steps/mounts.py, OfferFolder), by openat2(2)
  that leaves neither the view nor its filesystem and follows no link.
* A file is looked at by O_PATH first, so that no device is opened and no FIFO waited for; what counts is what fstat(2)
  says of the descriptor that is then read.
* A copy is made under no name, or a private one, and renamed into place: DEST is the old file or the whole new one, and
  a link at DEST is replaced, never followed.
* A folder's files go among others only where the caller has said that it is one: the payload makes a folder of a file that
  was wanted. Folders of JailPy's own (its code, say) are not entered all the same.
"""

from __future__ import annotations

import errno
import os
import stat

from jailpy import escape
from jailpy.errors import UsageError
from jailpy.frozen import Frozen
from jailpy.kernel import mount
from jailpy.profile import own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.profile.model import Limits

    Entry = dict[str, object]

DEEPEST = 32
MOST_WORDS = 8 << 20
_CHUNK = 1 << 20
_RESOLVE = mount.RESOLVE_BENEATH | mount.NO_LINKS | mount.RESOLVE_NO_XDEV
_KINDS = {
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
_WHY = {
    errno.ENOENT: "not there",
    errno.ENOTDIR: "not there",
    errno.ELOOP: "symlink",
    errno.EXDEV: "shown from the host, or a mount of its own",
    errno.ENAMETOOLONG: "name too long",
}
_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
# Names that programs of the host execute or obey when they meet them: shells, editors, Git, Python, test runners, agents.
_OBEYED = frozenset(
    (
        ".git", ".gitattributes", ".gitmodules", ".gitconfig", ".hg", ".husky", ".pre-commit-config.yaml",
        ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile", ".zshrc", ".zshenv",
        ".zprofile", ".zlogin", ".envrc", ".inputrc", ".vimrc", ".exrc", ".nvimrc", ".emacs", ".emacs.d", ".dir-locals.el",
        ".ssh", ".config", ".netrc", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pypirc", ".gdbinit", ".lldbinit", ".rgignore",
        ".vscode", ".idea", ".devcontainer", ".github", ".gitlab-ci.yml", ".cargo",
        ".claude", ".cursor", ".mcp.json", "claude.md", "agents.md", "gemini.md",
        "conftest.py", "sitecustomize.py", "usercustomize.py", "pyvenv.cfg", "setup.py", "noxfile.py",
        "makefile", "gnumakefile", "justfile", "package.json", "build.rs",
    )
)  # fmt: skip
_OBEYED_ENDINGS = (".pth", ".desktop", ".service", ".code-workspace")
_WARNING = "programs of the host execute or obey files of this name: look at it before you use its folder"


class Order(Frozen):
    """One --get. `folder` is a descriptor of DEST's folder and `base` its last part, or `folder` is DEST and `base` ""."""

    name: str
    destination: str
    folder: int
    base: str

    def takes_folder(self) -> bool:
        """Say whether the files of a folder may go straight into DEST, which is there: it has the same name, or holds nothing.

        Or NAME ends with a slash.
        """
        last = self.name.rpartition("/")[2]
        return last in ("", ".", os.path.basename(self.destination)) or not os.listdir(self.folder)


def order(wanted: tuple[tuple[str, str], ...]) -> list[Order]:
    """Open the folder of each DEST of (NAME, DEST). Raises UsageError where one is missing or may not be written."""
    orders: list[Order] = []
    try:
        for name, destination in wanted:
            orders.append(_order(name, destination))
    except BaseException:
        close(orders)
        raise
    return orders


def _order(name: str, destination: str) -> Order:
    plain = destination.rstrip("/") or "/"
    into = os.path.isdir(plain) and not os.path.islink(plain)
    parent, base = (plain, "") if into else os.path.split(plain)
    try:
        folder = os.open(parent or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"option --get {name}:{destination}: {parent or '.'}: {error.strerror}") from error
    if not os.access(parent or ".", os.W_OK | os.X_OK, effective_ids=True):
        os.close(folder)
        raise UsageError(f"option --get {name}:{destination}: {parent or '.'}: may not be written")
    return Order(name, plain, folder, base)


def close(orders: list[Order]) -> None:
    """Close what `order` opened."""
    for each in orders:
        os.close(each.folder)
    orders.clear()


def collect(views: list[tuple[str, int]], orders: list[Order], limits: Limits) -> list[Entry]:
    """Copy what was ordered and say of each file what became of it.

    `views` pairs folders, as paths relative to the work folder ("" for itself), with descriptors of their views.
    An entry has `name`, `destination`, `bytes`, `refused` (null, or the reason) and `warning` (null, or words on a name that
    programs of the host obey). At most `disk` bytes in `inodes` files, each within `file_size`, are copied in all, and no more
    once the names in the entries, as they are written there, are more than `MOST_WORDS` bytes.
    """
    taking = _Taking(limits)
    for each in orders:
        taking.take(each, *_view_of(each.name, views))
    return taking.entries


def _view_of(name: str, views: list[tuple[str, int]]) -> tuple[int, str]:
    """Return the view that a name lies in, the innermost one, and the name relative to that."""
    clean = "/".join(part for part in name.split("/") if part not in ("", "."))
    path, view = max(
        (each for each in views if not each[0] or f"{clean}/".startswith(f"{each[0]}/")), key=lambda each: len(each[0])
    )
    return view, clean[len(path) :].strip("/") or "."


class _RefusedError(Exception):
    """A file that is not taken; the text is the reason."""


class _Taking:
    """One collection: what is left of its bounds, and what became of each file."""

    def __init__(self, limits: Limits) -> None:
        self.entries: list[Entry] = []
        self._bytes = limits.disk
        self._words = MOST_WORDS
        self._files = limits.inodes
        self._own = own.doors()
        self._largest = limits.disk if limits.file_size is None else min(limits.disk, limits.file_size)

    def take(self, wanted: Order, view: int, path: str) -> None:
        """Take one file or folder of a view."""
        try:
            if self._is_folder(view, path):
                self._take_folder(view, path, self._target(wanted), (wanted.name.rstrip("/"), wanted.destination), 1)
                return
            base = wanted.base or os.path.basename(path)
            destination = wanted.destination if wanted.base else f"{wanted.destination}/{base}"
            count = self._copy(view, path, wanted.folder, base)
            self._add(wanted.name, destination, count, None)
        except _RefusedError as refused:
            self._add(wanted.name, wanted.destination, None, str(refused))

    def _target(self, wanted: Order) -> int:
        """Open the folder that the files of a folder go into. Raises _RefusedError."""
        if wanted.base:
            return self._folder_at(wanted.folder, wanted.base)
        if not wanted.takes_folder():
            raise _RefusedError("a folder, and DEST holds other files: NAME/ has its files go among them")
        return os.dup(wanted.folder)

    def _is_folder(self, folder: int, path: str) -> bool:
        """Look at a path without opening what it names. Raises _RefusedError for all but a file or a folder."""
        found = _open(folder, path, os.O_PATH | os.O_NOFOLLOW)
        try:
            kind = stat.S_IFMT(os.fstat(found).st_mode)
        finally:
            os.close(found)
        if kind in _KINDS:
            raise _RefusedError(_KINDS[kind])
        return kind == stat.S_IFDIR

    def _walk(self, source: int, target: int, name: str, destination: str, depth: int) -> None:
        """Take everything in a folder; closes `source`."""
        try:
            for each in sorted(os.listdir(source)):
                if self._files <= 0 or self._words <= 0:
                    why = "too many files" if self._words > 0 else "names too long in all"
                    self._add(f"{name}/...", destination, None, why)
                    return
                self._files -= 1
                self._take_one(source, target, each, (f"{name}/{each}", f"{destination}/{each}"), depth)
        finally:
            os.close(source)

    def _take_one(self, source: int, target: int, base: str, said: tuple[str, str], depth: int) -> None:
        try:
            if not self._is_folder(source, base):
                self._add(*said, self._copy(source, base, target, base), None)
            elif depth >= DEEPEST:
                self._add(*said, None, f"more than {DEEPEST} folders deep")
            else:
                self._take_folder(source, base, self._folder_at(target, base), said, depth + 1)
        except _RefusedError as refused:
            self._add(*said, None, str(refused))

    def _folder_at(self, parent: int, base: str) -> int:
        found = os.fstat(parent)
        if ((found.st_dev, found.st_ino), base) in self._own:
            raise _RefusedError("JailPy's own folder")
        return _folder_at(parent, base)

    def _take_folder(self, folder: int, path: str, target: int, said: tuple[str, str], depth: int) -> None:
        """Take a folder; closes `target`."""
        try:
            self._walk(_open(folder, path, os.O_RDONLY | os.O_DIRECTORY), target, *said, depth)
        finally:
            os.close(target)

    def _copy(self, folder: int, path: str, into: int, base: str) -> int:
        """Copy one regular file to `base` in a folder; return its size. Raises _RefusedError."""
        source = _open(folder, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            found = os.fstat(source)
            if not stat.S_ISREG(found.st_mode):
                raise _RefusedError(_KINDS.get(stat.S_IFMT(found.st_mode), "not a file"))
            if found.st_nlink > 1:
                raise _RefusedError("hard link")
            if found.st_size > self._largest:
                raise _RefusedError(f"too large: {found.st_size} bytes where {self._largest} are allowed")
            most = min(self._largest, self._bytes)
            if found.st_size > most:
                raise _RefusedError("too much in all: the bound is limits.disk")
            count = _write(source, into, base, 0o755 if found.st_mode & 0o100 else 0o644, most)
        finally:
            os.close(source)
        self._bytes -= count
        return count

    def _add(self, name: str, destination: str, count: int | None, refused: str | None) -> None:
        name, destination = escape.line(name), escape.line(destination)
        self._words -= len(name.encode()) + len(destination.encode())
        warning = _WARNING if refused is None and obeyed(name) else None
        self.entries.append({"name": name, "destination": destination, "bytes": count, "refused": refused, "warning": warning})


def obeyed(name: str) -> bool:
    """Tell whether programs of the host execute or obey files of this name, in any letter case."""
    parts = name.casefold().split("/")
    return any(part in _OBEYED for part in parts) or parts[-1].endswith(_OBEYED_ENDINGS)


def _open(folder: int, path: str, flags: int) -> int:
    """Open below a folder and nowhere else. Raises _RefusedError."""
    try:
        return mount.openat2(folder, os.fsencode(path), flags, _RESOLVE)
    except OSError as error:
        raise _RefusedError(_WHY.get(error.errno or 0) or f"cannot be read: {error.strerror}") from error


def _folder_at(parent: int, base: str) -> int:
    """Open a folder of the host, made where it is missing, never through a link. Raises _RefusedError."""
    try:
        if not _exists(parent, base):
            os.mkdir(base, 0o755, dir_fd=parent)
        return os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except OSError as error:
        why = "is a link or a file" if error.errno in (errno.ELOOP, errno.ENOTDIR) else error.strerror
        raise _RefusedError(f"cannot be written: the destination {why}") from error


def _exists(parent: int, base: str) -> bool:
    try:
        os.stat(base, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _write(source: int, folder: int, base: str, mode: int, most: int) -> int:
    """Write a copy of at most `most` bytes and rename it to `base`. Raises _RefusedError; nothing is left then."""
    aside = f".jailpy-{os.urandom(8).hex()}"
    try:
        target, named = _create(folder, aside, mode)
        try:
            count = _pour(source, target, most)
            if not named:
                os.link(f"/proc/self/fd/{target}", aside, dst_dir_fd=folder, follow_symlinks=True)
                named = True
            os.rename(aside, base, src_dir_fd=folder, dst_dir_fd=folder)
            named = False
        finally:
            os.close(target)
            if named:
                os.unlink(aside, dir_fd=folder)
    except OSError as error:
        raise _RefusedError(f"cannot be written: {error.strerror}") from error
    return count


def _create(folder: int, aside: str, mode: int) -> tuple[int, bool]:
    """Make a file without a name, which a killed launcher cannot leave behind, or a named one where that is unknown."""
    flags = os.O_WRONLY | os.O_CLOEXEC
    try:
        return os.open(".", flags | os.O_TMPFILE, mode, dir_fd=folder), False
    except OSError as error:
        if error.errno not in _NO_TMPFILE:
            raise
    return os.open(aside, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=folder), True


def _pour(source: int, target: int, most: int) -> int:
    """Copy what a file holds, and see that it did not grow beyond the bound meanwhile. Raises OSError, _RefusedError."""
    count = 0
    while sent := os.sendfile(target, source, None, min(_CHUNK, most + 1 - count)):
        count += sent
        if count > most:
            raise _RefusedError("grew while it was read")
    return count
