"""Why this account has no cgroup of its own, and the lines that give it one. Parent side, looks at files only.

See cgroups(7), Documentation/admin-guide/cgroup-v2.rst and systemd's "Control Group APIs and Delegation".
"""

from __future__ import annotations

import os

from jailpy.host import cgroups, surroundings
from jailpy.host.remedies import Remedy, opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.cgroups import CgroupFacts, Hierarchy

_CONTROLLERS = "+memory +pids +cpu"
_NEEDED = frozenset(("memory", "pids"))
_WRITABLE = {
    "docker": "start the container with: docker run --cgroupns=private --security-opt writable-cgroups=true "
    "(Docker 28; before: --privileged)",
    "podman": "start the container with: podman run --security-opt unmask=/sys/fs/cgroup",
    "kubernetes": "let the container runtime mount cgroups writable (containerd: cgroup_writable = true), "
    "or make the container privileged",
}


def no_cgroup(facts: CgroupFacts, mounts: list[str]) -> Remedy:
    """Tell why controllers are missing. `mounts` are the lines of /proc/self/mountinfo."""
    found = cgroups.hierarchies(mounts)
    if not found:
        mounting = "mount -t cgroup2 none /sys/fs/cgroup   # as root"
        return Remedy("no cgroup filesystem is mounted here", (opened() if surroundings.container() else mounting,))
    missing = _NEEDED & {name for name, _ in facts.missing}
    old = [one for one in found if one[3] == 1 and missing & set(one[2])]
    new = [one for one in found if one[3] == 2]
    if _read_only(mounts, (old or new or found)[0][0]):
        fix = _WRITABLE.get(surroundings.container(), "let the sandbox around this process mount /sys/fs/cgroup writable")
        return Remedy("cgroups are mounted read-only here", (fix,))
    if old:
        return _version1(found)
    offered = surroundings.text(f"{new[0][0]}/cgroup.controllers").split() if new else []
    if not missing <= set(offered):
        return _switched_off(sorted(missing - set(offered)))
    return _occupied(facts.own, new[0][0]) if facts.own else _not_delegated(new[0][0])


def _read_only(mounts: list[str], point: str) -> bool:
    options = [line.split()[5].split(",") for line in mounts if line.split()[4] == point]
    return bool(options) and "ro" in options[-1]


def _version1(found: list[Hierarchy]) -> Remedy:
    """Version 1, alone or beside version 2: an administrator makes a folder for this account in each hierarchy."""
    uid, sudo = os.geteuid(), surroundings.sudo()
    points = [point for point, _, controllers, version in found if version == 1 and controllers]
    lines = (
        f"for folder in {' '.join(f'{point}/jailpy-{uid}' for point in dict.fromkeys(points))}; do",
        f'    {sudo}mkdir -p "$folder" && {sudo}chown {uid} "$folder" "$folder/cgroup.procs" "$folder/tasks"',
        "done   # once after each boot",
    )
    return Remedy(f"this host has cgroup version 1, and no folder jailpy-{uid} that belongs to this account", lines)


def _switched_off(missing: list[str]) -> Remedy:
    where = surroundings.container()
    if where and where != "service":
        cause = f"the cgroup of this {where} container offers no {' and no '.join(missing)} controller"
        return Remedy(cause, ("give the container a memory and a process limit, or a cgroup namespace with all controllers",))
    taken = [f"cgroup_disable={name}" for name in missing if f"cgroup_disable={name}" in surroundings.text("/proc/cmdline")]
    change = f"take {' '.join(taken)} off" if taken else f"add {' '.join(f'cgroup_enable={name}' for name in missing)} to"
    fix = f"{change} the kernel's command line and reboot"
    return Remedy(f"the {' and the '.join(missing)} controller is switched off on this kernel", (fix,))


def _occupied(own: str, point: str) -> Remedy:
    """The own group may be divided, but a group with processes in it cannot give controllers to its children."""
    unit = surroundings.unit()
    if unit:
        fix: tuple[str, ...] = (
            f"{surroundings.sudo()}systemctl edit {unit}, and there (systemd 254; before: start JailPy by systemd-run):",
            "[Service]",
            "Delegate=yes",
            "DelegateSubgroup=main",
        )
    elif own == point:
        fix = (
            f"mkdir -p {own}/init && for pid in $(cat {own}/cgroup.procs); do echo $pid >{own}/init/cgroup.procs; done",
            f"echo '{_CONTROLLERS}' >{own}/cgroup.subtree_control   # once, before JailPy starts",
        )
    else:
        fix = ("start JailPy alone in its group: systemd-run --user --scope -p Delegate=yes -- jailpy ...",)
    return Remedy(f"other processes occupy {own}, the delegated group that JailPy would divide", fix)


def _not_delegated(point: str) -> Remedy:
    """Nothing is writable: what is between this account and a delegated group?"""
    uid, sudo = os.geteuid(), surroundings.sudo()
    if not surroundings.exists("/run/systemd/system"):
        return _without_systemd(point, uid)
    manager = f"{point}/user.slice/user-{uid}.slice/user@{uid}.service"
    if not surroundings.exists(manager):
        fix = (f"{sudo}loginctl enable-linger {uid}   # then it runs from boot on, also without a login",)
        return Remedy(f"no systemd user session runs for uid {uid}", fix)
    missing = _NEEDED - set(surroundings.text(f"{manager}/cgroup.controllers").split())
    if missing:
        return _not_passed_on(sorted(missing))
    if not surroundings.exists(cgroups.bus_path(uid)):
        fix = (f"{sudo}apt install dbus-user-session   # then log in again",)
        return Remedy(f"the systemd user session of uid {uid} has no D-Bus socket {cgroups.bus_path(uid)}", fix)
    return Remedy(
        "the caller's cgroup is not delegated to this account",
        ("systemd-run --user --scope -p Delegate=yes -- jailpy ...",),
    )


def _not_passed_on(missing: list[str]) -> Remedy:
    sudo, folder = surroundings.sudo(), "/etc/systemd/system/user@.service.d"
    return Remedy(
        f"systemd does not delegate the {' and the '.join(missing)} controller to user sessions",
        (
            f"{sudo}mkdir -p {folder}",
            f"printf '[Service]\\nDelegate=cpu memory pids\\n' | {sudo}tee {folder}/jailpy.conf",
            f"{sudo}systemctl daemon-reload   # then log out and in again",
        ),
    )


def _without_systemd(point: str, uid: int) -> Remedy:
    """Version 2 lets a process move only below a group that it may write: the shell itself must be moved once."""
    sudo, folder = surroundings.sudo(), f"{point}/jailpy-{uid}"
    return Remedy(
        "no systemd is there to delegate a cgroup to this account",
        (
            f"{sudo}sh -c \"echo '{_CONTROLLERS}' >{point}/cgroup.subtree_control; mkdir -p {folder}/shell;",
            f"    echo '{_CONTROLLERS}' >{folder}/cgroup.subtree_control; chown -R {uid} {folder};",
            f'    echo $$ >{folder}/shell/cgroup.procs"   # moves this shell; JailPy started from it then works',
        ),
    )
