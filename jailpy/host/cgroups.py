"""Where this account can make cgroups: its own delegated group, an ancestor, or a folder made for it. Parent side, no fork.

Version 2 first; version 1 and hybrid hierarchies where a folder is writable (root, or one that an administrator made:
`jailpy-UID` at the top of each hierarchy, owned by the user). See cgroups(7) and Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import os

from jailpy.frozen import Frozen
from jailpy.kernel import files

WANTED = ("memory", "pids", "cpu", "io")
SCOPE = "the run's systemd user scope"
_ENOUGH = frozenset(("memory", "pids"))
_V1_WANTED = ("memory", "pids", "cpu", "cpuacct")
Hierarchy = tuple[str, str, tuple[str, ...], int]


class Base(Frozen):
    """A folder in which a cgroup can be made for each run, and the controllers that it then has."""

    path: str
    controllers: tuple[str, ...]
    version: int


class CgroupFacts(Frozen):
    """`bases` are where a run's cgroups go. `own` is the version 2 group that the caller occupies, if it is writable.

    `via` says what the launcher does first: "" nothing, "leaf" moves itself to a leaf of its own group, "scope" asks the
    systemd user manager for a delegated scope (the base is then called SCOPE). `missing` names controllers that nobody
    gives, each with the reason.
    """

    bases: tuple[Base, ...]
    own: str
    via: str
    missing: tuple[tuple[str, str], ...]

    def has(self, controller: str) -> bool:
        """Say whether a run's cgroup will have this controller. CPU time ("cpuacct") any version 2 group counts."""
        return any(controller in base.controllers or (controller == "cpuacct" and base.version == 2) for base in self.bases)


def _memberships() -> dict[str, str]:
    """Map "" (version 2) and each version 1 controller to the caller's path in its hierarchy."""
    found = {}
    for line in files.read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        found.update(dict.fromkeys(controllers.split(","), path))
    return found


def hierarchies(mounts: list[str]) -> list[Hierarchy]:
    """Return (mount point, root within the hierarchy, controllers, version) of each cgroup mount."""
    found = []
    for line in mounts:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            root, point = before.split(" ")[3:5]
            named = tuple(name for name in options.split(",") if name in _V1_WANTED)
            found.append((point, root, named, 1 if kind == "cgroup" else 2))
    return found


def _inside(point: str, root: str, path: str) -> str | None:
    """Return the folder of a cgroup path as this mount shows it, None where it does not."""
    if root != "/":
        if path != root and not path.startswith(root + "/"):
            return None
        path = path[len(root) :] or "/"
    return (point + path).rstrip("/") or "/"


def writable(folder: str) -> bool:
    """Say whether this account can make a cgroup in a folder and move a process there."""
    return os.access(folder, os.W_OK) and os.access(f"{folder}/cgroup.procs", os.W_OK)


def _controllers(folder: str) -> tuple[str, ...]:
    return tuple(files.read(f"{folder}/cgroup.subtree_control").split())


def _version2(point: str, root: str, path: str) -> tuple[Base | None, str]:
    """Find the nearest writable ancestor whose children have controllers; also name the own group if that is writable."""
    own = _inside(point, root, path)
    folder, best = own, None
    while folder and folder.startswith(point) and writable(folder):
        enabled = _controllers(folder)
        if best is None or ({"memory", "pids"} <= set(enabled) and not {"memory", "pids"} <= set(best.controllers)):
            best = Base(folder, tuple(name for name in WANTED if name in enabled), 2)
        folder = os.path.dirname(folder)
    return best, own if own and writable(own) else ""


def _version1(point: str, root: str, controllers: tuple[str, ...], path: str, euid: int) -> Base | None:
    own = _inside(point, root, path)
    made = f"{point}/jailpy-{euid}"
    for folder in (own, made):
        if folder and writable(folder):
            return Base(folder, controllers, 1)
    return None


def bus_path(uid: int) -> str:
    """Return the socket of a user manager's D-Bus (user@.service(5))."""
    return f"/run/user/{uid}/bus"


def discover(mounts: list[str], euid: int) -> CgroupFacts:
    """Look for folders to make cgroups in. `mounts` are the lines of /proc/self/mountinfo."""
    memberships = _memberships()
    bases: list[Base] = []
    own = ""
    taken: set[str] = set()
    for point, root, controllers, version in sorted(hierarchies(mounts), key=lambda found: -found[3]):
        base: Base | None = None
        if version == 2:
            if bases:
                continue
            base, own = _version2(point, root, memberships.get("", "/"))
            taken |= {"cpuacct"} if base else set()
        elif set(controllers) - taken:
            base = _version1(point, root, controllers, memberships.get(controllers[0], "/"), euid)
        if base:
            bases.append(base)
            taken |= set(controllers)
    found, via = _enough(tuple(bases), own, euid)
    given = {name for base in found for name in base.controllers}
    given |= {"cpuacct"} if any(base.version == 2 for base in found) else set()
    missing = tuple((name, _why_missing(name, own)) for name in ("memory", "pids", "cpuacct", "cpu") if name not in given)
    return CgroupFacts(found, own, via, missing)


def _enough(bases: tuple[Base, ...], own: str, euid: int) -> tuple[tuple[Base, ...], str]:
    """Where the folders found lack a controller: the own group if the launcher is alone there, else a fresh scope."""
    if {name for base in bases for name in base.controllers} >= _ENOUGH:
        return bases, ""
    if own and files.read(f"{own}/cgroup.procs").split() == [str(os.getpid())]:
        offered = files.read(f"{own}/cgroup.controllers").split()
        if set(offered) >= _ENOUGH:
            return (Base(own, tuple(name for name in WANTED if name in offered), 2),), "leaf"
    offered = _scope_controllers(euid)
    if set(offered) >= _ENOUGH:
        return (Base(SCOPE, tuple(name for name in WANTED if name in offered), 2),), "scope"
    return bases, ""


def _scope_controllers(euid: int) -> list[str]:
    """Return the controllers that the user manager may pass on, [] where there is no such manager."""
    manager = f"/sys/fs/cgroup/user.slice/user-{euid}.slice/user@{euid}.service/cgroup.controllers"
    if not os.path.exists(bus_path(euid)) or not os.path.exists(manager):
        return []
    return files.read(manager).split()


def _why_missing(controller: str, own: str) -> str:
    if own:
        return f"other processes occupy the delegated group {own}, so the {controller} controller cannot be enabled below it"
    return f"no cgroup with the {controller} controller is writable by this account"
