"""What a process and all that it started hold: memory, descriptors, processes, cgroups. Runs in the process of the caller."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benchmarks.common import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable

CGROUPS = "/sys/fs/cgroup"
_seen: set[int] = set()


def family(pid: int) -> list[int]:
    """Return a process and everything below it."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            parent = _parent(int(name))
            children.setdefault(parent, []).append(int(name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, []))
    return found


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return -1  # ended meanwhile


def pss(pid: int) -> int:
    """Return bytes of memory in proportional shares (proc_pid_smaps(5)); 0 where it has ended. Raises UnavailableError."""
    return _field(pid, "smaps_rollup", "Pss:")


def rss(pid: int) -> int:
    """Return resident bytes (proc_pid_status(5))."""
    return _field(pid, "status", "VmRSS:")


def _field(pid: int, name: str, field: str) -> int:
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith(field)), 0)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except PermissionError:
        raise UnavailableError(f"/proc/PID/{name} of a jail's processes is readable for root only") from None


def descriptors(pid: int) -> int:
    """Return how many descriptors are open. Raises UnavailableError."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except PermissionError:
        raise UnavailableError("/proc/PID/fd of a jail's processes is readable for root only") from None


def cgroups(pids: Iterable[int]) -> int:
    """Count the groups that JailPy made for runs of these processes, which their names begin with."""
    prefixes = tuple(f"jailpy-{pid}-" for pid in pids)
    return sum(name.startswith(prefixes) for _, folders, _ in os.walk(CGROUPS) for name in folders)


def held() -> dict[str, int]:
    """Return what this process and everything below it hold; groups also of those that were here at an earlier look.

    Raises UnavailableError.
    """
    pids = family(os.getpid())
    _seen.update(pids)
    return {
        "processes": len(pids),
        "descriptors": sum(map(descriptors, pids)),
        "cgroups": cgroups(_seen),
        "memory_bytes": sum(map(rss, pids)),
    }


def total_pss() -> int:
    """Return the memory of this process and everything below it."""
    return sum(map(pss, family(os.getpid())))
