"""The three system calls of Landlock, raw: landlock(7). Used on both sides of the fork, no policy.

Rights are bit sets that jailpy/layers/landlock_rights.py computes; the numbers of the calls are the same on every
architecture.
"""

from __future__ import annotations

import ctypes
import errno

from jailpy.kernel import NEW, syscall

_SYS_create_ruleset = 444
_SYS_add_rule = 445
_SYS_restrict_self = 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_RULE_NET_PORT = 2


class _RulesetAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("handled_access_fs", "handled_access_net", "scoped")]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


class _NetPort(ctypes.Structure):
    _fields_ = [("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64)]


def abi() -> tuple[int, int]:
    """Return (version, 0) of the kernel's Landlock, or (0, errno) where it has none.

    errno is ENOSYS where the kernel was built without it (or a container's filter hides it), EOPNOTSUPP where it is
    switched off at boot.
    """
    try:
        return syscall(_SYS_create_ruleset, None, 0, _CREATE_RULESET_VERSION, what="landlock"), 0
    except OSError as error:
        return 0, error.errno or errno.ENOSYS


def create_ruleset(handled_fs: int, handled_net: int = 0, scoped: int = 0) -> int:
    """Return the descriptor (close-on-exec) of a new ruleset that refuses the handled rights but where a rule allows.

    The structure is passed only as far as it says something: a kernel refuses one that is longer than it knows and not
    zero there (E2BIG). Raises OSError: EINVAL for rights this ABI lacks.
    """
    attributes = _RulesetAttr(handled_fs, handled_net, scoped)
    size = 24 if scoped else 16 if handled_net else 8
    return syscall(_SYS_create_ruleset, ctypes.byref(attributes), size, 0, what="create_ruleset", gives=NEW)


def add_path(ruleset: int, parent: int, access: int) -> None:
    """Allow rights on a file or below a folder, named by a descriptor (O_PATH will do).

    Raises OSError: EINVAL for rights that the ruleset does not handle or that do not fit a file.
    """
    rule = _PathBeneath(access, parent)
    syscall(_SYS_add_rule, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0, what="add_rule")


def add_port(ruleset: int, port: int, access: int) -> None:
    """Allow TCP rights on one port (ABI 4). Raises OSError."""
    rule = _NetPort(access, port)
    syscall(_SYS_add_rule, ruleset, _RULE_NET_PORT, ctypes.byref(rule), 0, what="add_rule")


def restrict_self(ruleset: int, flags: int = 0) -> None:
    """Put the calling thread, and all that it starts, under the ruleset. Needs no_new_privs.

    Raises OSError: EPERM without no_new_privs, E2BIG beyond 16 nested rulesets.
    """
    syscall(_SYS_restrict_self, ruleset, flags, what="restrict_self")
