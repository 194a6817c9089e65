"""User namespace: one uid, one gid, no nesting. Parent side. See user_namespaces(7)."""

from __future__ import annotations

from jailpy.layers import Context, Planned
from jailpy.steps import process

NAME = "user"


def plan(context: Context) -> Planned:
    """Plan the id map, the identity inside, and the ban on further user namespaces."""
    identity, host = context.profile.identity, context.host
    inside = (identity.uid, identity.gid)
    sysctl = "proc/sys" if context.profile.filesystem.proc == "private" else "/proc/sys"
    steps = (
        process.MapIds(inside=inside, outside=host.outside),
        process.AwaitIds(),
        process.BecomeUser(uid=identity.uid, gid=identity.gid),
        process.ForbidUserNamespaces(path=f"{sysctl}/user/max_user_namespaces"),
    )
    mechanism = f"uid {inside[0]} is uid {host.outside[0]} of the host, alone; no further user namespaces"
    return Planned(NAME, "enforced", mechanism, steps)
