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
_SUBGROUPS_SINCE = 254  # systemd's DelegateSubgroup=
_NEEDED = frozenset(("memory", "pids"))
_SUBGROUP = ("Delegate=yes", "DelegateSubgroup=main")
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
    lacking = {name for name, _ in facts.missing}
    missing = _NEEDED & lacking or {"io"} & lacking
    old = [one for one in found if one[3] == 1 and missing & set(one[2])]
    new = [one for one in found if one[3] == 2]
    point = (old or new or found)[0][0]
    if _read_only(mounts, point):
        return Remedy("cgroups are mounted read-only here", (_writable(point),))
    if old:
        return _version1(found)
    if "io" in missing and any(version == 1 for _, _, _, version in found):
        boot = advice("boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line, or leave limits.io off")
        return Remedy("limits.io needs cgroup version 2, and this host's controllers are with version 1", (boot,))
    offered = surroundings.text(f"{new[0][0]}/cgroup.controllers").split() if new else []
    if not missing <= set(offered):
        return _switched_off(sorted(missing - set(offered)))
    if not facts.own:
        return _not_delegated(new[0][0], missing)
    short = missing - set(surroundings.text(f"{facts.own}/cgroup.controllers").split())
    return _too_few(facts.own, sorted(short), new[0][0]) if short else _occupied(facts.own, new[0][0])


def _writable(point: str) -> Fix:
    """Tell how cgroups become writable in what this process runs inside."""
    where = surroundings.container()
    if where == "service" and surroundings.own_mounts():
        return service_drop_in(surroundings.unit(), ("ProtectControlGroups=no",))
    if where in ("", "service") and not surroundings.nested():
        return run(f"mount -o remount,rw {quoted(point)}")
    return advice(_WRITABLE.get(where, "let the sandbox around this process mount /sys/fs/cgroup writable"))


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


def _too_few(own: str, missing: list[str], point: str) -> Remedy:
    """The own group is delegated, with some controllers only."""
    if "/user@" in own:
        return _not_passed_on(missing)
    cause = f"{own} was delegated without the {' and the '.join(missing)} controller"
    unit = surroundings.unit()
    if unit:
        return Remedy(cause, (service_drop_in(unit, ("Delegate=yes",)),))
    enable = f"echo '{' '.join(f'+{name}' for name in missing)}' >cgroup.subtree_control"
    above = quoted(os.path.dirname(own) if own != point else own)
    return Remedy(cause, (run(f"cd {above} && {enable}", "and so for each group above it, the outermost first"),))


def _occupied(own: str, point: str) -> Remedy:
    """The own group may be divided, but a group with processes in it cannot give controllers to its children."""
    cause = f"other processes occupy {own}, the delegated group that JailPy would divide"
    leave = "mkdir -p main && for pid in $(cat cgroup.procs); do echo $pid >main/cgroup.procs || :; done"
    leave = f"cd {quoted(own)} && {leave}"
    unit = surroundings.unit()
    if unit and surroundings.systemd() >= _SUBGROUPS_SINCE:
        return Remedy(f"{cause} (DelegateSubgroup= keeps them out of it)", (service_drop_in(unit, _SUBGROUP),))
    if unit:
        cause = f"{cause} (systemd {_SUBGROUPS_SINCE} has DelegateSubgroup= for this)"
        return Remedy(cause, (by_user(leave, "at the head of the service's script"),))
    if own == point or not surroundings.exists("/run/systemd/system"):
        return Remedy(cause, (run(leave, "once, before JailPy starts"),))
    return Remedy(cause, (by_user("systemd-run --user --scope -p Delegate=yes -- jailpy ...", "JailPy alone in its group"),))


def _not_delegated(point: str, missing: frozenset[str] | set[str]) -> Remedy:
    """Nothing is delegated: what is between this account and a scope of its own?"""
    uid = os.geteuid()
    if not surroundings.exists("/run/systemd/system"):
        return _without_systemd(point, uid)
    manager, bus = cgroups.manager(point, uid), cgroups.bus_path(uid)
    if not surroundings.exists(manager):
        return _no_manager(uid)
    short = missing - set(surroundings.text(f"{manager}/cgroup.controllers").split())
    if short:
        return _not_passed_on(sorted(short))
    if not surroundings.exists(bus):
        whose = f"the systemd user session of uid {uid}" if uid else "systemd"
        start = run("apt-get install -y dbus-user-session" if uid else "apt-get install -y dbus", "then log in again")
        return Remedy(f"{whose} has no D-Bus socket {bus}, where JailPy would ask for a group of its own", (start,))
    if not cgroups.writable(surroundings.ROOT + manager):
        restart = run(f"systemctl restart user@{uid}", "ends what runs in that session")
        return Remedy(f"{manager} does not belong to uid {uid}: the systemd user session cannot make groups", (restart,))
    by_hand = by_user(f"systemd-run {'--user ' if uid else ''}--scope -p Delegate=yes -- jailpy ...")
    return Remedy("the caller's cgroup is not delegated to this account", (by_hand,))


def _no_manager(uid: int) -> Remedy:
    """Cron, a service with User=, and sudo start programs without a session."""
    fix: tuple[Fix, ...] = (run(f"loginctl enable-linger {uid}", "it runs from boot on, also without a login"),)
    if surroundings.exists(f"/run/user/{uid}"):
        fix += (run(f"systemctl start user@{uid}", "it was stopped while a session went on"),)
    unit = surroundings.unit()
    if unit:
        settings = " ".join(_SUBGROUP if surroundings.systemd() >= _SUBGROUPS_SINCE else _SUBGROUP[:1])
        fix += (advice(f"or, where {unit} is a service of your own, add to it: [Service] {settings}"),)
    return Remedy(f"no systemd user session runs for uid {uid}, and the caller's cgroup is not delegated to it", fix)


def _not_passed_on(missing: list[str]) -> Remedy:
    drop_in = write(
        "/etc/systemd/system/user@.service.d/zz-jailpy.conf",
        ("[Service]", "Delegate=cpu cpuset io memory pids"),
        "systemctl daemon-reload",
        f"then: systemctl restart user@{os.geteuid()}, or log out everywhere and in again",
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
