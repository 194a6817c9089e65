"""Trials: what this kernel lets this account do, found out by doing it in throw-away children. Parent side; forks.

Nothing outside the children changes and nothing is left. A trial carries the kernel's errno, 0 where it worked: words
for it are in jailpy/host/remedies.py. The caller must have one thread (fork(2) from a threaded Python is unsafe).
"""

from __future__ import annotations

import _signal
import errno
import os
import resource
import select
import time

from jailpy.frozen import Frozen
from jailpy.kernel import files, landlock, mount, process, seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Attempt = Callable[[str, Callable[[], object]], None]

LARGEST = 16 << 20
KILLED = "killed"
_ALLOW_ALL = (0x06).to_bytes(4, "little") + seccomp.RET_ALLOW.to_bytes(4, "little")
_EXECUTE = 1  # LANDLOCK_ACCESS_FS_EXECUTE, which every ABI has
_NAMESPACES = (
    ("mount", process.CLONE_NEWNS),
    ("net", process.CLONE_NEWNET),
    ("ipc", process.CLONE_NEWIPC),
    ("uts", process.CLONE_NEWUTS),
    ("cgroup-ns", process.CLONE_NEWCGROUP),
    ("pid", process.CLONE_NEWPID),
)


class Trial(Frozen):
    """One thing that was tried. `errno` is 0 where it worked."""

    name: str
    errno: int


class Ended(Frozen):
    """How a throw-away child ended: its exit code, or minus the signal; and what it wrote."""

    status: int
    output: bytes


def in_child(work: Callable[[int], None], flags: int = 0, seconds: float = 30.0) -> Ended:
    """Do `work` in a child, which writes to the descriptor that it is given; `flags` are new namespaces.

    In a new user namespace the child is root, mapped to this account. It is killed after `seconds`, and with its
    parent. Raises OSError where the child cannot be made or its ids cannot be mapped.
    """
    reader, writer = os.pipe()
    gate, opener = os.pipe()
    try:
        pid = process.clone3(flags)[0] if flags else os.fork()
        if pid == 0:
            os.close(opener)
            _be_child(work, writer, gate)
        for number in (writer, gate):
            os.close(number)
        writer = gate = -1
        return _parent(pid, flags, reader, opener, time.monotonic() + seconds)
    finally:
        for number in (reader, writer, gate, opener):
            if number >= 0:
                os.close(number)


def _parent(pid: int, flags: int, reader: int, opener: int, until: float) -> Ended:
    """Map the child's ids, let it go, take what it writes, and reap it whatever happens."""
    alive = True
    try:
        if flags & process.CLONE_NEWUSER:
            _map_root(pid)
        os.write(opener, b"G")
        output = _take(reader, until)
        status = _wait(pid, until)
        alive = False
    finally:
        if alive:
            os.kill(pid, _signal.SIGKILL)
            os.waitpid(pid, 0)
    return Ended(status, output)


def _be_child(work: Callable[[int], None], writer: int, gate: int) -> None:
    status = 1
    try:
        process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGKILL)
        if os.read(gate, 1):
            work(writer)
            status = 0
    except OSError as error:
        status = (error.errno or 0) % 200
    finally:
        os._exit(status)


def _map_root(pid: int) -> None:
    files.write(f"/proc/{pid}/setgroups", "deny")
    files.write(f"/proc/{pid}/uid_map", f"0 {os.geteuid()} 1")
    files.write(f"/proc/{pid}/gid_map", f"0 {os.getegid()} 1")


def _take(reader: int, until: float) -> bytes:
    """Read until the end, the deadline or `LARGEST` bytes."""
    poll, data = select.poll(), b""
    poll.register(reader, select.POLLIN)
    while len(data) < LARGEST and poll.poll(max(0.0, until - time.monotonic()) * 1000):
        part = os.read(reader, 65536)
        if not part:
            break
        data += part
    return data


def _wait(pid: int, until: float) -> int:
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(pid, _signal.SIGKILL)
            until += 60
        time.sleep(0.001)


def trials() -> tuple[Trial, ...]:
    """Try everything that a launch needs of the kernel, in the order of a launch."""
    return (*_user_namespace(), *_on_itself())


def namespaces() -> tuple[Trial, ...]:
    """Try what a launch needs of namespaces: to make them all, and to mount in them."""
    return _user_namespace()


