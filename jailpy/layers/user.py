"""User namespace: one uid, one gid, no nesting. Parent side. See user_namespaces(7)."""

from __future__ import annotations

from jailpy.layers import Context, Need, Planned
from jailpy.steps import process

NAME = "user"
_BAN = "the ban on further user namespaces"
_READ_ONLY = "/proc/sys is read-only around JailPy"
_MAKERS = ("clone", "clone3", "unshare")


def plan(context: Context) -> Planned:
    """Plan the id map, the identity inside, and the ban on further user namespaces."""
    identity, host = context.profile.identity, context.host
    inside = (identity.uid, identity.gid)
    steps = (
        process.MapIds(inside=inside, outside=host.outside),
        process.AwaitIds(),
        process.BecomeUser(uid=identity.uid, gid=identity.gid),
    )
    mechanism = f"uid {inside[0]} is uid {host.outside[0]} of the host, alone; no further user namespaces"
    if context.profile.filesystem.proc == "private" or host.nesting_switch:
        sysctl = "proc/sys" if context.profile.filesystem.proc == "private" else "/proc/sys"
        forbid = process.ForbidUserNamespaces(path=f"{sysctl}/user/max_user_namespaces")
        return Planned(NAME, "enforced", mechanism, (*steps, forbid))
    if _filter_forbids(context):
        needs = (Need(NAME, _BAN, _READ_ONLY, "accept the tier: --set require.tiers=no-proc"),)
        return Planned(NAME, "degraded", f"{mechanism}: by the filter alone, {_READ_ONLY}", steps, needs, tiers=("no-proc",))
    needs = (
        Need(NAME, _BAN, f"{_READ_ONLY}, and the filter allows them", "let the filter deny unshare, clone3 and new namespaces"),
    )
    return Planned(NAME, "degraded", f"uid {inside[0]} is uid {host.outside[0]} of the host, alone", steps, needs)


def _filter_forbids(context: Context) -> bool:
    """Say whether the filter refuses every call that makes a user namespace, whatever its arguments."""
    from jailpy.layers import seccomp_filter  # on hosts with a masked /proc only

    wanted, profile = context.profile.seccomp, context.profile
    if wanted.violation == "record" or not context.wants("seccomp"):
        return False
    policy = seccomp_filter.policy(wanted.allow, wanted.deny, wanted.violation, profile.filesystem.exec, context.host.machine)
    return not any(each.name in _MAKERS and each.errno is None and () in each.alternatives for each in policy.decisions)
