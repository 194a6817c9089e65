"""Processes, credentials and namespaces: clone3(2), prctl(2), capset(2), unshare(2), pidfd_send_signal(2)."""

from __future__ import annotations

import ctypes
import sys

from jailpy.kernel import NUMBERS, call, fail, libc, syscall

CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x00020000
CLONE_PARENT = 0x00008000
CLONE_PIDFD = 0x00001000
CLONE_INTO_CGROUP = 0x200000000

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4

SECBIT_NOROOT = 0x1
SECBITS_LOCKED = 0xFF  # capabilities(7): noroot, no_setuid_fixup, keep_caps off, no_cap_ambient_raise, each with its lock bit
_SYS_clone3 = 435
_SYS_pidfd_open = 434
_SYS_pidfd_send_signal = 424
_CAPABILITY_VERSION_3 = 0x20080522
_SIGACTION, _SIGSET, _SIG_SETMASK = 32, 8, 2  # sizes of the kernel's own structures
_NO_LIMIT = (1 << 64) - 1
_KCMP_VM = 1

# Looked up once: a look-up in the child would be made, and its pages copied, at each clone.
_before_fork = ctypes.pythonapi.PyOS_BeforeFork
_after_fork_in_child = ctypes.pythonapi.PyOS_AfterFork_Child
_after_fork_in_parent = ctypes.pythonapi.PyOS_AfterFork_Parent


class _CloneArgs(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls",
            "set_tid", "set_tid_size", "cgroup",
        )
    ]  # fmt: skip


def clone3(flags: int, exit_signal: int = 17, cgroup: int | None = None, *, bare: bool = False) -> tuple[int, int]:
    """Fork with new namespaces, optionally straight into a cgroup v2 folder (a descriptor of it).

    With `bare` nothing is done that modules ask for at a fork (os.register_at_fork): for a child that runs none of their code.
    Returns (pid, pidfd) in the parent and (0, -1) in the child. The caller must have one thread (fork(2) from a threaded
    Python is unsafe). Raises OSError. See clone3(2); cgroup needs Linux 5.7.
    """
    pidfd = ctypes.c_int(-1)
    args = _CloneArgs(flags=flags | CLONE_PIDFD, pidfd=ctypes.addressof(pidfd), exit_signal=exit_signal)
    if cgroup is not None:
        args.flags |= CLONE_INTO_CGROUP
        args.cgroup = cgroup
    if not bare:
        _before_fork()
    pid = call(_SYS_clone3, ctypes.byref(args), ctypes.sizeof(args), 0, 0, 0, 0)
    if pid == 0:
        if not bare:
            _after_fork_in_child()
        return 0, -1
    error = fail("clone3") if pid == -1 else None
    if not bare:
        _after_fork_in_parent()
    if error:
        raise error
    return int(pid), pidfd.value


def unshare(flags: int) -> None:
    """Move the calling process into new namespaces. Raises OSError. See unshare(2)."""
    syscall(NUMBERS["unshare"], flags, what="unshare")


def setns(namespace: int, kind: int) -> None:
    """Move the calling process into the namespace of a descriptor. Raises OSError. See setns(2)."""
    if libc.setns(namespace, kind) == -1:
        raise fail("setns")


def prctl(option: int, arg2: int = 0, arg3: int = 0) -> int:
    """Call prctl(2). Raises OSError."""
    return syscall(NUMBERS["prctl"], option, arg2, arg3, what="prctl")


def drop_bounding_set(last: int) -> None:
    """Drop every capability from 0 to `last` from the bounding set. Raises OSError. See capabilities(7)."""
    for capability in range(last + 1):
        prctl(PR_CAPBSET_DROP, capability)


def clear_capabilities() -> None:
    """Empty the effective, permitted, inheritable and ambient sets. Raises OSError. See capset(2)."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    set_capabilities(0, 0, 0)


def permitted() -> int:
    """Return the permitted set as a mask. Raises OSError. See capget(2)."""
    header, sets = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    syscall(NUMBERS["capget"], header, sets, what="capget")
    return sets[1] | sets[4] << 32


def set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    """Set three sets, given as masks. What is no longer permitted and inheritable leaves the ambient set. Raises OSError."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    words = [mask >> shift & 0xFFFFFFFF for shift in (0, 32) for mask in (effective, permitted, inheritable)]
    syscall(NUMBERS["capset"], header, (ctypes.c_uint32 * 6)(*words), what="capset")


def keep_capabilities(mask: int) -> None:
    """Keep capabilities over execve(2), whatever the uid. Raises OSError. See capabilities(7), ambient set."""
    set_capabilities(mask, mask, mask)
    for capability in range(mask.bit_length()):
        if mask >> capability & 1:
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def sethostname(name: bytes) -> None:
    """Set the name of this uts namespace. Raises OSError. See sethostname(2)."""
    syscall(NUMBERS["sethostname"], name, len(name), what="sethostname")


def default_action(number: int) -> None:
    """Give a signal its default action. Raises OSError. See sigaction(2)."""
    syscall(NUMBERS["rt_sigaction"], number, bytes(_SIGACTION), None, _SIGSET, what="sigaction")


def unblock_signals() -> None:
    """Unblock every signal. Raises OSError. See sigprocmask(2)."""
    syscall(NUMBERS["rt_sigprocmask"], _SIG_SETMASK, bytes(_SIGSET), None, _SIGSET, what="sigprocmask")


def set_rlimit(resource: int, soft: int, hard: int) -> None:
    """Set a limit of this process; below 0 is unlimited. Raises OSError. See prlimit(2)."""
    limits = b"".join((value & _NO_LIMIT).to_bytes(8, sys.byteorder) for value in (soft, hard))
    syscall(NUMBERS["prlimit64"], 0, resource, limits, None, what="prlimit")


def pidfd_send_signal(pidfd: int, number: int) -> None:
    """Send a signal through a pidfd, which cannot hit a recycled pid. Raises OSError."""
    syscall(_SYS_pidfd_send_signal, pidfd, number, None, 0, what="pidfd_send_signal")


def pidfd_open(pid: int) -> int:
    """Return a pidfd of a process. Raises OSError. See pidfd_open(2)."""
    return syscall(_SYS_pidfd_open, pid, 0, what="pidfd_open")


def same_memory(pid: int, other: int) -> bool:
    """Say whether two processes have one memory between them, or both none. Raises OSError. See kcmp(2), KCMP_VM."""
    return syscall(NUMBERS["kcmp"], pid, other, _KCMP_VM, what="kcmp") == 0


def wipe(start: int, end: int, label: bytes = b"jailpy: init") -> None:
    """Zero this process's arguments and environment, which /proc/PID shows, and put a label in their place."""
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, label, min(len(label), end - start))
