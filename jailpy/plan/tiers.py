"""Weaker tiers: what JailPy does where the host lacks something, each to be accepted by its name. Parent side, pure.

A layer says which tiers it stands on (`Planned.tiers`). One that the profile does not accept is an unmet need, unless
the layer is excused by --allow-missing. What each tier gives and what may slip through: docs/explanation/threat-model.md.
"""

from __future__ import annotations

from jailpy.layers import Need
from jailpy.profile.model import TIERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.host.facts import HostFacts
    from jailpy.layers import Planned
    from jailpy.profile.model import Profile

NAMESPACES = frozenset(("user", "mount", "pid", "net", "ipc", "uts", "cgroup-ns"))
WORDS = {
    "no-namespaces": "no namespaces: Landlock, the filter and limits alone; what is not denied by them is the host's",
    "container-root": "no namespaces, root in a container: an own uid, Landlock, the filter and limits",
    "no-proc": "no /proc of the jail's own",
    "no-cgroup": "no cgroup: rlimits, and a supervisor that looks again and again, between whose looks something may slip",
}


def may_be_plain(profile: Profile, excused: tuple[str, ...]) -> bool:
    """Say whether a launch without namespaces is thinkable: none of them is required and not excused."""
    return not NAMESPACES.intersection(profile.require.layers) - set(excused)


def without_proc(profile: Profile, host: HostFacts) -> Profile:
    """Return the profile as this host lets it be: without /proc where that is refused and accepted (the tier "no-proc")."""
    if not host.proc_refused:
        return profile
    return profile.replace(filesystem=profile.filesystem.replace(proc="none"))


def in_force(layers: tuple[Planned, ...]) -> tuple[str, ...]:
    """Return the names of the tiers that any layer stands on, in the order of `TIERS`."""
    found = {tier for layer in layers for tier in layer.tiers}
    return tuple(tier for tier in TIERS if tier in found)


def satisfies(layer: Planned, accepted: tuple[str, ...]) -> bool:
    """Say whether a layer does where it is required: enforced, off, or by tiers that are all accepted."""
    return layer.state in ("enforced", "off") or (bool(layer.tiers) and set(layer.tiers) <= set(accepted))


def unaccepted(layers: tuple[Planned, ...], accepted: tuple[str, ...], excused: tuple[str, ...]) -> Iterator[Need]:
    """Yield a need for each tier that a layer stands on and that neither the profile nor the caller accepts."""
    for layer in layers:
        for tier in layer.tiers:
            if tier not in accepted and layer.name not in excused:
                fix = f'accept the tier: require.tiers = ["{tier}"]'
                yield Need(layer.name, f"an enforced {layer.name} layer", f"here only by the tier {tier} ({WORDS[tier]})", fix)


def words(tier: str) -> str:
    """Return a line that names a tier and says what it means."""
    return f"tier {tier}: {WORDS[tier]}"
