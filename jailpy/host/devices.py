"""The block devices behind host paths, for limits of input and output. Parent side, no fork.

See Documentation/admin-guide/cgroup-v2.rst, "IO Interface Files": io.max takes whole devices, no partitions.
"""

from __future__ import annotations

import os

from jailpy.kernel import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs", "rootfs", "proc", "sysfs")


def behind(paths: Iterable[str], mounts: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the "MAJOR:MINOR" of each whole device behind some paths, and "PATH (FILESYSTEM)" where there is none to name.

    `mounts` are the lines of /proc/self/mountinfo. A filesystem in memory has no device and needs none. Raises OSError.
    """
    found: dict[str, None] = {}
    without: dict[str, None] = {}
    for path in paths:
        number = os.stat(path).st_dev
        kind = ""
        if not os.major(number):
            kind, number = _of_mount(os.path.realpath(path), mounts)
        if number:
            found[_whole(number)] = None
        elif kind not in _IN_MEMORY:
            without[f"{path} ({kind})"] = None
    return tuple(found), tuple(without)


def _of_mount(path: str, mounts: list[str]) -> tuple[str, int]:
    """Return the filesystem of the innermost mount around a path, and its device, 0 where it names none."""
    best, kind, source = "", "", ""
    for line in mounts:
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4]
        if (path + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
            best = point
            kind, source = after.split(" ")[:2]
    return kind, os.stat(source).st_rdev if source.startswith("/dev/") and os.path.exists(source) else 0


def _whole(number: int) -> str:
    """Return the device that a partition is a part of, as "MAJOR:MINOR"; any other device as it is."""
    name = f"{os.major(number)}:{os.minor(number)}"
    folder = f"/sys/dev/block/{name}"
    if os.path.exists(f"{folder}/partition"):
        return files.read(f"{os.path.dirname(os.path.realpath(folder))}/dev").strip()
    return name
