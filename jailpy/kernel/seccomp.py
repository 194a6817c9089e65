"""System-call filters and their notifications: seccomp(2), seccomp_unotify(2). Used on both sides of the fork.

The child loads the program, the supervisor answers what it reports. No policy: programs come ready-made from
jailpy/layers/seccomp_filter.py.
"""

from __future__ import annotations

import ctypes
import errno

from jailpy.frozen import Frozen
from jailpy.kernel import NEW, NUMBERS, call, fail, libc, syscall

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ARCH_NAMES = {number: name for name, number in AUDIT_ARCH.items()}

RET_KILL_PROCESS = 0x80000000
RET_ERRNO = 0x00050000
RET_USER_NOTIF = 0x7FC00000
RET_ALLOW = 0x7FFF0000

_SET_MODE_FILTER = 1
_GET_ACTION_AVAIL = 2
_GET_NOTIF_SIZES = 3
_FILTER_FLAG_NEW_LISTENER = 1 << 3
_FILTER_FLAG_WAIT_KILLABLE_RECV = 1 << 5
_NOTIF_FLAG_CONTINUE = 1
_INSTRUCTION = 8


class _SockFprog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


class _Data(ctypes.Structure):
    _fields_ = [
        ("nr", ctypes.c_int32),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("args", ctypes.c_uint64 * 6),
    ]


class _Notif(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint64), ("pid", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("data", _Data)]


class _Response(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint64), ("val", ctypes.c_int64), ("error", ctypes.c_int32), ("flags", ctypes.c_uint32)]


class _Sizes(ctypes.Structure):
    _fields_ = [("notif", ctypes.c_uint16), ("response", ctypes.c_uint16), ("data", ctypes.c_uint16)]


_IOCTL_RECV = 0xC0502100
_IOCTL_SEND = 0xC0182101
_IOCTL_ID_VALID = 0x40082102


class Notification(Frozen):
    """One call that waits for an answer, which names its `id`. `pid` is in the reader's pid namespace, or 0."""

    id: int
    pid: int
    arch: int
    number: int
    args: tuple[int, ...]


def load_filter(program: bytes, listener: bool) -> int:
    """Load a classic BPF program as this thread's filter; with `listener`, return the descriptor of its notifications.

    Returns 0 without one. The descriptor is close-on-exec. The caller has set no_new_privs already. With a listener
    WAIT_KILLABLE_RECV is asked for where the kernel (5.19) has it: without it a signal
    to the payload breaks off a call that is being answered, which is then made and reported a second time.
    Raises OSError: EBUSY where a listener exists already, EINVAL for a program that the kernel refuses.
    See seccomp(2), Linux 5.5.
    """
    fprog = _SockFprog(len(program) // _INSTRUCTION, program)
    flags = _listener_flags() if listener else 0
    gives = NEW if listener else 0
    return syscall(NUMBERS["seccomp"], _SET_MODE_FILTER, flags, ctypes.byref(fprog), what="seccomp", gives=gives)


def _listener_flags() -> int:
    """Return the flags for a listener that this kernel knows: it says EFAULT to no program, but EINVAL to an unknown flag."""
    if not _known_flags:
        flags = _FILTER_FLAG_NEW_LISTENER | _FILTER_FLAG_WAIT_KILLABLE_RECV
        call(NUMBERS["seccomp"], _SET_MODE_FILTER, flags, None, 0, 0, 0)
        _known_flags.append(_FILTER_FLAG_NEW_LISTENER if ctypes.get_errno() == errno.EINVAL else flags)
    return _known_flags[0]


def action_available(action: int) -> bool:
    """Tell whether this kernel knows a filter action, such as `RET_USER_NOTIF` (Linux 5.0)."""
    wanted = ctypes.c_uint32(action)
    try:
        syscall(NUMBERS["seccomp"], _GET_ACTION_AVAIL, 0, ctypes.byref(wanted), what="seccomp")
    except OSError:
        return False
    return True


def notification_sizes() -> tuple[int, int]:
    """Return the kernel's sizes in bytes of a notification and of an answer. Raises OSError."""
    sizes = _Sizes()
    syscall(NUMBERS["seccomp"], _GET_NOTIF_SIZES, 0, ctypes.byref(sizes), what="seccomp")
    return sizes.notif, sizes.response


def receive(descriptor: int) -> Notification | None:
    """Take the next waiting call of a listener; blocks where there is none. None where its caller died meanwhile.

    Raises OSError. See seccomp_unotify(2), SECCOMP_IOCTL_NOTIF_RECV.
    """
    buffer = ctypes.create_string_buffer(max(_sizes()[0], ctypes.sizeof(_Notif)))
    if not _ioctl(descriptor, _IOCTL_RECV, buffer):
        return None
    found = _Notif.from_buffer(buffer)
    return Notification(found.id, found.pid, found.data.arch, found.data.nr, tuple(found.data.args))


def respond(descriptor: int, cookie: int, error: int) -> bool:
    """Answer a call with an errno (positive); it is not made. False where its caller died meanwhile. Raises OSError."""
    if error <= 0:
        raise ValueError(f"an answer needs an errno above 0, not {error}")
    return _send(descriptor, _Response(id=cookie, error=-error))


def let_through(descriptor: int, cookie: int) -> bool:
    """Let the kernel make the call as it stands (SECCOMP_USER_NOTIF_FLAG_CONTINUE). False where its caller died.

    Never for a decision that hangs on memory a pointer names: the payload can change it afterwards. Raises OSError.
    """
    return _send(descriptor, _Response(id=cookie, flags=_NOTIF_FLAG_CONTINUE))


def id_valid(descriptor: int, cookie: int) -> bool:
    """Tell whether the caller behind a notification still waits for its answer. Raises OSError."""
    return _ioctl(descriptor, _IOCTL_ID_VALID, ctypes.byref(ctypes.c_uint64(cookie)))


def _send(descriptor: int, response: _Response) -> bool:
    buffer = ctypes.create_string_buffer(bytes(response), max(_sizes()[1], ctypes.sizeof(_Response)))
    return _ioctl(descriptor, _IOCTL_SEND, buffer)


def _ioctl(descriptor: int, request: int, argument: object) -> bool:
    """Call ioctl(2), again after a signal. False where the kernel says ENOENT: the notification is gone."""
    while libc.ioctl(ctypes.c_int(descriptor), ctypes.c_ulong(request), argument) == -1:
        number = ctypes.get_errno()
        if number == errno.ENOENT:
            return False
        if number != errno.EINTR:
            raise fail("seccomp notification")
    return True


_known_sizes: list[tuple[int, int]] = []
_known_flags: list[int] = []


def _sizes() -> tuple[int, int]:
    """Return `notification_sizes()`, asked once: one kernel has one answer."""
    if not _known_sizes:
        _known_sizes.append(notification_sizes())
    return _known_sizes[0]
