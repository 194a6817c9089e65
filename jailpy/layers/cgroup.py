"""cgroups: memory, pids, cpu and io of the whole run, in one fresh group. Parent side.

Version 2 where a delegated tree is found, version 1 where its folders are writable, both side by side on hybrid hosts.
See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from jailpy.layers import Context, Need, Planned
from jailpy.steps import Step, cgroups, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.cgroups import Base, CgroupFacts
    from jailpy.profile.model import Limits

NAME = "cgroup"
_PERIOD_US = 100_000


def plan(context: Context) -> Planned:
    """Plan the run's group, its limits, and the way into it."""
    facts, limits = context.host.cgroups, context.profile.limits
    if not context.wants(NAME):
        return Planned(NAME, "off", "the caller's own cgroup")
    missing = tuple(name for name in _needed(limits) if not facts.has(name))
    if not facts.bases:
        return Planned(NAME, "absent", "no cgroup of its own", needs=_needs(context, missing))
    steps: list[Step] = _entry(facts)
    for base in facts.bases:
        steps.append(cgroups.MakeCgroup(parent=base.path, controllers=base.controllers, version=base.version))
        steps += _limit_steps(base, limits)
    if context.tier:
        steps.append(cgroups.JoinGroups())
    elif any(base.version == 1 for base in facts.bases):
        steps.append(cgroups.JoinCgroup())
    affinity = _affinity(context)
    steps += affinity
    notes = ("cpus is degraded: without a cpu controller it is by processor affinity",) if affinity else ()
    versions = " and ".join(sorted({f"version {base.version}" for base in facts.bases}))
    given = ", ".join(name for base in facts.bases for name in base.controllers)
    if missing:
        return Planned(
            NAME,
            "degraded",
            f"{versions}: {given}; without {', '.join(missing)}",
            tuple(steps),
            _needs(context, missing),
            notes,
        )
    return Planned(NAME, "enforced", f"{versions}: {given}", tuple(steps), notes=notes)


def _needed(limits: Limits) -> list[str]:
    wanted = (("memory", limits.memory), ("pids", limits.processes), ("cpuacct", limits.cpu))
    return [name for name, value in wanted if value is not None]


def _entry(facts: CgroupFacts) -> list[Step]:
    if facts.via == "scope":
        return [cgroups.EnterScope(base=facts.bases[0].path)]
    if facts.via == "leaf":
        return [cgroups.EnterLeaf(base=facts.bases[0].path, controllers=facts.bases[0].controllers)]
    return []


def _limit_steps(base: Base, limits: Limits) -> list[Step]:
    make = _version2 if base.version == 2 else _version1
    return make(base.path, base.controllers, limits)


def _version2(parent: str, controllers: tuple[str, ...], limits: Limits) -> list[Step]:
    files: list[tuple[str, str, bool]] = []
    if "memory" in controllers and limits.memory is not None:
        files += [("memory.max", str(limits.memory), True), ("memory.swap.max", str(limits.swap), False)]
        files.append(("memory.oom.group", "1", True))
    if "pids" in controllers and limits.processes is not None:
        files.append(("pids.max", str(limits.processes + 1), True))
    if "cpu" in controllers and limits.cpus is not None:
        files.append(("cpu.max", f"{_quota(limits.cpus)} {_PERIOD_US}", True))
    return [cgroups.SetCgroupLimit(parent=parent, file=file, value=value, required=required) for file, value, required in files]


def _version1(parent: str, controllers: tuple[str, ...], limits: Limits) -> list[Step]:
    files: list[tuple[str, str, bool]] = []
    if "memory" in controllers and limits.memory is not None:
        files.append(("memory.limit_in_bytes", str(limits.memory), True))
        files.append(("memory.memsw.limit_in_bytes", str(limits.memory + limits.swap), False))
    if "pids" in controllers and limits.processes is not None:
        files.append(("pids.max", str(limits.processes + 1), True))
    if "cpu" in controllers and limits.cpus is not None:
        files += [("cpu.cfs_period_us", str(_PERIOD_US), True), ("cpu.cfs_quota_us", str(_quota(limits.cpus)), True)]
    return [cgroups.SetCgroupLimit(parent=parent, file=file, value=value, required=required) for file, value, required in files]


def _quota(cpus: float) -> int:
    return max(1000, int(cpus * _PERIOD_US))


def _affinity(context: Context) -> list[Step]:
    cpus = context.profile.limits.cpus
    if cpus is None or context.host.cgroups.has("cpu"):
        return []
    return [process.SetAffinity(count=max(1, round(cpus)))]


def _needs(context: Context, missing: tuple[str, ...]) -> tuple[Need, ...]:
    facts, uid = context.host.cgroups, context.host.euid
    reasons = dict(facts.missing)
    if facts.own:
        fix = "start it in a group of its own: systemd-run --user --scope -p Delegate=yes, or DelegateSubgroup= in the unit"
    else:
        fix = f"as root, once: make a folder jailpy-{uid} owned by uid {uid} in each hierarchy (jailpy doctor prints the lines)"
    return tuple(Need(NAME, f"the {name} controller", reasons.get(name, "it is not there"), fix) for name in missing)
