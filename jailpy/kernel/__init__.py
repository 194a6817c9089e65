"""Thin, typed system calls by ctypes: no policy, no decisions. Used on both sides of the fork.

Every function raises `OSError` with the kernel's errno. Numbers from 424 on are the same on every architecture; the older
ones stand in `NUMBERS`. What the child of a launch does goes through `syscall` and `python`, and so can be noted down in
place of being done (`Notes`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Notes(Protocol):
        """What takes note of calls (jailpy/child/recorder.py): `syscall` returns what the kernel would."""

        def syscall(self, words: tuple[Any, ...], gives: int, refused: int, /) -> int: ...
        def python(self, function: Callable[..., None], args: tuple[Any, ...], /) -> None: ...


ARCH = os.uname().machine
_NAMES = (
    "read", "write", "close", "openat", "mkdirat", "mknodat", "symlinkat", "fchmodat", "chdir", "fchdir", "chroot", "mount",
    "umount2", "pivot_root", "dup3", "fcntl", "prctl", "capget", "capset", "unshare", "sethostname", "rt_sigaction",
    "rt_sigprocmask", "prlimit64", "sendmsg", "seccomp", "getdents64", "kcmp", "rt_sigtimedwait", "wait4", "kill", "exit_group",
    "brk", "mmap", "munmap", "mremap", "madvise", "mprotect", "futex", "restart_syscall",
)  # fmt: skip
_BY_ARCH = {
    "x86_64": (
        0, 1, 3, 257, 258, 259, 266, 268, 80, 81, 161, 165, 166, 155, 292, 72, 157, 125, 126, 272, 170, 13, 14, 302, 46, 317,
        217, 312, 128, 61, 62, 231, 12, 9, 11, 25, 28, 10, 202, 219,
    ),
    "aarch64": (
        63, 64, 57, 56, 34, 33, 36, 53, 49, 50, 51, 40, 39, 41, 24, 25, 167, 90, 91, 97, 161, 134, 135, 261, 211, 277, 61,
        272, 137, 260, 129, 94, 214, 222, 215, 216, 233, 226, 98, 128,
    ),
}  # fmt: skip
NUMBERS = dict(zip(_NAMES, _BY_ARCH.get(ARCH, ()), strict=False))

NEW = -2  # for `gives`: the lowest free descriptor

libc = ctypes.CDLL(None, use_errno=True)
call = libc["syscall"]  # a function of its own: what is set here is not set for others
call.restype = ctypes.c_long
call.argtypes = (ctypes.c_void_p,) * 7  # takes integers, bytes, None and references as they are: no wrapping at each call
_NOTHING = (0,) * 6
_TRIES, _PAUSE_S = 5000, 0.001
_notes: list[Notes] = []


def fail(what: str = "") -> OSError:
    """Make the OSError of the last failed call. `what` is the path or the name that it was about."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), what or None)


def syscall(number: int, *args: object, what: str = "", gives: int = 0, refused: int = 0) -> int:
    """Call syscall(2) with integers, bytes, None or ctypes references. Raises OSError where it returns -1.

    `gives` says what it returns where it is noted down, to be made later. With `refused` the call must fail with that errno:
    -1 is returned then, and anything else is ENOTRECOVERABLE.
    """
    words = (number, *args, *_NOTHING[len(args) :])
    if _notes:
        return _notes[0].syscall(words, gives, refused)
    result: int = call(*words)
    if refused:
        see_refused(result, refused)
    elif result == -1:
        return _again(words, what)
    return result


def see_refused(result: int, wanted: int) -> None:
    """See that the last call failed, and with this errno. Raises OSError."""
    if result != -1:
        raise OSError(errno.ENOTRECOVERABLE, "what must be refused was allowed")
    if ctypes.get_errno() != wanted:
        raise fail()


def _again(words: tuple[Any, ...], what: str = "") -> int:
    """Make a call again that failed for a reason that passes. Raises the OSError of any other.

    That is ETOOMANYREFS: an account may have as many descriptors on their way as one process may have open.
    """
    for _ in range(_TRIES):
        if ctypes.get_errno() != errno.ETOOMANYREFS:
            break
        time.sleep(_PAUSE_S)
        result: int = call(*words)
        if result != -1:
            return result
    raise fail(what)


def not_as_noted(got: object, words: tuple[Any, ...], wanted: object) -> None:
    """Deal with a noted call that gave something else than was foreseen. Raises OSError, but where it only needs patience."""
    if got != -1 or _again(words) != wanted:
        raise OSError(errno.ENOTRECOVERABLE, "a system call gave what was not foreseen")


def python(function: Callable[..., None], *args: object) -> None:
    """Call a function that returns nothing, and leaves the descriptors of its process as they are."""
    if _notes:
        _notes[0].python(function, args)
    else:
        function(*args)


def note(notes: Notes | None) -> None:
    """Have calls noted down from now on; None: have them made again."""
    _notes[:] = [notes] if notes else []
