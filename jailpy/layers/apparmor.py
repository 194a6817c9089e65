"""AppArmor: the payload is stacked into a loaded profile at execve. Parent side. See apparmor(7), aa_stack_onexec(3)."""

from __future__ import annotations

from jailpy.layers import Context, Need, Planned
from jailpy.steps import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.apparmor import Loaded

NAME = "apparmor"
_ENFORCING = ("enforce", "kill", "")


def plan(context: Context) -> Planned:
    """Plan the stacking where the LSM is on and the profile is loaded."""
    wanted = context.profile.apparmor.profile
    if wanted == "off" or not context.wants(NAME):
        return Planned(NAME, "off", "not asked for")
    name = f"jailpy-{context.profile.name}" if wanted == "auto" else wanted
    found = next((each for each in context.host.apparmor_profiles if each.name in (name, _folder(name))), None)
    why, fix = _why_absent(context, name, found)
    if why or found is None:
        return Planned(NAME, "absent", why, needs=(Need(NAME, f"the AppArmor profile {name}", why, fix),))
    step = process.ApparmorOnExec(profile=name)
    if found.mode in _ENFORCING:
        return Planned(NAME, "enforced", f"stacked into {name} at execve", (step,))
    why = f"{name} is loaded in {found.mode} mode, which denies nothing"
    need = Need(NAME, f"the AppArmor profile {name}, enforced,", why, _load(context))
    return Planned(NAME, "degraded", why, (step,), (need,))


def _folder(name: str) -> str:
    """Return how the kernel spells a name where it lists profiles that JailPy did not write."""
    return name.lstrip("/.").replace("/", ".")


def _why_absent(context: Context, name: str, found: Loaded | None) -> tuple[str, str]:
    """Return the reason and what helps; two empty texts where nothing is in the way."""
    if not context.host.apparmor:
        return "this kernel runs without AppArmor", "boot with apparmor in the lsm= list, or set apparmor.profile to off"
    if context.profile.filesystem.proc == "none":
        why = "the request goes through /proc, which this profile does not mount"
        return why, 'set filesystem.proc to "private", or apparmor.profile to off'
    if found is None:
        return f"no profile {name} is loaded", _load(context)
    if not found.allows:
        return "", ""
    from jailpy.layers import apparmor_grants  # where a profile of JailPy's own is loaded only

    more = apparmor_grants.lacking(context, apparmor_grants.from_lines(found.allows))
    if not more:
        return "", ""
    return f"{name} was not made for this run: {more}", "set what differs in a profile of your own, and install that one"


def _load(context: Context) -> str:
    from jailpy.host import surroundings
    from jailpy.profile import locate

    profile, name = context.profile, context.profile.apparmor.profile
    if name != "auto":
        return f"load the AppArmor profile {name} (apparmor_parser -r its file), or set apparmor.profile to off"
    builtin = profile.origin == locate.builtin_path(profile.name)
    wanted = profile.name if builtin else "'" + profile.origin.replace("'", "'\\''") + "'"
    return f"{surroundings.sudo()}jailpy apparmor install {wanted}"
