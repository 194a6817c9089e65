"""Templates: one process for each view, which init is cloned from; in place of launcher/clone.py when warm. Parent side.

The template has the run's user namespace and a mount namespace with everything of the plan that is the same for each run.
Its key is all that the view depends on: the steps, the ids, the host's mounts, and the files that are shown by themselves.
"""

from __future__ import annotations

import _signal
import _socket
import array
import fcntl
import marshal
import os

from jailpy import rights
from jailpy.child import template, wire
from jailpy.errors import LaunchError
from jailpy.kernel import files, process
from jailpy.launcher import clone, cold, failure
from jailpy.steps import cgroups, mounts
from jailpy.steps import process as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.child.state import Child
    from jailpy.launcher.cold import Jail
    from jailpy.plan.compile import Plan
    from jailpy.steps import Step

_MOST = 4
_ONCE = (steps.AwaitIds, steps.BecomeUser)
_TIMEOUT_S = 60.0
_templates: dict[bytes, Template] = {}


class Template:
    """One template process. `prepare`, `start`, `after`, `kill` and `bury` are those of launcher/clone.py."""

    def __init__(self, plan: Plan) -> None:
        self._control, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        self._control.settimeout(_TIMEOUT_S)
        view, wipe = _view(plan), cold.argument_area()
        try:
            with cold.Forking(plan.host.real_root):
                self._pid, self._pidfd = process.clone3(process.CLONE_NEWUSER | process.CLONE_NEWNS)
                if self._pid == 0:
                    template.serve(theirs, view, wipe)
        finally:
            theirs.close()
        self._map_ids(plan)
        self._await(plan)

    def _map_ids(self, plan: Plan) -> None:
        step = next(step for step in plan.steps if isinstance(step, steps.MapIds))
        with failure.Applying(step):
            clone.map_ids(self._pid, step)
            clone.expose_to_oom_killer(self._pid)
        self._control.send(wire.GO)

    def _await(self, plan: Plan) -> None:
        message = self._control.recv(64)
        if message[:1] == wire.READY:
            return
        self.close()
        if message[:1] == wire.FAILED:
            raise failure.from_message(plan, message)
        raise LaunchError("the template died while setting up", layer="mount", step="set-up", errno=0)

    def prepare(self, jail: Jail) -> None:
        """Do what comes before init: nothing."""

    def start(self, jail: Jail, state: Child) -> None:
        """Let the template clone init, and hand over what is the run's. Raises LaunchError; OSError where it is gone."""
        step = next(step for step in jail.plan.steps if isinstance(step, steps.CloneNamespaces))
        rest = _rest(jail.plan)
        cgroup = None if jail.plan.host.real_root else jail.groups.open_version2()
        with failure.Applying(step), open(os.memfd_create("steps", os.MFD_CLOEXEC), "w+b") as body:
            body.write(template.packed(rest))
            body.flush()
            body.seek(0)
            held = [body.fileno(), state.channel.fileno(), state.status, *state.stdio, *state.slots.values(), *state.tasks]
            try:
                self._ask(step.flags & ~process.CLONE_NEWUSER, held, list(state.slots), cgroup)
                jail.init, jail.pidfd = self._answer()
            finally:
                if cgroup is not None:
                    os.close(cgroup)

    def _ask(self, flags: int, held: list[int], slots: list[int], cgroup: int | None) -> None:
        message = marshal.dumps((flags, cgroup is not None, slots))
        rights.send(self._control, message, held if cgroup is None else [*held, cgroup])

    def _answer(self) -> tuple[int, int]:
        message, ancillary, _, _ = self._control.recvmsg(64, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
        pid = int.from_bytes(message, "little", signed=True)
        if pid <= 0:
            raise OSError(-pid or 32, os.strerror(-pid or 32))
        return pid, array.array("i", ancillary[0][2])[0]

    def after(self, jail: Jail) -> None:
        """Do what follows: nothing, ids and all that is inherited are those of the template."""

    def kill(self, jail: Jail) -> None:
        """Kill init, and with it the pid namespace."""
        clone.kill(jail)

    def bury(self, jail: Jail, status: int) -> None:
        """Do what is left once init is reaped: nothing."""

    def is_alive(self) -> bool:
        """Say whether the template process is there still."""
        return os.waitpid(self._pid, os.WNOHANG) == (0, 0)

    def move(self, floor: int) -> None:
        """Move this side's descriptors out of the numbers below `floor`. Raises OSError."""
        self._pidfd = files.above(self._pidfd, floor)
        if self._control.fileno() < floor:
            moved = _socket.socket(fileno=fcntl.fcntl(self._control.fileno(), fcntl.F_DUPFD_CLOEXEC, floor))
            moved.settimeout(_TIMEOUT_S)
            self._control.close()
            self._control = moved

    def close(self) -> None:
        """End the template process and reap it."""
        self._control.close()
        try:
            process.pidfd_send_signal(self._pidfd, _signal.SIGKILL)
            os.waitpid(self._pid, 0)
        except (ProcessLookupError, ChildProcessError):  # killed by somebody, and reaped when it was looked at
            pass
        os.close(self._pidfd)


def _view(plan: Plan) -> list[tuple[int, Step]]:
    """Return what the template applies, with positions in the plan."""
    return [(at, step) for at, step in enumerate(plan.steps) if at in plan.shared or isinstance(step, _ONCE)]


def _rest(plan: Plan) -> list[tuple[int, Step]]:
    """Return what is left for init and payload."""
    return [
        (at, step)
        for at, step in enumerate(plan.steps)
        if step.side != "launcher" and at not in plan.shared and not isinstance(step, _ONCE)
    ]


def of(plan: Plan) -> Template | None:
    """Return the template for a plan, made now where there is none; None for a plan that needs a cold launch.

    That is one without namespaces, one that passes descriptors on, one whose process limit rests on RLIMIT_NPROC alone (which
    counts the template too), and one of root's on a host with version 2 alone, where only a privileged clone enters a group.
    """
    if not _can_be_cloned(plan):
        return None
    key = _key(plan)
    found = _templates.pop(key, None)
    if found and not found.is_alive():
        found.close()
        found = None
    if found is None:
        while len(_templates) >= _MOST:
            _templates.pop(next(iter(_templates))).close()
        found = Template(plan)
    _templates[key] = found
    return found


def make_room(floor: int) -> None:
    """Move what templates hold out of the descriptors below `floor`, which a run wants to hand on. Raises OSError."""
    for found in _templates.values():
        found.move(floor)


def _can_be_cloned(plan: Plan) -> bool:
    kinds = {type(step) for step in plan.steps}
    joins = cgroups.JoinCgroup in kinds or not plan.host.real_root
    return steps.CloneNamespaces in kinds and not plan.command.keep and joins and plan.host.cgroups.has("pids")


def _key(plan: Plan) -> bytes:
    """Return everything that the view depends on."""
    shown = [step.path for at, step in _view(plan) if isinstance(step, mounts.ShowSystem)]
    stamps = [(found.st_dev, found.st_ino) for found in map(os.stat, shown)]
    mounted = files.read("/proc/self/mountinfo", 1 << 24)
    return marshal.dumps((template.packed(_view(plan)), plan.host.outside, stamps, mounted))
