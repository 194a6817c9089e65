"""cgroups: memory, pids, cpu and io of the whole run, in one fresh group. Parent side.

Version 2 where a delegated tree is found, version 1 where its folders are writable, both side by side on hybrid hosts.
What no controller bounds, the supervisor watches in /proc: the tier "no-cgroup".
See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from jailpy.layers import Context, Need, Planned, rlimits
from jailpy.steps import Step, cgroups, process, size_words

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
    if not facts.bases and not missing:
        return Planned(NAME, "absent", "no cgroup of its own, and no limit that needs one")
    steps: list[Step] = _entry(facts)
    for base in facts.bases:
        steps.append(cgroups.MakeCgroup(parent=base.path, controllers=base.controllers, version=base.version))
        steps += _limit_steps(base, context)
    if context.tier and facts.bases:
        steps.append(cgroups.JoinGroups())
    elif any(base.version == 1 for base in facts.bases):
        steps.append(cgroups.JoinCgroup())
    affinity = _affinity(context)
    steps += affinity
    notes = (*_tighter(facts, limits), *_without_device(context), *_of_sockets(facts, context))
    if affinity:
        notes = ("cpus is degraded: without a cpu controller it is by processor affinity", *notes)
    versions = " and ".join(sorted({f"version {base.version}" for base in facts.bases}))
    given = ", ".join(name for base in facts.bases for name in base.controllers)
    if not missing:
        return Planned(NAME, "enforced", f"{versions}: {given}", tuple(steps), notes=notes)
    have = f"{versions}: {given}; without {', '.join(missing)}" if facts.bases else "no cgroup"
    needs = _needs(context, missing)
    if missing == ("io",):
        return Planned(NAME, "degraded", have, tuple(steps), needs, notes)
    steps.append(_watched(context, missing))
    notes = (*notes, *_slips(context, missing))
    return Planned(NAME, "degraded", f"{have}: rlimits and a watching supervisor", tuple(steps), needs, notes, ("no-cgroup",))


def _watched(context: Context, missing: tuple[str, ...]) -> Step:
    limits = context.profile.limits
    memory = limits.memory + limits.swap if "memory" in missing and limits.memory is not None else None
    counted = "pids" not in missing or rlimits.counts_tasks(context)
    return cgroups.SampleProcesses(memory=memory, processes=None if counted else limits.processes)


def _slips(context: Context, missing: tuple[str, ...]) -> list[str]:
    """Say what a supervisor that looks again and again does not see."""
    found = []
    if "memory" in missing:
        net = f"RLIMIT_DATA bounds each process to {size_words(rlimits.data(context.profile.limits) or 0)}"
        found.append(
            "memory is sampled: a burst between two looks, memory that no process has mapped (in pipes and sockets, "
            f"shared mappings let go, the kernel's own) slips through; {net}"
        )
    if "cpuacct" in missing:
        found.append(
            "cpu is sampled: what children used that end between two looks and that nobody waits for slips through; "
            "RLIMIT_CPU bounds each process"
        )
    if "pids" in missing:
        where = "for the run's own uid" if context.tier else "in the jail's own user namespace"
        exact = f"RLIMIT_NPROC refuses exactly, {where}; a refusal leaves no evidence"
        found.append(
            f"processes: {exact if rlimits.counts_tasks(context) else 'sampled, a burst between two looks slips through'}"
        )
    if "io" in missing:
        found.append("io is not limited: nothing but its controller can")
    return found


def _needed(limits: Limits) -> list[str]:
    wanted = (("memory", limits.memory), ("pids", limits.processes), ("cpuacct", limits.cpu), ("io", limits.io))
    return [name for name, value in wanted if value is not None]


def _tighter(facts: CgroupFacts, limits: Limits) -> tuple[str, ...]:
    """Name the limits of groups around the run's that are lower than its own: they act first."""
    wanted = {"memory.max": limits.memory, "memory.high": limits.memory, "pids.max": limits.processes}
    return tuple(
        f"{file} of {folder} is {value}: lower than this profile's limit, for all that runs in there together"
        for file, value, folder in facts.around
        if (limit := wanted[file]) is not None and value < limit
    )


