"""seccomp: the allow-list of system calls, compiled once and cached. Parent side. See seccomp(2), seccomp_unotify(2)."""

from __future__ import annotations

from jailpy.layers import Context, Planned, seccomp_filter
from jailpy.steps import process

NAME = "seccomp"
_NARROWED = {"no-namespaces": ("without-namespaces", "shared-uid"), "container-root": ("without-namespaces",)}
_OBSERVING = (
    "this run confined little: it observed. System calls that strict would deny were let through and recorded; "
    "what Landlock, mounts or AppArmor would deny cannot be read without root"
)


def _narrow(context: Context) -> tuple[str, ...]:
    """Name the groups that narrow the profile's on this host and in this tier."""
    return (*_NARROWED.get(context.tier, ()), *(("huge-pages",) if context.host.huge_pages else ()))


def _unmeasured(context: Context) -> tuple[str, ...]:
    """Deny memfds where a supervisor watches memory: what is in them no process needs to have mapped."""
    by_hand = context.wants("cgroup") and context.profile.limits.memory is not None and not context.host.cgroups.has("memory")
    return ("memfd_create",) if by_hand and "memfd_create" not in context.profile.seccomp.allow else ()


def _of_init(context: Context) -> tuple[process.FilterInit, ...]:
    """Plan the filter of an init that only waits. Without a pid namespace it has to hunt what outlives the payload."""
    if context.tier in _NARROWED:
        return ()
    return (process.FilterInit(seccomp_filter.init_program(context.host.machine), len(seccomp_filter.INIT_NEEDS) + 1),)


def plan(context: Context) -> Planned:
    """Plan the filter. Raises ProfileError for names that do not exist, HostError where libseccomp is missing."""
    if not context.wants(NAME):
        return Planned(NAME, "off", "not asked for")
    wanted, profile = context.profile.seccomp, context.profile
    extra = () if profile.network.mode == "none" else ("@inet",)
    compiled = seccomp_filter.compiled(
        wanted.allow + extra,
        wanted.deny + _unmeasured(context),
        wanted.violation,
        profile.filesystem.exec,
        context.host.machine,
        rw=context.command.keeps_files or any(source.mode == "rw" for source in context.command.sources),
        narrow=_narrow(context),
    )
    steps = (*_of_init(context), process.LoadFilter(program=compiled.program, rules=compiled.rules, listener=compiled.listener))
    notes = (compiled.note,) if compiled.note else ()
    if wanted.violation == "record":
        notes = (_OBSERVING, *notes)
        return Planned(NAME, "degraded", "records the calls that strict would deny, and lets them through", steps, notes=notes)
    return Planned(NAME, "enforced", f"libseccomp filter, {compiled.rules} rules", steps, notes=notes)
