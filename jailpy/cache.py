"""A private cache on disk for values that cost a heavy library to compute. Parent side.

What is kept is plain marshal data: merged profiles, compiled filters, sets of Landlock rights. A launch whose inputs
have not changed then imports neither a TOML parser nor libseccomp's bindings. Every jail is kept from seeing the
folder: whoever writes here chooses the policy of later runs. For the same reason a folder or a file that is not ours
alone is never read. A cache that cannot be had costs time and nothing else, so no function here raises OSError.
"""

from __future__ import annotations

import marshal
import os
import stat
import sys

try:  # hashlib would load OpenSSL, which costs milliseconds
    if sys.version_info >= (3, 12):
        from _sha2 import sha256 as _sha256
    else:
        from _sha256 import sha256 as _sha256
except ImportError:
    from hashlib import sha256 as _sha256

LARGEST = 4 << 20
MOST_FILES = 512
_CHECKSUM = 64


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return str(_sha256(data).hexdigest())


def stamp(path: str) -> list[int]:
    """Return what differs once a file that a kept value depends on was replaced; [] for one that is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def folder() -> str | None:
    """Return the cache's folder, made where it was missing; None where this account cannot have one.

    The path is free of links, so that it can be compared with what a jail shows.
    """
    for path in places():
        try:
            if _ours(_found_or_made(path), stat.S_IFDIR):
                return os.path.realpath(path)
        except OSError:
            continue
    return None


def places() -> list[str]:
    """Return where this account's cache may be, the first choice first; not all need exist.

    `$XDG_CACHE_HOME/jailpy` where that variable names a folder of this account, else `~/.cache/jailpy`, and
    `/var/cache/jailpy` for root: root under sudo must not leave its files in the home of another.
    """
    return [parent + "/jailpy" for parent in _parents()]


def load(kind: str, key: str) -> object | None:
    """Return what was stored under `kind` and `key` by this Python and this JailPy; None where there is nothing."""
    path = folder()
    if path is None:
        return None
    try:
        data = _read(f"{path}/{_file_name(kind, key)}")
    except OSError:
        return None
    body = data[_CHECKSUM:]
    if not body or digest(body).encode() != data[:_CHECKSUM]:
        return None
    value: object = marshal.loads(body)  # noqa: S302 - only this account writes here: see _ours
    return value


def store(kind: str, key: str, value: object) -> None:
    """Keep a marshal value (None, bool, int, float, str, bytes, tuple, list, dict); too large a one is not kept.

    A reader sees the whole old value or the whole new one: the file is written aside and renamed.
    """
    path = folder()
    body = marshal.dumps(value)  # type: ignore[arg-type]
    if path is None or len(body) > LARGEST:
        return
    try:
        _make_room(path)
        _write(path, _file_name(kind, key), digest(body).encode() + body)
    except OSError:
        return


def _found_or_made(path: str) -> os.stat_result:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        os.makedirs(path, 0o700, exist_ok=True)
        return os.lstat(path)


def _parents() -> list[str]:
    named = os.environ.get("XDG_CACHE_HOME", "")
    parents = [named] if named.startswith("/") and _belongs(named) else []
    if os.geteuid() == 0:
        return [*parents, "/var/cache"]
    home = os.path.expanduser("~")
    return [*parents, home + "/.cache"] if home.startswith("/") else parents


def _belongs(path: str) -> bool:
    """Tell whether a folder is this account's, or is missing below one that is."""
    try:
        return os.stat(path).st_uid == os.geteuid()
    except FileNotFoundError:
        return path != "/" and _belongs(os.path.dirname(path.rstrip("/")) or "/")
    except OSError:
        return False


def _ours(found: os.stat_result, kind: int) -> bool:
    """Tell whether this is of that type, belongs to this account, and nobody else may write it."""
    return stat.S_IFMT(found.st_mode) == kind and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _file_name(kind: str, key: str) -> str:
    version = getattr(sys.modules["jailpy"], "__version__", "")
    return f"{kind}-{digest(ascii((kind, key, version, sys.version)).encode())}"


def _read(path: str) -> bytes:
    """Return a file's content, b"" where it is not ours alone."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(file)
        if not _ours(found, stat.S_IFREG) or found.st_size > LARGEST + _CHECKSUM:
            return b""
        return _read_all(file, found.st_size)
    finally:
        os.close(file)


def _read_all(file: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := os.read(file, size - len(data))):
        data += more
    return data


def _write(path: str, name: str, data: bytes) -> None:
    """Write a file of mode 0600 aside and rename it into place."""
    aside = f"{path}/.{name}.{os.getpid()}"
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.rename(aside, f"{path}/{name}")
    except OSError:
        os.unlink(aside)
        raise
    finally:
        os.close(file)


def _make_room(path: str) -> None:
    """Delete the older half of the files once there are too many, and with them what a killed writer left."""
    names = os.listdir(path)
    if len(names) < MOST_FILES:
        return
    by_age = sorted(names, key=lambda name: os.lstat(f"{path}/{name}").st_mtime_ns)
    for name in by_age[: len(names) // 2]:
        os.unlink(f"{path}/{name}")