def _of_sockets(facts: CgroupFacts, context: Context) -> tuple[str, ...]:
    """Say which memory of TCP and UDP the group's limit does not bound."""
    if context.profile.network.mode == "none" or context.profile.limits.memory is None or not facts.has("memory"):
        return ()
    found = ["memory: the kernel counts a connection once it is accepted; before that the host's net.ipv4.tcp_mem bounds it"]
    if any(base.version == 1 and "memory" in base.controllers for base in facts.bases):
        found.append("memory: TCP and UDP sockets have a limit of their own (version 1), as much again as limits.memory")
    return tuple(found)


def _without_device(context: Context) -> tuple[str, ...]:
    return tuple(f"io: no block device to limit behind {path}" for path in context.command.without_device)


def _entry(facts: CgroupFacts) -> list[Step]:
    """Plan what the launcher does before it can make a group."""
    make = {"scope": cgroups.EnterScope, "leaf": cgroups.EnterLeaf, "enable": cgroups.EnableControllers}
    return [make[facts.via](base=base.path, controllers=base.controllers) for base in facts.bases[:1] if facts.via]


def _limit_steps(base: Base, context: Context) -> list[Step]:
    limits = context.profile.limits
    files = _version1(base.controllers, context) if base.version == 1 else _version2(base.controllers, limits)
    if "io" in base.controllers and limits.io is not None:
        files += [("io.max", f"{device} rbps={limits.io} wbps={limits.io}", True) for device in context.command.devices]
    return [cgroups.SetCgroupLimit(base.path, file, value, required) for file, value, required in files]


def _version2(controllers: tuple[str, ...], limits: Limits) -> list[tuple[str, str, bool]]:
    files: list[tuple[str, str, bool]] = []
    if "memory" in controllers and limits.memory is not None:
        files += [("memory.max", str(limits.memory), True), ("memory.swap.max", str(limits.swap), False)]
        files.append(("memory.oom.group", "1", True))
    if "pids" in controllers and limits.processes is not None:
        files.append(("pids.max", str(limits.processes + 1), True))
    if "cpu" in controllers and limits.cpus is not None:
        files.append(("cpu.max", f"{_quota(limits.cpus)} {_PERIOD_US}", True))
    return files


def _version1(controllers: tuple[str, ...], context: Context) -> list[tuple[str, str, bool]]:
    files: list[tuple[str, str, bool]] = []
    limits = context.profile.limits
    if "memory" in controllers and limits.memory is not None:
        files.append(("memory.limit_in_bytes", str(limits.memory), True))
        files.append(("memory.memsw.limit_in_bytes", str(limits.memory + limits.swap), False))
        if context.profile.network.mode != "none":  # what TCP and UDP hold counts nowhere until this is written
            files.append(("memory.kmem.tcp.limit_in_bytes", str(limits.memory), True))
    if "pids" in controllers and limits.processes is not None:
        files.append(("pids.max", str(limits.processes + 1), True))
    if "cpu" in controllers and limits.cpus is not None:
        files += [("cpu.cfs_period_us", str(_PERIOD_US), True), ("cpu.cfs_quota_us", str(_quota(limits.cpus)), True)]
    return files


def _quota(cpus: float) -> int:
    return max(1000, int(cpus * _PERIOD_US))


def _affinity(context: Context) -> list[Step]:
    cpus = context.profile.limits.cpus
    if cpus is None or context.host.cgroups.has("cpu"):
        return []
    return [process.SetAffinity(count=max(1, round(cpus)))]


def _needs(context: Context, missing: tuple[str, ...]) -> tuple[Need, ...]:
    reasons, fix = dict(context.host.cgroups.missing), "jailpy doctor prints the lines that give this account a group"
    return tuple(Need(NAME, f"the {name} controller", reasons.get(name, "it is not there"), fix) for name in missing)
