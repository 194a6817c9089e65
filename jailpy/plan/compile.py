"""Compile: ask every layer, check what the profile requires, order the steps. Parent side, pure."""

from __future__ import annotations

from jailpy.errors import HostError, and_more
from jailpy.frozen import Frozen
from jailpy.layers import (
    Context,
    Need,
    Planned,
    apparmor,
    cgroup,
    landlock,
    mount,
    namespaces,
    privileges,
    rlimits,
    seccomp,
    user,
)
from jailpy.plan import tiers, view
from jailpy.plan.order import ordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from jailpy.host.facts import HostFacts
    from jailpy.host.fixes import Remedy
    from jailpy.layers import Command
    from jailpy.profile.model import Profile
    from jailpy.steps import Step

PLANNERS: dict[str, Callable[[Context], Planned]] = {
    "user": user.plan,
    "mount": mount.plan,
    "pid": namespaces.plan_pid,
    "net": namespaces.plan_net,
    "ipc": namespaces.plan_ipc,
    "uts": namespaces.plan_uts,
    "cgroup-ns": namespaces.plan_cgroup_namespace,
    "capabilities": privileges.plan_capabilities,
    "no-new-privs": privileges.plan_no_new_privs,
    "seccomp": seccomp.plan,
    "landlock": landlock.plan,
    "apparmor": apparmor.plan,
    "cgroup": cgroup.plan,
    "rlimits": rlimits.plan,
}


class Plan(Frozen):
    """The ordered steps, and what each layer will do.

    `excused` are the layers of --allow-missing, `tiers` the weaker tiers in force, `shared` the positions of the steps that are
    the same for every run (jailpy/plan/view.py). `kinds` has the steps by type, but the last; it stays the same where another
    command takes a plan over, so a script in it may be another's. `launcher` are the steps that the launcher applies.
    """

    profile: Profile
    host: HostFacts
    command: Command
    steps: tuple[Step, ...]
    layers: tuple[Planned, ...]
    excused: tuple[str, ...]
    tiers: tuple[str, ...]
    shared: range
    kinds: dict[type[Step], tuple[Any, ...]]
    launcher: tuple[Step, ...]

    def of(self, kind: type[Any]) -> tuple[Any, ...]:
        """Return the steps of exactly this type, in order."""
        return self.kinds.get(kind, ())

    def phase(self, position: int) -> str:
        """Return the phase of a step in the order (jailpy/plan/order.py)."""
        return view.PHASE if position in self.shared else self.steps[position].phase


class Rejection(Frozen):
    """Why this profile cannot run on this host: every unmet need."""

    needs: tuple[Need, ...]

    def error(self, remedies: dict[str, Remedy]) -> HostError:
        """Make the error that says so in one line, with the fix of each layer; `remedies` know better than the plan."""
        first = self.needs[0]
        why = remedies[first.layer].cause if first.layer in remedies else first.why
        more = and_more(self.needs, ": see jailpy doctor")
        hints: dict[str, None] = {}
        for need in self.needs:
            hints.update(dict.fromkeys(remedies[need.layer].hints() if need.layer in remedies else (need.fix,)))
        hints[f"or accept that it is not enforced: --allow-missing {first.layer}"] = None
        return HostError(f"{first.layer}: {first.what} is missing: {why}{more}", self.needs, tuple(hints))


def _unmet(layer: Planned, accepted: tuple[str, ...]) -> tuple[Need, ...]:
    """Return why a required layer does not do; degraded satisfies only where the profile accepts its tiers by name."""
    if tiers.satisfies(layer, accepted):
        return ()
    fix = f'take it out of what the profile requires: require.layers = ["!{layer.name}"]'
    return layer.needs or (Need(layer.name, f"an enforced {layer.name} layer", layer.mechanism, fix),)


def _tier(profile: Profile, host: HostFacts, excused: tuple[str, ...]) -> str:
    """Return the tier of a launch without namespaces, "" for one with them."""
    if not tiers.may_be_plain(profile, excused):
        return ""
    from jailpy.plan import shape

    return shape.tier(profile, host, excused)


def _planners(context: Context) -> dict[str, Callable[[Context], Planned]]:
    if not context.tier:
        return PLANNERS
    from jailpy.layers import plain  # without namespaces only

    return {**PLANNERS, **plain.PLANNERS}


def _payload(context: Context) -> tuple[Step, ...]:
    if not context.tier:
        return privileges.plan_payload(context)
    from jailpy.layers import plain

    return plain.plan_payload(context)


def compile_plan(profile: Profile, host: HostFacts, command: Command, excused: tuple[str, ...] = ()) -> Plan | Rejection:
    """Compile a plan. A required layer that is not enforced is refused, unless it is `excused`.

    Raises ProfileError, UsageError and HostError for what a launch without namespaces cannot have.
    """
    profile = tiers.without_proc(profile, host)
    context = Context(profile=profile, host=host, command=command, tier=_tier(profile, host, excused))
    layers = tuple(planner(context) for planner in _planners(context).values())
    wanted = set(profile.require.layers) - set(excused)
    unmet = tuple(need for layer in layers if layer.name in wanted for need in _unmet(layer, profile.require.tiers))
    unmet += tuple(tiers.unaccepted(layers, profile.require.tiers, (*excused, *(need.layer for need in unmet))))
    if unmet:
        return Rejection(unmet)
    steps = [step for layer in layers for step in layer.steps]
    in_order, shared = ordered((*steps, *_payload(context)))
    return Plan(
        profile,
        host,
        command,
        in_order,
        layers,
        excused,
        tiers.in_force(layers),
        shared,
        kinds=_kinds(in_order[:-1]),
        launcher=launcher_steps(in_order),
    )


def launcher_steps(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the steps that the launcher applies."""
    return tuple(step for step in steps if step.side == "launcher")


def _kinds(steps: tuple[Step, ...]) -> dict[type[Step], tuple[Step, ...]]:
    found: dict[type[Step], list[Step]] = {}
    for step in steps:
        found.setdefault(type(step), []).append(step)
    return {kind: tuple(those) for kind, those in found.items()}
