"""A launch without namespaces: what stands in for each of the seven layers that are missing. Parent side, pure.

Landlock alone says what can be opened, the filter what can be reached, a process group what is killed; see
docs/adr/0006-tiers.md. Imported only for such a launch.
"""

from __future__ import annotations

import os.path

from jailpy.layers import Context, Need, Planned, plain_checks, privileges, script_name
from jailpy.layers.view import Seen, devices, etc_entries, root_entries
from jailpy.steps import Step, plain, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OWN_UID = "container-root"
CANARY = "../canary"
_STAND_INS = {
    "mount": "the host's own tree, of which Landlock alone says what can be opened",
    "pid": "a process group that the filter lets nobody leave, an init that adopts orphans, signals kept inside",
    "net": "the host's network; the filter lets no socket be made",
    "ipc": "the host's System V and POSIX message objects; the filter refuses their calls",
    "uts": "the host's name",
    "cgroup-ns": "the host's cgroup paths, and no /proc to see them in",
}
_SURVIVORS = (
    "without a pid namespace the kernel ends nothing by itself: where launcher and init are killed at the same moment "
    "(kill -9 of both), what the payload started lives on until its cgroup, if it has one, is removed by the next start"
)
_SEEN = (
    "without a mount namespace the payload can look at names that it guesses (stat): whether a file of the host is there, "
    "its size, owner and times. It opens and lists nothing that is not shown"
)
_LOADER = (
    'filesystem.exec = "{0}" holds for execve: without a noexec mount the loader (ld.so) can map a program that the '
    "payload wrote"
)
_DISK = "limits.disk and limits.inodes are degraded: the supervisor looks at the work folder again and again, and ends the run"


def _missing(context: Context, name: str) -> tuple[str, tuple[Need, ...]]:
    """Return the state of a layer that is not had, and why."""
    if not context.wants(name):
        return "off", ()
    why = context.host.plain.refused if context.host.plain else ""
    fix = "jailpy doctor names what stands in the way of strict; or accept it: --allow-missing " + name
    return "absent", (Need(name, f"the {name} namespace", why, fix),)


def _planned(context: Context, name: str, steps: tuple[Step, ...] = (), notes: tuple[str, ...] = ()) -> Planned:
    state, needs = _missing(context, name)
    return Planned(name, state, _STAND_INS[name], steps, needs, notes, (context.tier,))


def plan_user(context: Context) -> Planned:
    """Plan what is checked before anything: that the profile can be meant without namespaces. Raises JailPyError."""
    plain_checks.check(context)
    state, needs = _missing(context, "user")
    uid = context.host.outside[0]
    words = f"uid {uid}, which nobody else has, without groups" if context.tier == OWN_UID else f"uid {uid}, the caller's own"
    return Planned("user", state, words, needs=needs, tiers=(context.tier,))


def plan_mount(context: Context) -> Planned:
    """Plan the work folder, what is copied into it, and a root by chroot(2)."""
    profile, command = context.profile, context.command
    owner = context.host.outside
    most, inodes = profile.limits.disk, profile.limits.inodes
    base, root = _base(context)
    steps: list[Step] = [plain.MakeWork(base=base, root=root, owner=owner, stands_for=profile.filesystem.workdir)]
    for source in (*command.sources, *command.put):
        if source.mode in ("put", "cow"):
            path = plain_checks.inside(context, source.destination)
            steps.append(plain.CopyIn(source=source.path, path=path, owner=owner, most=most, inodes=inodes))
    if command.script is not None:
        name = script_name(context)
        steps.append(plain.CopyIn(name, name, owner, most, inodes, content=command.script))
    if root:
        steps.append(plain.ChangeRootOnly(path=root))
    notes = [_SEEN, _DISK]
    if profile.filesystem.exec != "any":
        notes.append(_LOADER.format(profile.filesystem.exec))
    gone = [entry.destination for entry in profile.filesystem.tmpfs if entry.destination != profile.filesystem.workdir]
    if gone:
        notes.append(f"{', '.join(gone)}: not there without a mount namespace; TMPDIR names the work folder")
    return _planned(context, "mount", tuple(steps), tuple(notes))


def _base(context: Context) -> tuple[str, str]:
    """Return where the run's folder is made, and what becomes the root: "" none, "empty" the run's folder, or a path."""
    root = context.profile.filesystem.root
    if root in ("system", "empty"):
        return context.host.plain.base if context.host.plain else "", "" if root == "system" else root
    path = os.path.realpath(root)
    return path, path


def plan_pid(context: Context) -> Planned:
    """Plan an init that is forked, and what makes it kill."""
    steps = (plain.ForkInit(), plain.GatherOrphans(), process.HideInit(), process.CloseOfInit(), plain.DieWithInit())
    return _planned(context, "pid", steps, (_SURVIVORS,))


def plan_net(context: Context) -> Planned:
    """Plan nothing: the filter stands in."""
    if context.profile.network.mode == "host":
        return Planned("net", "off", "the host's network", tiers=(context.tier,))
    return _planned(context, "net")


def plan_capabilities(context: Context) -> Planned:
    """Plan the end of all capabilities: root takes an unused uid, others have none but a bounding set."""
    if context.tier == OWN_UID:
        uid, gid = context.host.outside
        unused = plain.BecomeUnused(uid=uid, gid=gid, last=context.host.last_capability)
        return Planned("capabilities", "enforced", "all five sets empty, securebits locked", (unused,))
    words = "four sets empty; the bounding set stays, and gives nothing under no_new_privs"
    return Planned("capabilities", "enforced", words, (plain.GiveUpCapabilities(),))


PLANNERS: dict[str, Callable[[Context], Planned]] = {
    "user": plan_user,
    "mount": plan_mount,
    "pid": plan_pid,
    "net": plan_net,
    "ipc": lambda context: _planned(context, "ipc"),
    "uts": lambda context: _planned(context, "uts"),
    "cgroup-ns": lambda context: _planned(context, "cgroup-ns"),
    "capabilities": plan_capabilities,
}


def plan_payload(context: Context) -> tuple[Step, ...]:
    """Return the steps of every payload, with the work folder in place of a path."""
    steps = privileges.plan_payload(context)
    return tuple(plain.EnterWork(path=step.path) if type(step) is process.ChangeFolder else step for step in steps)


def view(context: Context) -> tuple[Seen, ...]:
    """Return what Landlock allows, by the paths of the host; "." is the work folder.

    Nothing of it is on a read-only mount: no folder of the system has the right to truncate here.
    """
    any_program = context.profile.filesystem.exec == "any"
    seen = [Seen(path, entry.kind, False, True) for entry, path in root_entries(context) if entry.kind != "link"]
    etc = [entry for entry in etc_entries(context) if entry.kind != "link"]
    seen += [Seen(entry.target or entry.path, entry.kind, False, False) for entry in etc]
    if context.profile.filesystem.root == "system":
        seen += [Seen(f"/dev/{name}", "device", True, False) for name in devices(context)]
    for source in context.command.sources:
        if source.mode in ("ro", "rw"):
            seen.append(Seen(source.path, source.kind, source.mode == "rw", any_program or source.mode == "ro"))
    return (*seen, Seen(".", "folder", True, any_program))
