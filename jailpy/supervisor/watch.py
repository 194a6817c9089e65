"""The supervisor's loop: one poll(2) over everything that a run can say, and the clocks. Parent side.

When `watch` returns, the run is dead: init is reaped, and with it its whole pid namespace.
"""

from __future__ import annotations

import os
import select
import time

from jailpy.child import wire
from jailpy.errors import HostError
from jailpy.host import apparmor
from jailpy.kernel import files
from jailpy.launcher import failure
from jailpy.steps.cgroups import SampleProcesses
from jailpy.steps.process import ApparmorOnExec
from jailpy.supervisor.accounting import Accounting
from jailpy.supervisor.intact import EVERY_S, Intact
from jailpy.supervisor.outcome import Cause, Evidence
from jailpy.supervisor.violations import Violations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource
    from collections.abc import Callable

    from jailpy.launcher.cold import Jail
    from jailpy.supervisor.folder import FolderWatch
    from jailpy.supervisor.sampling import Sampler
    from jailpy.supervisor.signals import Interrupts
    from jailpy.supervisor.streams import Input, Output

_GRACE_S = 1.0
_UNTIL_STARTED = 1 << 30
_EVENTS = select.POLLIN | select.POLLOUT
_LEAST_CPU_CHECK_S = 0.005
_OOM_CHECK_S = 0.002
_IDLE_CPU_S = 0.001


def _folder_watch(jail: Jail) -> FolderWatch | None:
    """Return what watches the work folder, where no tmpfs bounds it."""
    if not jail.work:
        return None
    from jailpy.supervisor.folder import FolderWatch

    return FolderWatch(jail.work, jail.plan.profile.limits)


def _sampler(jail: Jail) -> Sampler | None:
    """Return what watches the run's processes where the plan says that no cgroup does."""
    for step in jail.plan.of(SampleProcesses):
        from jailpy.supervisor.sampling import Sampler

        return Sampler(jail, step)
    return None


