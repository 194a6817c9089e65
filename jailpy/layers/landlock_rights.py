"""Landlock rights as bit sets: which ones a kernel's ABI knows, which ones a kind of path gets. Parent side, pure.

The bits come from py-landlock; its import costs more than a jail, so they are kept on disk as marshal data. What is
newer than the library stands in `_NEWER`. Everything is clamped to the ABI asked for: a kernel refuses a bit that it
does not know. See landlock(7) and the kernel's Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

from jailpy import cache
from jailpy.errors import HostError, ProfileError
from jailpy.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Rights = dict[str, dict[str, tuple[int, int]]]

_FIRST_ABI = 1
# Linux 7.1: connect() to a pathname socket that was made outside the domain. Linux 7.2: UDP ports.
_NEWER: Rights = {
    "fs": {"resolve_unix": (1 << 16, 9)},
    "net": {"bind_udp": (1 << 2, 10), "connect_send_udp": (1 << 3, 10)},
    "scope": {},
}
_READ = ("read_file", "read_dir")
_WRITE = (
    "write_file", "truncate", "remove_dir", "remove_file", "make_dir", "make_reg", "make_sock", "make_fifo", "make_sym",
    "refer",
)  # fmt: skip
_ON_FILE = ("execute", "write_file", "read_file", "truncate", "ioctl_dev", "resolve_unix")
_DEVICE = ("read_file", "write_file", "truncate", "ioctl_dev")
# What a right guards, the layers that guard it as well, and how they do.
_COVERED: dict[str, tuple[str, tuple[str, ...], str]] = {
    "refer": ("renames and links between folders", ("mount",), "every writable folder being a mount of its own"),
    "truncate": ("truncation", ("mount",), "read-only mounts"),
    "bind_tcp": ("TCP ports", ("net",), "the network namespace"),
    "connect_tcp": ("TCP connections", ("net",), "the network namespace"),
    "ioctl_dev": ("ioctl on devices", ("seccomp", "mount"), "the filter's list of ioctl requests and a minimal /dev"),
    "abstract_unix_socket": ("abstract Unix sockets", ("net",), "the network namespace"),
    "signal": ("signals", ("pid",), "the pid namespace"),
    "resolve_unix": (
        "pathname Unix sockets",
        ("mount", "seccomp"),
        "a view without socket folders, and the filter",
    ),
    "bind_udp": ("UDP ports", ("net",), "the network namespace"),
    "connect_send_udp": ("UDP datagrams", ("net",), "the network namespace"),
}


class Handled(Frozen):
    """What a ruleset refuses unless a rule allows it: the three fields of struct landlock_ruleset_attr."""

    fs: int
    net: int
    scoped: int


def handled(abi: int, network: bool = True) -> Handled:
    """Return every right and scope that this ABI knows; without `network`, no ports (none of which gets a rule)."""
    return Handled(_all("fs", abi), _all("net", abi) if network else 0, _all("scope", abi))


def read_only(abi: int, execute: bool) -> int:
    """Return the rights of a folder that may be read, and executed from where `execute` says so."""
    return _some((*_READ, "execute") if execute else _READ, abi)


def system(abi: int) -> int:
    """Return the rights of the system's own folders (/usr and its like): to read, to execute and to truncate.

    Truncation is left to their read-only mounts and their owner, who is nobody in the jail. open(2) asks for the right
    to truncate beside that to read, and where no rule has it, walks on to the root: a fifth of what Landlock costs.
    """
    return read_only(abi, execute=True) | _some(("truncate",), abi)


def writable(abi: int, execute: bool) -> int:
    """Return the rights of a folder that may be changed: all but device nodes, device ioctl and foreign sockets."""
    return read_only(abi, execute) | _some(_WRITE, abi)


def device(abi: int) -> int:
    """Return the rights of a device node: `> /dev/null` truncates, and a terminal needs ioctl."""
    return _some(_DEVICE, abi)


def on_file(access: int) -> int:
    """Return what of these rights a rule on a single file may hold; the kernel refuses the others there (EINVAL)."""
    return access & sum(bit for name, (bit, _) in _rights()["fs"].items() if name in _ON_FILE)


def bits(names: Iterable[str]) -> int:
    """Return file rights by their names ("make_sock"). Raises ProfileError with every name that is none."""
    known = _rights()["fs"]
    names = set(names)
    problems = [f"landlock.drop: {name!r} is no right: {', '.join(known)}" for name in sorted(names - known.keys())]
    if problems:
        raise ProfileError("the profile's Landlock rights cannot be used", problems)
    return sum(known[name][0] for name in names)


def missing(abi: int) -> tuple[tuple[str, str], ...]:
    """Return what this ABI cannot restrict, each with what does so instead, in words."""
    return tuple((guards, how) for name in _lacking(abi) for guards, _, how in (_COVERED[name],))


def covering_layers(abi: int) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the rights that this ABI lacks, each with the layers that must be enforced for it to count as covered."""
    return tuple((name, _COVERED[name][1]) for name in _lacking(abi))


def _lacking(abi: int) -> tuple[str, ...]:
    since = {name: first for kind in _rights().values() for name, (_, first) in kind.items()}
    return tuple(name for name in _COVERED if since[name] > abi)


def _all(kind: str, abi: int) -> int:
    return sum(bit for bit, first in _rights()[kind].values() if first <= abi)


def _some(names: Iterable[str], abi: int) -> int:
    known = _rights()["fs"]
    return sum(known[name][0] for name in names if known[name][1] <= abi)


_loaded: list[Rights] = []


def _rights() -> Rights:
    """Return name -> (bit, first ABI) for each kind, from memory, the cache on disk, or py-landlock."""
    if not _loaded:
        found: Any = cache.load("landlock", "rights")
        if found is None or any(cache.stamp(path) != stamp for path, stamp in found[0]):
            path, rights = _from_library()
            found = [(source, cache.stamp(source)) for source in (path, __file__)], rights
            cache.store("landlock", "rights", found)
        _loaded.append(found[1])
    return _loaded[0]


def _from_library() -> tuple[str, Rights]:
    """Return the library's file, and its rights together with the newer ones."""
    try:
        import py_landlock
        from py_landlock import abi
    except ImportError as error:
        raise HostError("py-landlock is missing: no ruleset can be made", hints=["pip install py-landlock"]) from error
    known = {
        "fs": _first_abis(py_landlock.AccessFs, abi.get_supported_fs, abi.MAX_KNOWN_ABI),
        "net": _first_abis(py_landlock.AccessNet, abi.get_supported_net, abi.MAX_KNOWN_ABI),
        "scope": _first_abis(py_landlock.Scope, abi.get_supported_scope, abi.MAX_KNOWN_ABI),
    }
    return abi.__file__, {kind: _NEWER[kind] | names for kind, names in known.items()}


def _first_abis(flags: Any, supported: Any, last: int) -> dict[str, tuple[int, int]]:
    """Return name -> (bit, the first ABI that has it)."""
    return {
        flag.name.lower(): (int(flag), next(abi for abi in range(_FIRST_ABI, last + 1) if flag in supported(abi)))
        for flag in flags
    }
