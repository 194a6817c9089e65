"""What a launch without namespaces needs to know of this host. Parent side; forks once where namespaces are to be tried.

Imported only for profiles that may do without namespaces.
"""

from __future__ import annotations

import errno
import os
import stat

from jailpy.errors import HostError
from jailpy.host import probe
from jailpy.host.facts import Plain
from jailpy.kernel import files, mount

_TRIED = ("mount", "net", "ipc", "uts", "cgroup-ns", "pid", "private", "tmpfs", "hostname")


def look(tries: bool, own_uid: bool, executes: bool, proc: bool) -> Plain:
    """Look at this host. `tries`: try namespaces; `executes`: programs are run from the work folder.

    `proc`: a procfs of the jail's own must be had too. Raises HostError where no work folder can be had.
    """
    status = dict(line.split(":\t", 1) for line in files.read("/proc/self/status").splitlines() if ":\t" in line)
    refused = _refused(proc) if tries else ""
    return Plain(refused, _base(own_uid, executes), int(status["CapEff"], 16), 0 if own_uid else _tasks())


def _refused(proc: bool) -> str:
    """Try what a launch does; return the first thing that this host refuses, in words."""
    wanted = (*_TRIED, "no-nesting", "proc") if proc else _TRIED
    found = {trial.name: trial.errno for trial in probe.namespaces()}
    for name in ("user", *wanted):
        number = found.get("unshare-user") or found.get(name, errno.EIO)
        if number:
            return f"the host refuses it: {os.strerror(number)} ({name})"
    return ""


def _base(own_uid: bool, executes: bool) -> str:
    """Return the folder below which work folders are made: private memory of the session, else a temporary folder."""
    named = [os.environ.get(name, "") for name in ("TMPDIR",)] if own_uid else _named()
    for path in (*named, "/tmp", "/var/tmp"):  # noqa: S108 - a fresh folder of mode 0700 in it
        if path.startswith("/") and _usable(path, own_uid, executes):
            return os.path.realpath(path)
    needed = "search" if own_uid else "write"
    raise HostError(f"mount: no folder for a private work folder: this account must be able to {needed} TMPDIR or /tmp")


def _named() -> list[str]:
    return [os.environ.get(name, "") for name in ("XDG_RUNTIME_DIR", "TMPDIR")]


def _usable(path: str, own_uid: bool, executes: bool) -> bool:
    try:
        found, flags = os.stat(path), os.statvfs(path).f_flag
    except OSError:
        return False
    private = found.st_uid == os.geteuid() and not found.st_mode & 0o022
    safe = private or bool(found.st_mode & stat.S_ISVTX)
    searched = not own_uid or bool(found.st_mode & 0o001)
    runs = not (executes and flags & os.ST_NOEXEC)
    return stat.S_ISDIR(found.st_mode) and safe and searched and runs and os.access(path, os.W_OK | os.X_OK)


def _tasks() -> int:
    """Count the tasks of this account, which all count against RLIMIT_NPROC."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                if os.stat(f"/proc/{name}").st_uid == os.geteuid():
                    count += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                continue  # ended since the listing
    return count


def is_at(path: str, destination: str) -> bool:
    """Say whether a destination is, by whatever links, the very path that is shown there."""
    return os.path.realpath(destination) == path


def readable_by_others(path: str) -> bool:
    """Say whether an account that owns nothing may read a file, or list and search a folder; parents are followed."""
    wanted = 0o005 if os.path.isdir(path) else 0o004
    if os.stat(path).st_mode & wanted != wanted:
        return False
    while path != "/":
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & 0o001:
            return False
    return True


def open_plain(path: str) -> int:
    """Open a path without following a link. Raises OSError."""
    return mount.openat2(mount.AT_FDCWD, os.fsencode(path), os.O_PATH, mount.NO_LINKS)
