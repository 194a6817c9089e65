"""Where this account can make cgroups: in a group delegated to it, or in a folder made for it. Parent side, no fork.

Version 2 first; version 1 and hybrid hierarchies where a folder is writable (root, or one that an administrator made:
`jailpy-UID` at the top of each hierarchy, owned by the user). A group that systemd manages is not used even where it can
be written: systemd takes controllers away from it at any time, and the limits in it are gone without an error
(docs/adr/0003). See cgroups(7), Documentation/admin-guide/cgroup-v2.rst, systemd's "Control Group APIs and Delegation".
"""

from __future__ import annotations

import os

from jailpy.frozen import Frozen
from jailpy.kernel import files

WANTED = ("memory", "pids", "cpu", "io")
SCOPE = "the run's systemd scope"
_SYSTEMD = "/run/systemd/system"
_UNITS = (".service", ".scope", ".slice")
_ENOUGH = frozenset(("memory", "pids"))
_AROUND = ("memory.max", "memory.high", "pids.max")
_V1_WANTED = ("memory", "pids", "cpu", "cpuacct")
Hierarchy = tuple[str, str, tuple[str, ...], int]


class Base(Frozen):
    """A folder in which a cgroup can be made for each run, and the controllers that it then has."""

    path: str
    controllers: tuple[str, ...]
    version: int


class CgroupFacts(Frozen):
    """`bases` are where a run's cgroups go. `own` is the delegated version 2 group around the caller.

    `via` says what the launcher does first: "" nothing, "enable" enables the controllers in the base, "leaf" moves itself
    to a leaf of its own group before that, "scope" asks systemd for a delegated scope (the base is then called SCOPE).
    `missing` names controllers that nobody gives, each with the reason. `around` are the limits of the groups around the
    base: (file, value, folder), the lowest for each file.
    """

    bases: tuple[Base, ...]
    own: str
    via: str
    missing: tuple[tuple[str, str], ...]
    around: tuple[tuple[str, int, str], ...] = ()

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
    """Return (mount point, root within the hierarchy, controllers, version) of each cgroup mount that is not mounted over."""
    found: dict[str, Hierarchy] = {}
    for line in mounts:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            root, point = before.split(" ")[3:5]
            named = tuple(name for name in options.split(",") if name in _V1_WANTED)
            found[point] = (point, root, named, 1 if kind == "cgroup" else 2)
    return list(found.values())


def _inside(point: str, root: str, path: str) -> str | None:
    """Return the folder of a cgroup path as this mount shows it, None where it does not."""
    if root != "/":
        if path != root and not path.startswith(root + "/"):
            return None
        path = path[len(root) :] or "/"
    return (point + path).rstrip("/") or "/"


def folder_of_own() -> str:
    """Return the folder of the version 2 group that this process is in now, "" where no mount shows it. Raises OSError."""
    mounts = files.mounts()
    path = _memberships().get("", "/")
    shown = (_inside(point, root, path) for point, root, _, version in hierarchies(mounts) if version == 2)
    return next((folder for folder in shown if folder), "")


def writable(folder: str) -> bool:
    """Say whether this account can make a cgroup in a folder and move a process there."""
    return os.access(folder, os.W_OK) and os.access(f"{folder}/cgroup.procs", os.W_OK)


def _words(folder: str, file: str) -> list[str]:
    """Return the words of a file of a group; [] where it is not there, or the group is gone (ENODEV)."""
    try:
        return files.read(f"{folder}/{file}").split()
    except OSError:
        return []


def _marked(folder: str) -> bool:
    """Say whether systemd marks a unit's group as delegated: by an attribute (251 and later), or in a transient unit's file."""
    for name in ("user.delegate", "trusted.delegate"):
        try:
            if os.getxattr(folder, name) == b"1":
                return True
        except OSError:
            continue
    unit = os.path.basename(folder)
    folders = ("/run/systemd/transient", f"/run/user/{os.geteuid()}/systemd/transient")
    return any(_says_delegate(f"{place}/{unit}") for place in folders)


def _says_delegate(path: str) -> bool:
    try:
        lines = files.read(path).splitlines()
    except OSError:
        return False
    return any(line.startswith("Delegate=") and line not in ("Delegate=no", "Delegate=") for line in lines)


def _delegated(point: str, own: str) -> tuple[str, ...]:
    """Return the caller's own group and those above it that are delegated to this account, nearest first."""
    systemd, folder, found = os.path.exists(_SYSTEMD), own, []
    while folder.startswith(point) and writable(folder):
        found.append(folder)
        if systemd and (folder.endswith(_UNITS) or folder == point):
            return tuple(found) if _is_ours(folder, point) else ()
        folder = os.path.dirname(folder)
    return tuple(found) if found and not (systemd and "/user@" in found[-1]) else ()


def _is_ours(unit: str, point: str) -> bool:
    """Say whether a group of systemd's is delegated to this account; a manager's own groups are for its units alone."""
    if unit.endswith(".slice") or os.path.basename(unit).startswith("user@"):
        return False
    handed_over = os.geteuid() != 0 and unit != point and "/user@" not in unit  # systemd chowns only what it delegates
    return handed_over or _marked(unit)


def _is_free(folder: str) -> bool:
    """Say whether a group may give controllers to its children: the real root, or one without processes."""
    return not os.path.exists(f"{folder}/cgroup.type") or not _words(folder, "cgroup.procs")


def _is_leaf(folder: str) -> bool:
    """Say whether a launcher made this group for itself (`enter_leaf` in launcher/cgroups.py): it would go deeper each time."""
    name = os.path.basename(folder)
    return name.startswith("jailpy-") and name.endswith("-0")


