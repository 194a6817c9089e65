"""Landlock: rights per path derived from what the mount layer shows, TCP ports, scopes. Parent side. See landlock(7)."""

from __future__ import annotations

from jailpy.layers import Context, Need, Planned, landlock_rights
from jailpy.layers.view import CANARY, Seen, view
from jailpy.steps import process

NAME = "landlock"
_MINIMUM = 2


def plan(context: Context) -> Planned:
    """Plan the ruleset for this kernel's ABI; each right that the ABI lacks is named with what covers it."""
    abi = context.host.landlock_abi
    if not context.wants(NAME):
        return Planned(NAME, "off", "not asked for")
    if abi < _MINIMUM:
        why = f"this kernel offers Landlock ABI {abi}; {_MINIMUM} (Linux 5.19) is the least that confines renames"
        fix = "boot with landlock in the lsm= list (CONFIG_SECURITY_LANDLOCK), or use a newer kernel"
        return Planned(NAME, "absent", why, needs=(Need(NAME, f"Landlock ABI {_MINIMUM}", why, fix),))
    handled = landlock_rights.handled(abi, network=context.profile.network.mode == "none")
    drop = landlock_rights.bits(context.profile.landlock.drop)
    paths = tuple((seen.path, access) for seen in view(context) if (access := _access(abi, seen) & ~drop))
    step = process.RestrictLandlock(handled=(handled.fs, handled.net, handled.scoped), paths=paths, canary=CANARY)
    notes = tuple(f"ABI {abi} cannot restrict {right}: covered by {by}" for right, by in landlock_rights.missing(abi))
    return Planned(NAME, "enforced", f"ABI {abi}, {len(paths)} paths", (step,), notes=notes)


def _access(abi: int, seen: Seen) -> int:
    if seen.kind == "listing":
        return landlock_rights.bits(("read_dir",))
    if seen.kind == "device":
        return landlock_rights.device(abi)
    if seen.kind == "system":
        return landlock_rights.system(abi)
    rights = landlock_rights.writable if seen.writable else landlock_rights.read_only
    access = rights(abi, execute=seen.execute)
    return access if seen.kind == "folder" else landlock_rights.on_file(access)
