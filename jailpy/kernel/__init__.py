"""Thin, typed system calls by ctypes: no policy, no decisions. Used on both sides of the fork.

Every function raises `OSError` with the kernel's errno. Numbers from 424 on are the same on every architecture; the few
older ones that libc does not wrap stand in `NUMBERS`.
"""

from __future__ import annotations

import ctypes
import os

ARCH = os.uname().machine

NUMBERS = {
    "x86_64": {"pivot_root": 155, "capget": 125, "capset": 126, "seccomp": 317, "getdents64": 217},
    "aarch64": {"pivot_root": 41, "capget": 90, "capset": 91, "seccomp": 277, "getdents64": 61},
}.get(ARCH, {})

libc = ctypes.CDLL(None, use_errno=True)
_syscall = libc["syscall"]  # a function of its own: what is set here is not set for others
_syscall.restype = ctypes.c_long
_syscall.argtypes = (ctypes.c_void_p,) * 7  # takes integers, bytes, None and references as they are: no wrapping at each call
_NOTHING = (0,) * 6


def fail(what: str = "") -> OSError:
    """Make the OSError of the last failed call. `what` is the path or the name that it was about."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), what or None)


def syscall(number: int, *args: object, what: str = "") -> int:
    """Call syscall(2) with integers, bytes, None or ctypes references. Raises OSError where it returns -1."""
    result = _syscall(number, *args, *_NOTHING[len(args) :])
    if result == -1:
        raise fail(what)
    return int(result)
