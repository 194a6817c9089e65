"""The pid, net, ipc, uts and cgroup namespaces, made together by one clone3(2). Parent side. See namespaces(7)."""

from __future__ import annotations

from jailpy.kernel import process as kernel
from jailpy.layers import Context, Planned
from jailpy.steps import Step, process

NAMES = ("pid", "net", "ipc", "uts", "cgroup-ns")


def plan_pid(context: Context) -> Planned:
    """Plan the clone of init itself, with every namespace of the profile, and init's protection."""
    pairs = [("user", kernel.CLONE_NEWUSER), ("mount", kernel.CLONE_NEWNS), ("pid", kernel.CLONE_NEWPID)]
    if _new_network(context):
        pairs.append(("net", kernel.CLONE_NEWNET))
    pairs += [
        (name, flag) for name, flag in (("ipc", kernel.CLONE_NEWIPC), ("uts", kernel.CLONE_NEWUTS)) if context.wants(name)
    ]
    flags = sum(flag for _, flag in pairs)
    clone = process.CloneNamespaces(names=tuple(name for name, _ in pairs), flags=flags)
    steps = (clone, process.DieWithLauncher(), process.HideInit(), process.CloseOfInit())
    return Planned("pid", "enforced", "pid namespace; an unreadable init that dies with the launcher", steps)


def _new_network(context: Context) -> bool:
    return context.profile.network.mode != "host" and context.wants("net")


def plan_net(context: Context) -> Planned:
    """Plan the network namespace: empty, or with loopback up; `host` has none."""
    if not _new_network(context):
        return Planned("net", "off", "the host's network")
    loopback = context.profile.network.mode == "loopback"
    steps: tuple[Step, ...] = (process.LoopbackUp(),) if loopback else ()
    return Planned("net", "enforced", "network namespace, " + ("loopback only" if loopback else "no interface up"), steps)


def plan_ipc(context: Context) -> Planned:
    """Plan the ipc namespace."""
    if not context.wants("ipc"):
        return Planned("ipc", "off", "the host's System V and POSIX message objects")
    return Planned("ipc", "enforced", "ipc namespace")


def plan_uts(context: Context) -> Planned:
    """Plan the uts namespace and the name inside."""
    if not context.wants("uts"):
        return Planned("uts", "off", "the host's name")
    step = process.SetHostname(name=context.profile.identity.hostname)
    return Planned("uts", "enforced", f"uts namespace, hostname {context.profile.identity.hostname}", (step,))


def plan_cgroup_namespace(context: Context) -> Planned:
    """Plan the cgroup namespace."""
    if not context.wants("cgroup-ns"):
        return Planned("cgroup-ns", "off", "the host's cgroup paths")
    return Planned("cgroup-ns", "enforced", "cgroup namespace", (process.NewCgroupNamespace(),))
