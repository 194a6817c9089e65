"""Templates: one process for each view, which init is cloned from; in place of launcher/clone.py when warm. Parent side.

The template has the run's user namespace and a mount namespace with everything of the plan that is the same for each run.
Its key is all that the view depends on: the steps, the ids, the host's mounts, and the files that are shown by themselves.
"""

from __future__ import annotations

import _signal
import _socket
import errno
import fcntl
import marshal
import os

from jailpy import child, rights
from jailpy.child import template, wire
from jailpy.child.state import Child
from jailpy.errors import LaunchError
from jailpy.kernel import files, process
from jailpy.launcher import clone, cold, failure, forking
from jailpy.launcher.cgroups import Home
from jailpy.steps import mounts
from jailpy.steps import process as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jailpy.launcher.cold import Jail
    from jailpy.plan.compile import Plan
    from jailpy.steps import Step

_MOST = 4
_MOST_PROGRAMS = 8
_ONCE = (steps.AwaitIds, steps.BecomeUser)
_TIMEOUT_S = 60.0
_templates: dict[bytes, Template] = {}


class Template:
    """One template process. `place`, `prepare`, `start`, `after`, `kill` and `bury` are those of launcher/clone.py.

    `waiting` are jails of its own that wait for a run, and end with it: their groups are inside that of the template.
    """

    def __init__(self, plan: Plan) -> None:
        self._home = Home(cold.group_name(), plan.host.outside) if plan.host.real_root else None
        self.pid, self._pidfd = 0, -1
        self._learnt: dict[bytes, int] = {}
        self._latest: tuple[tuple[Step, ...], int] = ((), 0)
        self.waiting: list[Jail] = []

    def place(self, jail: Jail) -> None:
        """Let version 2 groups be made where the template may start processes in them, where this launcher is root."""
        jail.groups.home = self._home

    def prepare(self, jail: Jail) -> None:
        """Start the template where it does not run yet. Raises LaunchError."""
        if self.pid == 0:
            self._begin(jail.plan, self._process(jail))

    def _process(self, jail: Jail) -> Callable[[_socket.socket], None]:
        """Return what the template's process does with its end of the control socket; made before the fork."""
        state = Child(-1, -1, (-1, -1, -1), {}, [])
        state.wipe = forking.argument_area()
        program = child.Program(view(jail.plan), state)
        return lambda control: template.serve(state, control, program)

    def _begin(self, plan: Plan, be: Callable[[_socket.socket], None]) -> None:
        self._control, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        self._control.settimeout(_TIMEOUT_S)
        leaf = os.open(self._home.leaf, os.O_RDONLY | os.O_CLOEXEC) if self._home and self._home.leaf else None
        try:
            with forking.Forking(plan.host.real_root):
                self.pid, self._pidfd = process.clone3(process.CLONE_NEWUSER | process.CLONE_NEWNS, cgroup=leaf)
                if self.pid == 0:
                    be(theirs)
        finally:
            theirs.close()
            if leaf is not None:
                os.close(leaf)
        self._map_ids(plan)
        self._await(plan)

    def _map_ids(self, plan: Plan) -> None:
        (step,) = plan.of(steps.MapIds)
        clone.give_ids(self.pid, step, self._control)
        wire.say(self._control, wire.GO)

    def _await(self, plan: Plan) -> None:
        message, _ = wire.receive(self._control, 64)
        if message[:1] == wire.READY:
            return
        self.end()
        if message[:1] == wire.FAILED:
            raise failure.from_message(plan, message)
        raise LaunchError("the template died while setting up", layer="mount", step="set-up", errno=0)

    def start(self, jail: Jail, state: Child) -> None:
        """Let the template clone init, and hand over what is the run's. Raises LaunchError; OSError where it is gone."""
        (step,) = jail.plan.of(steps.CloneNamespaces)
        jail.command = command(jail.plan)
        cgroup = jail.groups.open_version2()
        held = [state.channel, state.status, *state.stdio, *state.slots.values(), *state.tasks]
        try:
            with failure.Applying(step):
                kind, program, bodies = self._program(jail.plan, tuple(state.slots), len(state.tasks))
                held += [*bodies, *([] if cgroup is None else [cgroup])]
                try:
                    self._say(kind, (program, step.flags & ~process.CLONE_NEWUSER, cgroup is not None), held)
                finally:
                    for number in bodies:
                        os.close(number)
                jail.init, jail.pidfd = self._answer()
        finally:
            if cgroup is not None:
                os.close(cgroup)

    def _program(self, plan: Plan, slots: tuple[int, ...], tasks: int) -> tuple[bytes, Any, list[int]]:
        """Return how a clone gets its program: the word to say, its first argument, and descriptors to hand over last.

        Here that is a program's number, which the template is taught where it does not know it. `slots` are those that the
        launcher filled, in their order; `tasks` is how many groups init joins.
        """
        if self._latest[0] == plan.steps[:-1]:
            return template.CLONE, self._latest[1], []
        steps = template.packed(self.rest(plan))
        if steps not in self._learnt:
            if len(self._learnt) == _MOST_PROGRAMS:
                self._learnt.clear()
                self._latest = ((), 0)
            body = files.memory("steps", steps)
            try:
                self._say(template.LEARN, (len(self._learnt), slots, tasks), [body])
            finally:
                os.close(body)
            self._learnt[steps] = len(self._learnt)
        self._latest = plan.steps[:-1], self._learnt[steps]
        return template.CLONE, self._learnt[steps], []

    def rest(self, plan: Plan) -> list[tuple[int, Step]]:
        """Return what is left for init and payload, without the command: that comes by the run's own channel."""
        return [
            (at, step if not isinstance(step, steps.Execute) else steps.Execute((), (), ()))
            for at, step in enumerate(plan.steps)
            if step.side != "launcher" and at not in plan.shared and not isinstance(step, _ONCE)
        ]

    def _say(self, kind: bytes, words: tuple[Any, ...], held: list[int]) -> None:
        rights.send(self._control, kind + marshal.dumps(words, template.MARSHAL), held)

    def _answer(self) -> tuple[int, int]:
        message, ancillary, _, _ = self._control.recvmsg(64, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
        pid = int.from_bytes(message, "little", signed=True)
        if pid <= 0:
            raise OSError(-pid or 32, os.strerror(-pid or 32))
        return pid, rights.received(ancillary)[0]

    def after(self, jail: Jail) -> None:
        """Do what follows: nothing, ids and all that is inherited are those of the template."""

    def kill(self, jail: Jail) -> None:
        """Kill init, and with it the pid namespace."""
        clone.kill(jail)

    def bury(self, jail: Jail, status: int) -> None:
        """Do what is left once init is reaped: nothing."""

    def is_alive(self) -> bool:
        """Say whether the template process is there still, or was not started yet."""
        return self.pid == 0 or os.waitpid(self.pid, os.WNOHANG) == (0, 0)

    def move(self, floor: int) -> None:
        """Move this side's descriptors out of the numbers below `floor`. Raises OSError."""
        if self.pid == 0:
            return
        self._pidfd = files.above(self._pidfd, floor)
        if self._control.fileno() < floor:
            moved = _socket.socket(fileno=fcntl.fcntl(self._control.fileno(), fcntl.F_DUPFD_CLOEXEC, floor))
            moved.settimeout(_TIMEOUT_S)
            self._control.close()
            self._control = moved

    def close(self) -> None:
        """End the template process and the jails that wait, and remove its group.

        One that somebody else keeps busy is left to the next start.
        """
        while self.waiting:
            self.waiting.pop().close()
        if self.pid:
            self.end()
        if self._home:
            try:
                self._home.remove()
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise

    def end(self) -> None:
        """Kill the process and reap it."""
        self._control.close()
        try:
            process.pidfd_send_signal(self._pidfd, _signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):  # killed by somebody, and reaped when it was looked at
            pass
        os.close(self._pidfd)
        self.pid = 0


def view(plan: Plan) -> list[tuple[int, Step]]:
    """Return what the template applies, with positions in the plan."""
    return [(at, step) for at, step in enumerate(plan.steps) if at in plan.shared or isinstance(step, _ONCE)]


def command(plan: Plan) -> bytes:
    """Return what the payload executes, as it reads it before the last word."""
    found = plan.steps[-1]
    assert isinstance(found, steps.Execute)
    return marshal.dumps((found.candidates, found.argv, found.environment))


def of(plan: Plan, key: bytes) -> Template | None:
    """Return the template for a plan and its `key`, made now where there is none; None for a plan that needs a cold launch."""
    if not key:
        return None
    return take(key) or keep(key, Template(plan))


def take(key: bytes) -> Template | None:
    """Return the template that is kept under a key, None where there is none that lives."""
    found = _templates.pop(key, None)
    if found and not found.is_alive():
        found.close()
        return None
    if found:
        _templates[key] = found  # the last one now, and so the last to go
    return found


def keep(key: bytes, made: Template) -> Template:
    """Keep a template, and end another one for it where there are too many."""
    while len(_templates) >= _MOST:
        _templates.pop(next(iter(_templates))).close()
    _templates[key] = made
    return made


def drop(key: bytes) -> None:
    """End the template of a key. Raises OSError where its group stays busy."""
    _templates.pop(key).close()


def pids() -> set[int]:
    """Return the processes of all templates that are kept."""
    return {found.pid for found in _templates.values()}


def close_all() -> None:
    """End every template. Raises OSError where a group stays busy."""
    while _templates:
        _templates.popitem()[1].close()


def make_room(floor: int) -> None:
    """Move what templates hold out of the descriptors below `floor`, which a run wants to hand on. Raises OSError."""
    for found in _templates.values():
        found.move(floor)


def _can_be_cloned(plan: Plan) -> bool:
    handed_over = sum(step.side == "launcher" and hasattr(step, "slot") for step in plan.steps)
    if plan.command.keep or handed_over > template.MOST_SLOTS:
        return False
    return bool(plan.of(steps.CloneNamespaces)) and plan.host.cgroups.has("pids")


def key(plan: Plan) -> bytes:
    """Return everything that the view depends on; b"" for a plan that needs a cold launch.

    That is one without namespaces, one that passes descriptors on, one that shows more files by themselves than one message
    has room for, and one whose process limit rests on RLIMIT_NPROC alone (which counts the template too).
    """
    if not _can_be_cloned(plan):
        return b""
    shown = [step.path for at, step in view(plan) if isinstance(step, mounts.ShowSystem)]
    stamps = [(found.st_dev, found.st_ino) for found in map(os.stat, shown)]
    mounted = files.read("/proc/self/mountinfo", 1 << 24)
    bases = [base.path for base in plan.host.cgroups.bases if base.version == 2]
    return marshal.dumps((template.packed((0, step) for _, step in view(plan)), plan.host.outside, bases, stamps, mounted))