class Watch:
    """One run being watched. `cause` is why it was ended from outside, None where it ended by itself."""

    def __init__(self, jail: Jail, outputs: list[Output], source: Input | None, signals: Interrupts) -> None:
        limits = jail.plan.profile.limits
        seccomp = jail.plan.profile.seccomp
        self.jail = jail
        self.limits = limits
        self.outputs = outputs
        self.signals = signals
        self._sampler = _sampler(jail)
        self.accounting = self._sampler or Accounting(jail.groups)
        self.cause: Cause | None = None
        self.record: tuple[bytes, int, int, int, int] | None = None
        self.launched = False
        self.init_usage: resource.struct_rusage | None = None
        self.started_at = 0.0
        self.ended_at = 0.0
        self.violations: Violations | None = None
        if jail.listener >= 0:
            exec_mode = jail.plan.profile.filesystem.exec
            self.violations = Violations(
                jail.listener, seccomp.violation, exec_mode, seccomp.deny, launches=_UNTIL_STARTED, channel=self._channel()
            )
            self.violations.by_name = ("memfd_create",) if self._sampler else ()
        self.folder = _folder_watch(jail)
        self._intact = Intact(jail) if jail.groups.groups else None
        self._intact_at = 0.0
        self._input = source
        self._oom = self._watch_oom()
        self._dead = False
        self._deaf = False
        self._kill_at = 0.0
        self._oom_at = 0.0
        self._oom_until = 0.0
        self._cpu_at = 0.0
        self._idle_since = 0.0
        self._idle_cpu = 0.0
        self._idle_output = 0

    def allowance(self) -> int:
        """Return how many bytes of output are still within the limit."""
        if self.limits.output is None:
            return 1 << 40
        return self.limits.output - sum(output.count for output in self.outputs)

    def run(self) -> None:
        """Let the payload go, and watch it to its end. Raises LaunchError where execve fails."""
        self.accounting.start()
        self.started_at = self._idle_since = time.monotonic()
        self._intact_at = self.started_at + EVERY_S if self._intact else 0.0
        self._plan_cpu_check(self.started_at, 0.0)
        self.jail.execute()
        jail, known = self.jail, None
        while not self._dead:
            if known != (now := self._listened()):
                known, handlers, poll = now, self._handlers(), select.poll()
                for descriptor, (events, _) in handlers.items():
                    poll.register(descriptor, events)
            for descriptor, happened in sorted(poll.poll(self._timeout()), key=lambda ready: ready[0] != self._channel()):
                if happened & _EVENTS or descriptor != jail.listener:
                    handlers[descriptor][1]()
                else:
                    self._deaf = True  # hung up: before Linux 6.11 NOTIF_RECV would block for ever now
            self._check_clocks()
        self.ended_at = time.monotonic()
        if self._intact:
            self._intact.look_at_dead()
        self.init_usage = self.jail.reap()
        self._take_records()
        self.accounting.finish(self.init_usage, self.record[4] << 10 if self.record else 0)
        if self._intact:
            self._intact.finish(self.init_usage, self.accounting)
            if self._intact.strayed:
                self.accounting.distrust()

    def changed(self) -> list[str]:
        """Return in words what became of the run's cgroups while it ran: nothing, unless their owner meddled."""
        return self._intact.changed if self._intact else []

    def stop(self, verdict: str, evidence: Evidence) -> None:
        """End the run, for the first cause that asks."""
        if self.cause is None:
            self.cause = Cause(verdict, evidence)
        self.jail.kill()

    def _channel(self) -> int:
        return self.jail.channel.fileno() if self.jail.channel else -1

    def _listened(self) -> tuple[object, ...]:
        """Return all that changes what is listened to."""
        outputs = tuple(output.interest() if output.source >= 0 else None for output in self.outputs)
        return self.jail.status, self.jail.channel, self._deaf, self._input and self._input.interest(), outputs

    def _handlers(self) -> dict[int, tuple[int, Callable[[], None]]]:
        jail = self.jail
        handlers: dict[int, tuple[int, Callable[[], None]]] = {
            jail.pidfd: (select.POLLIN, self._on_death),
            self.signals.fileno(): (select.POLLIN, self._on_signal),
        }
        if jail.status >= 0:
            handlers[jail.status] = (select.POLLIN, self._take_records)
        if jail.channel:
            handlers[self._channel()] = (select.POLLIN, self._on_channel)
        if self.violations and not self._deaf:
            handlers[self.violations.fileno()] = (select.POLLIN, self._on_violation)
        if self._oom >= 0:
            handlers[self._oom] = (select.POLLIN, self._on_oom)
        for output in self.outputs:
            if output.source >= 0:
                descriptor, events = output.interest()
                handlers[descriptor] = (events, self._output_handler(output))
        if self._input:
            descriptor, events = self._input.interest()
            handlers[descriptor] = (events, self._on_input)
        return handlers

    def _on_death(self) -> None:
        self._dead = True

    def _take_records(self) -> None:
        while self.jail.status >= 0:
            record = os.read(self.jail.status, wire.STATUS_SIZE)
            if not record:
                os.close(self.jail.status)
                self.jail.status = -1
            elif record[:1] == wire.ENDED:
                self.record = wire.unpack_status(record)
            else:
                self._suspend()
                return
            if not self._dead and self.jail.status >= 0:
                return

    def _suspend(self) -> None:
        """Stop together with a payload that was stopped at its terminal, but not once it is to end."""
        if self.cause is None:
            self.cause = self.signals.suspend(self.jail, self._look_at_clocks)

    def _look_at_clocks(self) -> tuple[Cause | None, float]:
        """End the run where a clock says so; return why, and in how many seconds to look again."""
        self._check_clocks()
        return self.cause, self._timeout() / 1000

    def _on_channel(self) -> None:
        """Take the set-up channel's end, which is the success of execve, or the message that it failed."""
        assert self.jail.channel is not None
        try:
            message = self.jail.channel.recv(64)
            self.launched = True
        except ConnectionResetError:  # a word of ours was never read: a step failed, or killed from outside before execve
            message = self.jail.channel.recv(64)
        if message[:1] == wire.FAILED:
            raise failure.from_message(self.jail.plan, message)
        if self.violations:
            self.violations.started()
        self.jail.channel.close()
        self.jail.channel = None
        if self.launched:
            self._check_apparmor()

    def _check_apparmor(self) -> None:
        """See that execve entered the AppArmor profile; a payload that has ended already cannot be looked at."""
        wanted = next((step.profile for step in self.jail.plan.of(ApparmorOnExec)), "")
        if not wanted:
            return
        try:
            label = files.read(f"/proc/{self.jail.payload}/attr/apparmor/current").strip()
        except OSError:
            return
        state = next(layer.state for layer in self.jail.plan.layers if layer.name == ApparmorOnExec.layer)
        if not apparmor.holds(label, wanted, enforced=state == "enforced"):
            self.stop("internal_error", Evidence(source=f"apparmor: the payload runs as {label}, not enforced in {wanted}"))
        self.jail.verified["apparmor"] = f"the payload's label is {label}"

    def _on_violation(self) -> None:
        assert self.violations is not None
        if not self.violations.handle():
            return
        if self.violations.failure:
            self.stop("internal_error", Evidence(source=self.violations.failure))
        else:
            self.stop("security_violation", Evidence(source="seccomp user notification: see violations"))

    def _output_handler(self, output: Output) -> Callable[[], None]:
        return lambda: self.pass_on(output)

    def pass_on(self, output: Output) -> None:
        """Read or write one chunk of an output. Too much of it, or a target that takes none, ends the run."""
        more = output.step(self.allowance())
        if output.error:
            words = f"writing the payload's output failed: {output.error.strerror}"
            self.stop("internal_error", Evidence(source=words))
        left = self.allowance()
        if left < 0:
            limit = self.limits.output
            self.stop("output_limit", Evidence("output", limit, (limit or 0) - left, "bytes read from the payload's pipes"))
        if not more or (left < 0 and not output.pending):
            output.close()

    def _on_input(self) -> None:
        assert self._input is not None
        if not self._input.step():
            self.close_input()

    def close_input(self) -> None:
        """Close the payload's standard input: end of file there. A terminal was told, and stays open for its output."""
        if self.jail.stdin >= 0:
            os.close(self.jail.stdin)
            self.jail.stdin = -1
        if self._input:
            self._input.close()
            self._input = None

    def _on_signal(self) -> None:
        number = self.signals.take(self.jail)
        if number and not self._kill_at:
            self.cause = self.cause or Cause("cancelled", Evidence(source=f"signal {number}"))
            self._kill_at = time.monotonic() + _GRACE_S

    def _watch_oom(self) -> int:
        """Ask for an event on a version 1 OOM kill; version 2 kills the whole group by itself (memory.oom.group)."""
        names = self.accounting.oom_event_files()
        if names is None:
            return -1
        event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        control = os.open(names[0], os.O_RDONLY | os.O_CLOEXEC)
        try:
            files.write(names[1], f"{event} {control}")
        except OSError as error:
            raise HostError(f"cgroup: cannot watch for OOM kills: {error.strerror}") from error
        finally:
            os.close(control)
        return event

    def _on_oom(self) -> None:
        os.eventfd_read(self._oom)
        self._oom_at = time.monotonic()
        self._oom_until = self._oom_at + _GRACE_S

    def _check_oom(self, now: float) -> None:
        """Look for the kill that an event announces: version 1 tells of it before it is done and counted."""
        if self.accounting.oom_kills()[0]:
            self.stop("memory_limit", self.memory_evidence())
        self._oom_at = now + _OOM_CHECK_S if now < self._oom_until else 0.0

    def memory_evidence(self) -> Evidence:
        """Return the evidence of an OOM kill."""
        kills, name = self.accounting.oom_kills()
        return Evidence("memory", self.limits.memory, self.accounting.memory_peak()[0], f"{name} oom_kill={kills}")

    def _timeout(self) -> float:
        """Return the milliseconds until the next clock is due."""
        due = [at for at in (self._kill_at, self._cpu_at, self._oom_at, self._intact_at) if at]
        if self._sampler and self.cause is None:
            due.append(self._sampler.next_at)
        if self.limits.wall is not None and self.cause is None:
            due.append(self.started_at + self.limits.wall)
        if self.folder and self.cause is None:
            due.append(self.folder.next_at)
        if self.limits.idle is not None:
            due.append(time.monotonic() + max(self.limits.idle / 10, 0.01))
        if self.cause and not self._kill_at:
            due.append(time.monotonic() + _GRACE_S)
        return max(0.0, (min(due) - time.monotonic()) * 1000) if due else 60_000.0

    def _check_clocks(self) -> None:
        now = time.monotonic()
        if self._dead:
            return
        if self._kill_at and now >= self._kill_at:
            self.stop("cancelled", Evidence())
        if self.limits.wall is not None and now - self.started_at >= self.limits.wall:
            self.stop("wall_limit", Evidence("wall", self.limits.wall, round(now - self.started_at, 6), "CLOCK_MONOTONIC"))
        if self._oom_at and now >= self._oom_at:
            self._check_oom(now)
        if self._sampler and now >= min(self._sampler.next_at, self._cpu_at or self._sampler.next_at):
            self._look(self._sampler)
        if self._cpu_at and now >= self._cpu_at:
            self._check_cpu(now)
        if self.folder and self.cause is None and now >= self.folder.next_at:
            self._look(self.folder)
        if self._intact and now >= self._intact_at:
            self._intact.look(payload=self.record is None)
            self._intact_at = now + EVERY_S
        if self.limits.idle is not None:
            self._check_idle(now)

    def _look(self, watcher: Sampler | FolderWatch) -> None:
        found = watcher.look()
        if found:
            self.stop(found.verdict, found.evidence)

    def _plan_cpu_check(self, now: float, used: float) -> None:
        if self.limits.cpu is None or not self.accounting.counts_cpu():
            return
        rate = self.limits.cpus or self.jail.plan.host.processors
        rate = rate if self.jail.groups.folder("cpu") else self.jail.plan.host.processors
        self._cpu_at = now + max((self.limits.cpu - used) / rate, _LEAST_CPU_CHECK_S)

    def _check_cpu(self, now: float) -> None:
        used = (self.accounting.cpu() or (0.0,))[0]
        if self.limits.cpu is not None and used >= self.limits.cpu:
            self.stop("cpu_limit", Evidence("cpu", self.limits.cpu, used, self.accounting.cpu_source()))
        self._plan_cpu_check(now, used)

    def _check_idle(self, now: float) -> None:
        used = (self.accounting.cpu() or (0.0,))[0]
        seen = sum(output.count for output in self.outputs)
        if used - self._idle_cpu > _IDLE_CPU_S or seen != self._idle_output:
            self._idle_since, self._idle_cpu, self._idle_output = now, used, seen
        elif self.limits.idle is not None and now - self._idle_since >= self.limits.idle:
            quiet = round(now - self._idle_since, 6)
            self.stop("idle_limit", Evidence("idle", self.limits.idle, quiet, f"no output, {self.accounting.cpu_source()}"))

    def close(self) -> None:
        """Close what belongs to watching: the OOM event, the filter's listener, the way to the caller's input."""
        if self._input:
            self._input.close()
        if self.violations:
            self.violations.close()
            self.jail.listener = -1
        if self._oom >= 0:
            os.close(self._oom)
            self._oom = -1
