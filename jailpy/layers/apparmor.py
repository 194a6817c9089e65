"""AppArmor: the payload is stacked into a loaded profile at execve. Parent side. See apparmor(7), aa_stack_onexec(3)."""

from __future__ import annotations

from jailpy.layers import Context, Need, Planned
from jailpy.steps import process

NAME = "apparmor"


def plan(context: Context) -> Planned:
    """Plan the stacking where the LSM is on and the profile is loaded."""
    wanted = context.profile.apparmor.profile
    if wanted == "off" or not context.wants(NAME):
        return Planned(NAME, "off", "not asked for")
    name = f"jailpy-{context.profile.name}" if wanted == "auto" else wanted
    why = _why_absent(context, name)
    if why:
        fix = "load the AppArmor profile, or set apparmor.profile to off"
        return Planned(NAME, "absent", why, needs=(Need(NAME, f"the AppArmor profile {name}", why, fix),))
    return Planned(NAME, "enforced", f"stacked into {name} at execve", (process.ApparmorOnExec(profile=name),))


def _why_absent(context: Context, name: str) -> str:
    if not context.host.apparmor:
        return "this kernel runs without AppArmor"
    if context.profile.filesystem.proc == "none":
        return "the request goes through /proc, which this profile does not mount"
    if name not in context.host.apparmor_profiles:
        return f"no profile {name} is loaded"
    return ""
