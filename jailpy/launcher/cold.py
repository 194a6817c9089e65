"""Cold launch: one jail, built now, by this process. Parent side.

launcher ── clone3 ──▶ init ── fork ──▶ payload (parked before execve until `Jail.go`)
   │  set-up channel (SOCK_SEQPACKET): GO down; FAILED, descriptors, READY up; closed by execve
   └─ status pipe, from init: HIDDEN, then how the payload ended
"""

from __future__ import annotations

import _socket
import os
import select

from jailpy.child import wire
from jailpy.child.state import Child
from jailpy.errors import LaunchError
from jailpy.kernel import files
from jailpy.launcher import cgroups, clone, failure
from jailpy.launcher.cgroups import RunCgroups, name_for, start_time
from jailpy.steps import cgroups as cgroup_steps
from jailpy.steps import mounts as mount_steps
from jailpy.steps import process as process_steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource
    from collections.abc import Callable
    from typing import Protocol

    from jailpy.launcher.work import WorkFolder
    from jailpy.plan.compile import Plan

    class Way(Protocol):
        """How init is started and ended: launcher/clone.py, fork.py, and the templates of template.py."""

        def place(self, jail: Jail, /) -> None: ...
        def prepare(self, jail: Jail, /) -> None: ...
        def start(self, jail: Jail, state: Child, /) -> None: ...
        def after(self, jail: Jail, /) -> None: ...
        def kill(self, jail: Jail, /) -> None: ...
        def bury(self, jail: Jail, status: int, /) -> None: ...


_SETUP_TIMEOUT_MS = 60_000
_count = [0, 0]
_prefix: list[str] = []


class Jail:
    """A jail being built, parked, or running. Owns every descriptor, process and cgroup of the run."""

    def __init__(self, plan: Plan, way: Way) -> None:
        self.plan = plan
        self.way = way
        self.groups = RunCgroups(group_name())
        self.slots: dict[int, int] = {}
        self.init = 0
        self.payload = 0
        self.pidfd = -1
        self.channel: _socket.socket | None = None
        self.status = -1
        self.stdin, self.stdout, self.stderr = -1, -1, -1
        self.listener = -1
        self.terminal = -1
        self.command = b""
        self.not_counted = ""
        self.folders: list[int] = []
        self.verified: dict[str, str] = {}
        self.work: WorkFolder | None = None
        self.left = ""

    def offered(self, purpose: str) -> list[tuple[str, int]]:
        """Return (path in the jail, descriptor) of each folder that the child handed over for a purpose.

        Without namespaces there is the work folder to collect from.
        """
        if self.work:
            return [(self.plan.profile.filesystem.workdir.strip("/"), self.work.view)] if purpose == "collect" else []
        steps = self.plan.of(mount_steps.OfferFolder)
        return [(step.path, view) for step, view in zip(steps, self.folders, strict=True) if step.purpose == purpose]

    def go(self) -> None:
        """Give the child the word that it waits for. One that is dead is noticed where its messages are taken."""
        self._say(wire.GO)

    def execute(self) -> None:
        """Let the payload execute its command, which it is told where its steps do not hold it."""
        for at in range(0, len(self.command), wire.PART_SIZE - 1):
            self._say(wire.COMMAND + self.command[at : at + wire.PART_SIZE - 1])
        self.go()

    def _say(self, word: bytes) -> None:
        assert self.channel is not None
        wire.say(self.channel, word)

    def kill(self) -> None:
        """Kill everything that runs in the jail."""
        self.way.kill(self)

    def reap(self) -> resource.struct_rusage:
        """Reap init, which has ended or is about to, and see that nothing outlives it; return what it all used."""
        _, status, usage = os.wait4(self.init, 0)
        self.init = 0
        self.way.bury(self, status)
        return usage

    def close(self) -> None:
        """Kill what is alive, reap init, close every descriptor and remove the cgroups. May be called twice.

        `left` names a cgroup that somebody else keeps busy; the next start removes it.
        """
        try:
            if self.init:
                self._end()
        finally:
            self._let_go()

    def _end(self) -> None:
        try:
            self.kill()
        finally:
            self.reap()

    def _let_go(self) -> None:
        for number in (
            self.pidfd,
            self.status,
            self.stdin,
            self.stdout,
            self.stderr,
            self.listener,
            self.terminal,
            *self.folders,
        ):
            if number >= 0:
                os.close(number)
        self.pidfd = self.status = self.stdin = self.stdout = self.stderr = self.listener = self.terminal = -1
        self.folders.clear()
        if self.channel:
            self.channel.close()
            self.channel = None
        _collect_descriptors()
        try:
            self.groups.remove()
        except OSError as error:
            self.left = f"{error.filename} could not be removed: {error.strerror}"
        if self.work:
            self.work.remove()


def _collect_descriptors() -> None:
    """Have the kernel close what a payload left on its way in sockets that hold each other, and free what is behind it.

    It looks for such ones when a Unix socket is closed (unix(7), net/unix/garbage.c); until then they outlive the run.
    """
    try:
        _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC).close()
    except OSError:  # the next socket that anybody closes does as well
        return


def group_name() -> str:
    """Return a new name for a group of this launcher's."""
    if _count[0] != os.getpid():  # a forked launcher is another one
        _count[:] = os.getpid(), 0
        _prefix[:] = [name_for(os.getpid(), start_time("self"), 0)[:-1]]
    _count[1] += 1
    return f"{_prefix[0]}{_count[1]}"


