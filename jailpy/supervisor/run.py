"""Run a jail to its end and say how it ended: supervise, account, collect, decide the verdict. Parent side."""

from __future__ import annotations

import os

from jailpy.steps.mounts import DISK
from jailpy.supervisor.outcome import Cause, Evidence, Outcome, Usage
from jailpy.supervisor.streams import Input, Output, drain
from jailpy.supervisor.watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.launcher.cold import Jail
    from jailpy.profile.model import Limits
    from jailpy.supervisor.signals import Interrupts

_SIGXFSZ, _SIGSYS = 25, 31


def supervise(jail: Jail, streams: tuple[int, int, int], escaped: tuple[bool, bool], signals: Interrupts) -> Outcome:
    """Let a parked payload run between the caller's streams; return once nothing of it is alive.

    `streams` are the caller's descriptors (input -1 for none); `escaped` says which outputs are terminals.
    Raises LaunchError where execve fails.
    """
    outputs, source = _connect(jail, streams, escaped)
    watch = Watch(jail, outputs, source, signals)
    try:
        signals.attach(jail)
        watch.run()
        if source:
            source.give_up()
        drain(outputs, watch.pass_on, signals.interrupted)
        return _outcome(watch)
    finally:
        for output in outputs:
            output.close()
        watch.close()


def _connect(jail: Jail, streams: tuple[int, int, int], escaped: tuple[bool, bool]) -> tuple[list[Output], Input | None]:
    """Pair the payload's streams with the caller's; on a terminal both outputs are one."""
    if jail.terminal >= 0:
        source = Input(streams[0], jail.terminal, is_terminal=True) if streams[0] >= 0 else None
        return [Output(os.dup(jail.terminal), streams[1], escape=False)], source
    outputs = [Output(jail.stdout, streams[1], escaped[0]), Output(jail.stderr, streams[2], escaped[1])]
    jail.stdout = jail.stderr = -1  # the outputs close them
    if streams[0] >= 0:
        return outputs, Input(streams[0], jail.stdin)
    os.close(jail.stdin)
    jail.stdin = -1
    return outputs, None


def _outcome(watch: Watch) -> Outcome:
    usage = _usage(watch)
    exit_code, signal = _status(watch)
    cause = watch.cause or _cause(watch, usage, exit_code, signal)
    verdict = cause.verdict if cause else "ok" if exit_code == 0 else "nonzero_exit" if exit_code is not None else "signaled"
    return Outcome(
        verdict=verdict,
        exit_code=exit_code,
        signal=signal,
        evidence=cause.evidence if cause else None,
        usage=usage,
        violations=tuple(watch.violations.report()) if watch.violations else (),
        violation_count=watch.violations.total if watch.violations else 0,
        notes=_notes(watch, cause),
        weakened=("cgroup",) if watch.changed() else (),
        cancelled_by=watch.signals.sent,
        observed=watch.jail.plan.profile.seccomp.violation == "record",
    )


def _status(watch: Watch) -> tuple[int | None, int | None]:
    """Return (exit code, signal) of the payload; a run killed from outside died of SIGKILL."""
    if watch.record is None:
        return None, 9
    code = os.waitstatus_to_exitcode(watch.record[1])
    return (code, None) if code >= 0 else (None, -code)


def _cause(watch: Watch, usage: Usage, exit_code: int | None, signal: int | None) -> Cause | None:
    """Decide what the evidence says of a run that nobody ended: a refusal counts only beside a failure."""
    limits, accounting = watch.limits, watch.accounting
    if accounting.oom_kills()[0]:
        return Cause("memory_limit", watch.memory_evidence())
    if watch.record is None:
        return Cause("internal_error", Evidence(source="init was killed from outside; how the payload ended is not known"))
    if not watch.launched:
        return Cause("internal_error", Evidence(source="the payload was killed from outside before it ran"))
    if exit_code == 0:
        return None
    if signal in (_SIGXFSZ, _SIGSYS):
        return _by_signal(signal, limits)
    if limits.cpu is not None and usage.cpu_s is not None and usage.cpu_s >= limits.cpu:
        return Cause("cpu_limit", Evidence("cpu", limits.cpu, usage.cpu_s, dict(usage.sources)["cpu_s"]))
    refusals = accounting.process_refusals()
    if refusals:
        evidence = Evidence("processes", limits.processes, usage.processes_peak, f"pids.events max={refusals}")
        return Cause("process_limit", evidence)
    return watch.folder.look() if watch.folder else _disk_cause(watch.jail)