def refuses_proc() -> bool:
    """Say whether the kernel refuses a procfs of a jail's own, as it does where the one outside is covered in part.

    Where there are no namespaces at all nobody can tell: the launch then says what is missing.
    """
    flags = process.CLONE_NEWUSER | process.CLONE_NEWNS | process.CLONE_NEWPID
    try:
        return in_child(_proc, flags).status == errno.EPERM
    except OSError:
        return False


def _proc(_: int) -> None:
    os.close(mount.new_filesystem(b"proc", (), mount.NOSUID))


def outcome(name: str, act: Callable[[], object]) -> Trial:
    """Do one thing in this process and say how it went."""
    try:
        act()
    except OSError as error:
        return Trial(name, error.errno or errno.EIO)
    return Trial(name, 0)


def _reported(work: Callable[[Attempt], None], flags: int = 0) -> tuple[Trial, ...]:
    """Do `work` in a child and return the trials that it makes. Raises OSError as `in_child` does.

    Each is announced before it is made: a child that died in one was killed for it by a system-call filter, which counts as
    EPERM and is told by a trial KILLED.
    """

    def told(writer: int) -> None:
        def attempt(name: str, act: Callable[[], object]) -> None:
            os.write(writer, f"{name} {errno.EPERM}\n".encode())
            os.write(writer, f"{name} {outcome(name, act).errno}\n".encode())

        work(attempt)

    ended = in_child(told, flags)
    found = {name: int(number) for name, number in (line.split() for line in ended.output.decode().splitlines())}
    if ended.status < 0:
        found[KILLED] = errno.EPERM
    return tuple(Trial(name, number) for name, number in found.items())


def _user_namespace() -> tuple[Trial, ...]:
    """Make a user namespace and use its rights."""
    created = outcome("user", lambda: in_child(_nothing, process.CLONE_NEWUSER))
    if created.errno == errno.ENOSYS:  # clone3 is missing or hidden: what would unshare(2) say?
        refused = _reported(lambda attempt: attempt("unshare-user", lambda: process.unshare(process.CLONE_NEWUSER)))
        return (*refused, created)
    return (created,) if created.errno else (created, *_reported(_use_rights, process.CLONE_NEWUSER))


def _nothing(_: int) -> None:
    return


def _use_rights(attempt: Attempt) -> None:
    for name, flag in _NAMESPACES:
        attempt(name, lambda flag=flag: process.unshare(flag))  # type: ignore[misc]
    attempt("private", mount.make_private)
    attempt("tmpfs", _tmpfs)
    attempt("hostname", lambda: process.sethostname(b"jail"))
    attempt("no-nesting", lambda: files.write("/proc/sys/user/max_user_namespaces", "0"))
    attempt("proc", _proc_of_new_pid_namespace)


def _tmpfs() -> None:
    number = mount.new_filesystem(b"tmpfs", (("size", "4096"),), mount.NOSUID)
    try:
        mount.mount_setattr(number, mount.NODEV)
    finally:
        os.close(number)


def _proc_of_new_pid_namespace() -> None:
    """Mount a procfs where it would be mounted: by a process of the new pid namespace, which a fork enters."""
    status = in_child(_proc).status
    if status:
        raise OSError(status if status > 0 else errno.EPERM, "no procfs")


def _on_itself() -> tuple[Trial, ...]:
    """Restrict a child as a payload is restricted, with the rights of nobody."""
    return _reported(_restrict)


def _restrict(attempt: Attempt) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    attempt("rlimits", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 64), hard)))
    attempt("no-new-privs", lambda: process.prctl(process.PR_SET_NO_NEW_PRIVS, 1))
    if os.geteuid() != 0:
        attempt("capabilities", process.clear_capabilities)
    attempt("landlock", _landlock)
    attempt("seccomp", lambda: seccomp.load_filter(_ALLOW_ALL, False))
    attempt("notification", lambda: os.close(seccomp.load_filter(_ALLOW_ALL, True)))


def _landlock() -> None:
    version, refused = landlock.abi()
    if not version:
        raise OSError(refused, os.strerror(refused))
    ruleset = landlock.create_ruleset(_EXECUTE)
    landlock.restrict_self(ruleset)
    os.close(ruleset)