def _way(plan: Plan) -> Way:
    """Return the module that starts and ends init: with namespaces, or without."""
    if plan.of(process_steps.CloneNamespaces):
        return clone
    from jailpy.launcher import fork

    return fork


def launch(plan: Plan, way: Way | None = None, meanwhile: Callable[[], None] | None = None) -> Jail:
    """Build the jail of a plan and park its payload. Raises LaunchError; nothing of the run is left then.

    `way` starts and ends init; where None is given, it follows from the plan. `meanwhile` is called once the child builds and
    this process would only wait: a good time for imports.
    """
    jail = Jail(plan, way or _way(plan))
    try:
        _before_clone(jail)
        _clone(jail)
        _after_clone(jail)
        if meanwhile:
            meanwhile()
        from jailpy.launcher import verify

        _await_ready(jail)
        jail.verified = verify.verify(plan, jail.payload, jail.groups)
    except BaseException:
        jail.close()
        raise
    finally:
        for slot in jail.slots.values():
            os.close(slot)
    return jail


def _before_clone(jail: Jail) -> None:
    jail.way.place(jail)
    for step in jail.plan.launcher:
        with failure.Applying(step):
            if isinstance(step, cgroup_steps.EnterScope):
                from jailpy.launcher import scope  # D-Bus, on systemd hosts without a delegated group only

                scope.enter(step, jail.groups)
            elif isinstance(step, cgroup_steps.EnterLeaf):
                jail.groups.enter_leaf(step.base, step.controllers)
            elif isinstance(step, cgroup_steps.EnableControllers):
                cgroups.enable(step.base, step.controllers)
            elif isinstance(step, cgroup_steps.MakeCgroup):
                jail.groups.make(step)
            elif isinstance(step, cgroup_steps.SetCgroupLimit):
                jail.groups.limit(step)
            elif isinstance(step, mount_steps.MapSource):
                from jailpy.launcher import sources  # for root with shown paths only

                jail.slots[step.slot] = sources.open_mapped(step)
            elif isinstance(step, mount_steps.HoldScript):
                jail.slots[step.slot] = files.memory(step.name, step.content)
    jail.way.prepare(jail)


def _pipes(jail: Jail) -> tuple[int, int, int]:
    """Make the payload's three pipes, owned by its uid so that it can reopen /dev/stdout; return its ends."""
    stdin, jail.stdin = os.pipe()
    jail.stdout, stdout = os.pipe()
    jail.stderr, stderr = os.pipe()
    os.set_blocking(jail.stdin, False)
    if jail.plan.host.real_root:
        for number in (stdin, stdout, stderr):
            os.fchown(number, *jail.plan.host.outside)
    return stdin, stdout, stderr


def _clone(jail: Jail) -> None:
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    ours.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
    jail.channel = ours
    jail.status, status = os.pipe()
    stdio = _pipes(jail)
    if jail.plan.command.terminal:
        from jailpy.kernel import terminal  # noqa: F401 - the child must not import

    tasks = jail.groups.open_tasks(version2=bool(jail.plan.of(cgroup_steps.JoinGroups)))
    state = Child(theirs.fileno(), status, stdio, jail.slots, tasks)
    state.launchers_end = ours.fileno()
    try:
        jail.way.start(jail, state)
    finally:
        theirs.close()
        for number in (status, *stdio, *tasks):
            os.close(number)


def _after_clone(jail: Jail) -> None:
    jail.way.after(jail)


def _await_ready(jail: Jail) -> None:
    """Take messages until init is hidden and the payload is parked."""
    waiting = {wire.HIDDEN, wire.READY}
    poll = select.poll()
    assert jail.channel is not None
    poll.register(jail.channel.fileno(), select.POLLIN)
    poll.register(jail.status, select.POLLIN)
    while waiting:
        ready = {descriptor for descriptor, _ in poll.poll(_SETUP_TIMEOUT_MS)}
        if not ready:
            raise LaunchError("setting up took over a minute", layer="pid", step="set-up", errno=0)
        if jail.channel.fileno() in ready:  # first: it says why init died
            waiting.discard(_take(jail))
        else:
            waiting.discard(_take_hidden(jail))
            poll.unregister(jail.status)


def _take_hidden(jail: Jail) -> bytes:
    record = os.read(jail.status, wire.STATUS_SIZE)
    if record[:1] != wire.HIDDEN:
        raise failure.init_died()
    return wire.HIDDEN


def _take(jail: Jail) -> bytes:
    """Receive one message of the set-up channel and act on it; return its kind. Raises LaunchError."""
    assert jail.channel is not None
    message, ancillary = wire.receive(jail.channel, 64, 256)
    descriptor, pid = -1, 0
    for _, what, data in ancillary:
        value = int.from_bytes(data[:4], "little")
        descriptor, pid = (value, pid) if what == _socket.SCM_RIGHTS else (descriptor, value)
    kind = message[:1]
    if kind == wire.FAILED:
        raise failure.from_message(jail.plan, message)
    if kind == b"":
        raise failure.init_died()
    if kind == wire.FOLDER:
        jail.folders.append(descriptor)
    elif kind == wire.TERMINAL:
        jail.terminal = descriptor
    elif kind == wire.LISTENER:
        jail.listener = descriptor
    elif kind == wire.READY:
        jail.payload = pid
    return kind
