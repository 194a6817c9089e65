"""With namespaces or without: decided once, before any layer plans. Parent side, pure; imported where that is a question.

A profile that wants none of `NAMESPACES` is always launched without them, the same on every host. One that only prefers
them, and one whose layers are all excused by --allow-missing, has them where the host does. See docs/adr/0006-tiers.md.
"""

from __future__ import annotations

from jailpy.errors import HostError, ProfileError
from jailpy.layers import Need
from jailpy.plan.tiers import NAMESPACES, may_be_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.facts import HostFacts
    from jailpy.profile.model import Profile

PLAIN_TIERS = ("no-namespaces", "container-root")
_SCOPES = 6
_CAPABILITIES = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SETPCAP": 8}
_CHROOT = {"CAP_SYS_CHROOT": 18}


def tries_namespaces(profile: Profile) -> bool:
    """Say whether the profile wants any namespace."""
    return not NAMESPACES.isdisjoint((*profile.require.layers, *profile.require.prefer))


def tier(profile: Profile, host: HostFacts, excused: tuple[str, ...]) -> str:
    """Return the tier of a launch without namespaces, "" for one with them.

    Raises ProfileError where the profile cannot be meant so, HostError where this host cannot hold the tier.
    """
    if host.plain is None or not may_be_plain(profile, excused) or (tries_namespaces(profile) and not host.plain.refused):
        return ""
    name = "container-root" if host.real_root else "no-namespaces"
    if not tries_namespaces(profile):
        _accepted(profile, name)
    _check_host(profile, host, name)
    return name


def _accepted(profile: Profile, name: str) -> None:
    """Refuse a profile that wants no namespaces and does not say by which name it accepts that."""
    accepted = [each for each in PLAIN_TIERS if each in profile.require.tiers]
    if not accepted:
        words = f"{profile.name}: require: expected a namespace layer, or the tier that does without"
        raise ProfileError(words, hints=[f'accept it by name: require.tiers = ["{name}"]'])
    if name not in accepted:
        who = "root" if name == "container-root" else "an ordinary user"
        words = f"user: started by {who} this would be the tier {name}, and {profile.name} accepts {accepted[0]} only"
        other = "start it as root" if name == "no-namespaces" else "start it as an ordinary user"
        raise _cannot("user", words, f'{other}, or accept it: require.tiers = ["{name}"]')


def _check_host(profile: Profile, host: HostFacts, name: str) -> None:
    if name == "container-root":
        _check_capabilities(profile, host)
    elif host.landlock_abi < _SCOPES:
        words = f"landlock: without a pid namespace only Landlock ABI {_SCOPES} (Linux 6.12) keeps signals inside"
        fix = f"this kernel offers ABI {host.landlock_abi}: use Linux 6.12 or newer, or start JailPy as root"
        raise _cannot("landlock", words, fix)


def _check_capabilities(profile: Profile, host: HostFacts) -> None:
    wanted = _CAPABILITIES if profile.filesystem.root == "system" else {**_CAPABILITIES, **_CHROOT}
    held = host.plain.capabilities if host.plain else 0
    missing = [capability for capability, bit in wanted.items() if not held >> bit & 1]
    if missing:
        words = f"user: root lacks {', '.join(missing)} here, so that no uid of its own can be had"
        raise _cannot("user", words, f"start the container with --cap-add {','.join(missing)} (Docker's default has them)")


def _cannot(layer: str, words: str, fix: str) -> HostError:
    """Make the error that this host cannot hold the tier."""
    return HostError(words, (Need(layer, f"the {layer} layer", words, fix),), [fix])
