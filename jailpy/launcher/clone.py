"""init by clone3(2) in new namespaces: the kernel ends all that is in them once init ends. Parent side.

One of two ways, the other is jailpy/launcher/fork.py: `place`, `prepare`, `start`, `after`, `kill`, `bury`.
"""

from __future__ import annotations

import _signal
import os

from jailpy import child
from jailpy.child import wire
from jailpy.kernel import files, process
from jailpy.launcher import failure
from jailpy.launcher.forking import Forking, argument_area
from jailpy.steps import process as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from jailpy.child.state import Child
    from jailpy.launcher.cold import Jail


def place(jail: Jail) -> None:
    """Say where the run's cgroups go: nothing but what the plan says."""


def prepare(jail: Jail) -> None:
    """Do what comes before init: nothing."""


def start(jail: Jail, state: Child) -> None:
    """Start init, straight in its version 2 cgroup."""
    (step,) = jail.plan.of(steps.CloneNamespaces)
    state.wipe = argument_area()
    cgroup, program = jail.groups.open_version2(), child.Program(enumerate(jail.plan.steps), state)
    try:
        with failure.Applying(step), Forking(jail.plan.host.real_root):
            jail.init, jail.pidfd = process.clone3(step.flags, cgroup=cgroup)
            if jail.init == 0:
                child.enter(state, program)
    finally:
        if cgroup is not None:
            os.close(cgroup)


def after(jail: Jail) -> None:
    """Write the id maps, and tell init so."""
    for step in jail.plan.of(steps.MapIds):
        assert jail.channel is not None
        give_ids(jail.init, step, jail.channel)
        jail.go()


def give_ids(pid: int, step: steps.MapIds, channel: _socket.socket) -> None:
    """Write the id maps of a child. Raises LaunchError.

    Those of one that has failed, and ends, cannot be written; its word says why, and is taken where its messages are.
    """
    try:
        map_ids(pid, step)
        expose_to_oom_killer(pid)
    except OSError as error:
        if not wire.has_failed(channel):
            raise failure.error(step, error.errno or 0, error.strerror or "") from error


def map_ids(pid: int, step: steps.MapIds) -> None:
    """Write the id maps of a process's user namespace. Raises OSError. See user_namespaces(7)."""
    files.write(f"/proc/{pid}/setgroups", "deny")
    files.write(f"/proc/{pid}/uid_map", f"{step.inside[0]} {step.outside[0]} 1")
    files.write(f"/proc/{pid}/gid_map", f"{step.inside[1]} {step.outside[1]} 1")


def expose_to_oom_killer(init: int) -> None:
    """Do not pass the launcher's own protection on: below 0 the memory limit might find nothing that it may kill."""
    if files.read("/proc/self/oom_score_adj").startswith("-"):
        files.write(f"/proc/{init}/oom_score_adj", "0")


def kill(jail: Jail) -> None:
    """Kill the cgroup at once where the kernel can, and init, and with it the pid namespace.

    Raises OSError where the cgroup could not be killed for want of a descriptor; init is all the same.
    """
    try:
        jail.groups.kill()
    finally:
        _kill_init(jail.pidfd)


def _kill_init(pidfd: int) -> None:
    try:
        process.pidfd_send_signal(pidfd, _signal.SIGKILL)
    except ProcessLookupError:
        return


def bury(jail: Jail, status: int) -> None:
    """Do what is left once init is reaped: nothing lives that init started."""