def _version2(folders: tuple[str, ...], enough: frozenset[str]) -> tuple[Base | None, str]:
    """Choose the nearest delegated group that can divide itself; the own one also if the launcher is alone there."""
    for folder in folders:
        enabled, offered = _words(folder, "cgroup.subtree_control"), _words(folder, "cgroup.controllers")
        base = _base(folder, offered)
        if set(enabled) >= enough or (set(offered) >= enough and _is_free(folder)):
            return base, "" if set(base.controllers) <= set(enabled) else "enable"
        alone = folder == folders[0] and _words(folder, "cgroup.procs") == [str(os.getpid())]
        if set(offered) >= enough and alone and not _is_leaf(folder):
            return base, "leaf"
    return None, ""


def _base(folder: str, controllers: list[str]) -> Base:
    return Base(folder, tuple(name for name in WANTED if name in controllers), 2)


def _partial(folders: tuple[str, ...]) -> Base | None:
    """Choose the nearest group, for what its children have without anything being changed."""
    return _base(folders[0], _words(folders[0], "cgroup.subtree_control")) if folders else None


def _version1(point: str, root: str, controllers: tuple[str, ...], path: str, euid: int) -> Base | None:
    own = _inside(point, root, path)
    made = f"{point}/jailpy-{euid}"
    for folder in (own, made):
        if folder and writable(folder):
            return Base(folder, controllers, 1)
    return None


def bus_path(uid: int) -> str:
    """Return the D-Bus socket of the systemd that this account may ask: its user manager's (user@.service(5)), or root's."""
    return f"/run/user/{uid}/bus" if uid else "/run/dbus/system_bus_socket"


def manager(point: str, uid: int) -> str:
    """Return the group below which that systemd makes scopes."""
    return f"{point}/user.slice/user-{uid}.slice/user@{uid}.service" if uid else point


def _scope_controllers(point: str, euid: int) -> list[str]:
    """Return the controllers that a scope may have, [] where nobody can be asked for one or it could not be used."""
    folder = manager(point, euid)
    if not os.path.exists(_SYSTEMD) or not os.path.exists(bus_path(euid)) or not writable(folder):
        return []
    return _words(folder, "cgroup.controllers")


def _divisible(folders: tuple[str, ...]) -> str:
    """Name the nearest delegated group that has what there is to pass on, else the caller's own."""
    having = [folder for folder in folders if set(_words(folder, "cgroup.controllers")) >= _ENOUGH]
    return next(iter(having or folders), "")


class _Found:
    """What is found of the hierarchies, one after the other."""

    def __init__(self) -> None:
        self.bases: list[Base] = []
        self.taken: set[str] = set()
        self.own = self.point = self.via = ""

    def version2(self, point: str, root: str, path: str, euid: int) -> None:
        self.point = point
        own = _inside(point, root, path) or ""
        folders = _delegated(point, own) if own else ()
        self.own = _divisible(folders)
        base = self._whole(folders, euid) or _partial(folders) or _beside_version1(point, own)
        if base:
            self.bases.append(base)
            self.taken |= {*base.controllers, "cpuacct"}

    def _whole(self, folders: tuple[str, ...], euid: int) -> Base | None:
        """Find a base with memory and pids, or with what of them this kernel has."""
        enough = _ENOUGH & set(_words(self.point, "cgroup.controllers"))
        if not enough:
            return None
        base, self.via = _version2(folders, enough)
        offered = [] if base else _scope_controllers(self.point, euid)
        if set(offered) >= enough:
            base, self.via = _base(SCOPE, offered), "scope"
        return base

    def version1(self, hierarchy: Hierarchy, path: str, euid: int) -> None:
        point, root, controllers, _ = hierarchy
        base = _version1(point, root, controllers, path, euid) if set(controllers) - self.taken else None
        if base:
            self.bases.append(base)
            self.taken |= set(controllers)


def _beside_version1(point: str, own: str) -> Base | None:
    """Use a writable group of a tree that has no controllers (a hybrid host's): there is none that systemd could take away."""
    return _base(own, []) if own and writable(own) and not _words(point, "cgroup.controllers") else None


def discover(mounts: list[str], euid: int) -> CgroupFacts:
    """Look for folders to make cgroups in. `mounts` are the lines of /proc/self/mountinfo."""
    memberships = _memberships()
    found = _Found()
    for hierarchy in sorted(hierarchies(mounts), key=lambda each: -each[3]):
        point, root, controllers, version = hierarchy
        if version == 1:
            found.version1(hierarchy, memberships.get(controllers[0] if controllers else "", "/"), euid)
        elif not found.point:
            found.version2(point, root, memberships.get("", "/"), euid)
    missing = tuple(
        (name, _why_missing(name, found.own)) for name in ("memory", "pids", "cpuacct", "cpu", "io") if name not in found.taken
    )
    return CgroupFacts(tuple(found.bases), found.own, found.via, missing, _around(found, euid))


def _around(found: _Found, euid: int) -> tuple[tuple[str, int, str], ...]:
    """Find the lowest limits of the groups around the base."""
    base = next((base for base in found.bases if base.version == 2), None)
    if base is None:
        return ()
    folder = manager(found.point, euid) if base.path == SCOPE else base.path
    lowest: dict[str, tuple[int, str]] = {}
    while folder.startswith(found.point):
        for file in _AROUND:
            value = "".join(_words(folder, file))
            if value.isdecimal() and (file not in lowest or int(value) < lowest[file][0]):
                lowest[file] = int(value), folder
        folder = os.path.dirname(folder)
    return tuple((file, value, folder) for file, (value, folder) in lowest.items())


def _why_missing(controller: str, own: str) -> str:
    if own:
        return f"other processes occupy the delegated group {own}, so the {controller} controller cannot be enabled below it"
    return f"no cgroup with the {controller} controller is delegated to this account"
