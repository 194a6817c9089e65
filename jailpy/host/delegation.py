"""Why this account has no cgroup of its own, and the lines that give it one. Parent side, looks at files only.

See cgroups(7), Documentation/admin-guide/cgroup-v2.rst and systemd's "Control Group APIs and Delegation".
"""

from __future__ import annotations

import os

from jailpy.host import cgroups, surroundings
from jailpy.host.fixes import Fix, Remedy, advice, by_user, quoted, run, write
from jailpy.host.remedies import opened, service_drop_in

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
        mounting = run("mount -t cgroup2 none /sys/fs/cgroup")
        return Remedy("no cgroup filesystem is mounted here", (opened() if surroundings.container() else mounting,))
    missing = _NEEDED & {name for name, _ in facts.missing}
    old = [one for one in found if one[3] == 1 and missing & set(one[2])]
    new = [one for one in found if one[3] == 2]
    if _read_only(mounts, (old or new or found)[0][0]):
        fix = _WRITABLE.get(surroundings.container(), "let the sandbox around this process mount /sys/fs/cgroup writable")
        return Remedy("cgroups are mounted read-only here", (advice(fix),))
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
    uid = os.geteuid()
    points = [point for point, _, controllers, version in found if version == 1 and controllers]
    lines = (
        f"for folder in {' '.join(quoted(f'{point}/jailpy-{uid}') for point in dict.fromkeys(points))}; do",
        f'    mkdir -p "$folder" && chown {uid} "$folder" "$folder/cgroup.procs" "$folder/tasks"',
        "done",
    )
    cause = f"this host has cgroup version 1, and no folder jailpy-{uid} that belongs to this account"
    return Remedy(cause, (run("\n".join(lines), "once after each boot"),))


def _switched_off(missing: list[str]) -> Remedy:
    where = surroundings.container()
    if where and where != "service":
        cause = f"the cgroup of this {where} container offers no {' and no '.join(missing)} controller"
        limits = "give the container a memory and a process limit, or a cgroup namespace with all controllers"
        return Remedy(cause, (advice(limits),))
    taken = [f"cgroup_disable={name}" for name in missing if f"cgroup_disable={name}" in surroundings.text("/proc/cmdline")]
    change = f"take {' '.join(taken)} off" if taken else f"add {' '.join(f'cgroup_enable={name}' for name in missing)} to"
    fix = f"{change} the kernel's command line and reboot"
    return Remedy(f"the {' and the '.join(missing)} controller is switched off on this kernel", (advice(fix),))


def _occupied(own: str, point: str) -> Remedy:
    """The own group may be divided, but a group with processes in it cannot give controllers to its children."""
    unit = surroundings.unit()
    fix: tuple[Fix, ...] = (by_user("systemd-run --user --scope -p Delegate=yes -- jailpy ...", "JailPy alone in its group"),)
    if unit:
        drop_in = service_drop_in(unit, ("Delegate=yes", "DelegateSubgroup=main"))
        fix = (drop_in.replace(then=f"{drop_in.then}; before systemd 254: start JailPy by systemd-run"),)
    elif own == point:
        leave = "mkdir -p init && for pid in $(cat cgroup.procs); do echo $pid >init/cgroup.procs; done"
        divide = f"cd {quoted(own)} && {leave} && echo '{_CONTROLLERS}' >cgroup.subtree_control"
        fix = (run(divide, "once, before JailPy starts"),)
    return Remedy(f"other processes occupy {own}, the delegated group that JailPy would divide", fix)


def _not_delegated(point: str) -> Remedy:
    """Nothing is writable: what is between this account and a delegated group?"""
    uid = os.geteuid()
    if not surroundings.exists("/run/systemd/system"):
        return _without_systemd(point, uid)
    manager = f"{point}/user.slice/user-{uid}.slice/user@{uid}.service"
    if not surroundings.exists(manager):
        fix = run(f"loginctl enable-linger {uid}", "then it runs from boot on, also without a login")
        return Remedy(f"no systemd user session runs for uid {uid}", (fix,))
    missing = _NEEDED - set(surroundings.text(f"{manager}/cgroup.controllers").split())
    if missing:
        return _not_passed_on(sorted(missing))
    if not surroundings.exists(cgroups.bus_path(uid)):
        fix = run("apt-get install -y dbus-user-session", "then log in again")
        return Remedy(f"the systemd user session of uid {uid} has no D-Bus socket {cgroups.bus_path(uid)}", (fix,))
    return Remedy(
        "the caller's cgroup is not delegated to this account",
        (by_user("systemd-run --user --scope -p Delegate=yes -- jailpy ..."),),
    )


def _not_passed_on(missing: list[str]) -> Remedy:
    drop_in = write(
        "/etc/systemd/system/user@.service.d/zz-jailpy.conf",
        ("[Service]", "Delegate=cpu memory pids"),
        "systemctl daemon-reload",
        "then log out and in again",
    )
    return Remedy(f"systemd does not delegate the {' and the '.join(missing)} controller to user sessions", (drop_in,))


def _without_systemd(point: str, uid: int) -> Remedy:
    """Version 2 lets a process move only below a group that it may write: the shell itself must be moved once."""
    folder = f"jailpy-{uid}"
    lines = (
        f"cd {quoted(point)} && mkdir -p {folder}/shell",
        f"echo '{_CONTROLLERS}' >cgroup.subtree_control",
        f"echo '{_CONTROLLERS}' >{folder}/cgroup.subtree_control",
        f"chown -R {uid} {folder}",
    )
    move = f"echo $$ | {surroundings.sudo()}tee {quoted(f'{point}/{folder}/shell/cgroup.procs')}"
    moved = by_user(move, "moves this shell; JailPy started from it then works")
    return Remedy("no systemd is there to delegate a cgroup to this account", (run("\n".join(lines)), moved))
