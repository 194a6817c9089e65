"""Resource limits of each process: what cgroups do not bound. Parent side. See getrlimit(2)."""

from __future__ import annotations

import resource

from jailpy.layers import Context, Planned
from jailpy.steps import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.profile.model import Limits

_MEMLOCK = 65536
_PENDING_SIGNALS = 1024
_SPARE_TASKS = 8  # above the pids controller's limit, so that its event is the evidence


def _wanted(context: Context) -> dict[str, int | None]:
    limits = context.profile.limits
    wanted: dict[str, int | None] = {
        "NOFILE": limits.open_files,
        "FSIZE": _file_size(context),
        "CORE": 1,  # 1, not 0: a core_pattern that is a pipe ignores 0 and runs a host program (core(5))
        "STACK": limits.stack,
        "MEMLOCK": _MEMLOCK,
        "NICE": 0,
        "RTPRIO": 0,
        "MSGQUEUE": 0,
        "SIGPENDING": _PENDING_SIGNALS,
    }
    if limits.processes is not None:
        wanted["NPROC"] = _tasks(context, limits.processes)
    if limits.cpu is not None and not (context.wants("cgroup") and context.host.cgroups.has("cpuacct")):
        wanted["CPU"] = int(limits.cpu) + 1
    if context.wants("cgroup") and not context.host.cgroups.has("memory"):
        wanted["DATA"] = data(limits)
    return wanted


def _tasks(context: Context, most: int) -> int | None:
    """Return RLIMIT_NPROC: exact where it counts the run alone; else what this account has besides, as a last bound."""
    by_group = context.host.cgroups.has("pids")
    if counts_tasks(context):
        init = 0 if context.tier else 1  # without a user namespace init has another uid
        return most + init + (_SPARE_TASKS if by_group else 0)
    return context.host.plain.tasks + most + _SPARE_TASKS if context.host.plain and not by_group else None


def _file_size(context: Context) -> int | None:
    """Without a mount namespace no tmpfs bounds a file by the disk limit."""
    limits = context.profile.limits
    if not context.tier or limits.file_size is None:
        return limits.disk if context.tier else limits.file_size
    return min(limits.disk, limits.file_size)


def counts_tasks(context: Context) -> bool:
    """Say whether RLIMIT_NPROC counts the run's tasks alone: by user namespace from Linux 5.14 on, else by the host's uid."""
    return context.tier == "container-root" or (not context.tier and context.host.kernel >= (5, 14))


def data(limits: Limits) -> int | None:
    """Return RLIMIT_DATA in bytes where no cgroup bounds memory: twice the limit, and a stack for each thread.

    It counts what a process could write to, touched or not, so at the limit itself it would refuse honest programs.
    """
    if limits.memory is None:
        return None
    return 2 * (limits.memory + limits.swap) + (limits.stack or 0) * (limits.processes or 0)


def plan(context: Context) -> Planned:
    """Plan the rlimits; a host's lower hard limit is kept."""
    if not context.wants("rlimits"):
        return Planned("rlimits", "off", "the caller's own")
    hard = dict(context.host.hard_limits)
    steps = []
    for name, value in _wanted(context).items():
        if value is not None and name in hard:
            allowed = value if hard[name] < 0 else min(value, hard[name])
            kind = process.LimitOpenFiles if name == "NOFILE" else process.SetRlimit
            steps.append(kind(name=f"RLIMIT_{name}", resource=getattr(resource, f"RLIMIT_{name}"), value=allowed, hard=allowed))
    return Planned("rlimits", "enforced", ", ".join(step.name[7:].lower() for step in steps), tuple(steps))