def _by_signal(signal: int | None, limits: Limits) -> Cause:
    """Name what the kernel killed for by a signal of its own."""
    if signal == _SIGXFSZ:
        return Cause("file_size_limit", Evidence("file_size", limits.file_size, None, "SIGXFSZ"))
    return Cause("security_violation", Evidence(source="SIGSYS: the filter kills system calls of another architecture"))


def _disk_cause(jail: Jail) -> Cause | None:
    """Tell whether one of the jail's tmpfs was full at the end, in bytes or in inodes."""
    for path, view in jail.offered("disk"):
        found = os.fstatvfs(view)
        source = f"fill of /{path} (statfs)" if path != DISK else "fill of the jail's tmpfs (statfs)"
        if not found.f_bfree:
            size = found.f_blocks * found.f_frsize
            return Cause("disk_limit", Evidence("disk", min(size, jail.plan.profile.limits.disk), size, source))
        if not found.f_ffree:
            return Cause("disk_limit", Evidence("inodes", found.f_files, found.f_files, source))
    return None


def _notes(watch: Watch, cause: Cause | None) -> tuple[str, ...]:
    found = [*watch.accounting.notes(), *(f"cgroup: {words}" for words in watch.changed())]
    disk, last = watch.limits.disk, watch.folder.last if watch.folder else None
    if last and last.bytes > disk and cause is None:
        found.append(f"the work folder held more than the disk limit at the end ({last.bytes} bytes), between two looks")
    return tuple(found)


def _usage(watch: Watch) -> Usage:
    accounting, sources = watch.accounting, {"wall_s": "CLOCK_MONOTONIC"}
    total: float | None
    user: float | None
    system: float | None
    measured = accounting.cpu()
    if measured:
        total, user, system = measured
        sources["cpu_s"] = accounting.cpu_source()
    elif watch.init_usage and watch.record:  # what is killed together with init is in nobody's sum
        user, system = watch.init_usage.ru_utime, watch.init_usage.ru_stime
        total = round(user + system, 6)
        sources["cpu_s"] = "wait4 rusage of init and all that ended before it"
    else:
        total = user = system = None
    memory, how = accounting.memory_peak()
    left_out = f", without {watch.jail.not_counted}" if watch.jail.not_counted else ""
    sources["memory_peak_bytes"] = how + left_out if memory is not None else ""
    processes, sources["processes_peak"] = accounting.processes_peak()
    disk, inodes = _fill(watch)
    io = accounting.io_bytes()
    if io:
        sources["io_read_bytes"] = sources["io_written_bytes"] = "cgroup2 io.stat"
    if disk is not None:
        sources["disk_bytes"] = sources["inodes"] = (
            "a look at the work folder" if watch.folder else "statfs of the jail's tmpfs"
        )
    counts = [output.count for output in watch.outputs] + [0]
    return Usage(
        wall_s=round(watch.ended_at - watch.started_at, 6),
        cpu_s=total,
        user_s=user,
        system_s=system,
        memory_peak_bytes=memory,
        memory=tuple(accounting.memory_breakdown().items()),
        processes_peak=processes,
        io_read_bytes=io[0] if io else None,
        io_written_bytes=io[1] if io else None,
        disk_bytes=disk,
        inodes=inodes,
        stdout_bytes=counts[0],
        stderr_bytes=counts[1],
        sources=tuple((name, source) for name, source in sources.items() if source),
    )


def _fill(watch: Watch) -> tuple[int | None, int | None]:
    """Return the bytes and inodes in use after the run: in the jail's tmpfs, all of them together, or the work folder."""
    if watch.folder:
        watch.folder.look()
        last = watch.folder.last
        return (last.bytes, last.inodes) if last else (None, None)
    found = [os.fstatvfs(view) for _, view in watch.jail.offered("disk")]
    if not found:
        return None, None
    return sum((fs.f_blocks - fs.f_bfree) * fs.f_frsize for fs in found), sum(fs.f_files - fs.f_ffree for fs in found)
