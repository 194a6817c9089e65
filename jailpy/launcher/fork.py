"""init by fork(2), without namespaces: nothing ends by itself, so init and this side kill. Parent side.

One of two ways, the other is jailpy/launcher/clone.py: `place`, `prepare`, `start`, `after`, `kill`, `bury`.
"""

from __future__ import annotations

import _signal
import errno
import os
import time

from jailpy import child
from jailpy.child import plain
from jailpy.errors import LaunchError
from jailpy.kernel import files, process
from jailpy.launcher import failure
from jailpy.launcher.clone import expose_to_oom_killer
from jailpy.launcher.forking import Forking, argument_area
from jailpy.launcher.work import WorkFolder
from jailpy.steps import plain as steps
from jailpy.steps.process import Execute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.child.state import Child
    from jailpy.launcher.cold import Jail

_BURIAL_S = 2.0
_ENDED = ("Z", "X")
_STATE, _GROUP, _THREADS = 0, 2, 17  # of /proc/PID/stat, counted from behind the name: proc_pid_stat(5)


def place(jail: Jail) -> None:
    """Say where the run's cgroups go: nothing but what the plan says."""


def prepare(jail: Jail) -> None:
    """Make the work folder and fill it. Raises LaunchError."""
    for step in jail.plan.steps:
        with failure.Applying(step):
            if isinstance(step, steps.MakeWork):
                _see_that_nobody_is(_own_uid(jail))
                jail.work = WorkFolder(step, jail.groups.name)
            elif isinstance(step, steps.CopyIn):
                assert jail.work is not None
                jail.work.copy(step)


def _own_uid(jail: Jail) -> int:
    """Return the run's own uid, 0 where it has none."""
    return next((step.uid for step in jail.plan.of(steps.BecomeUnused)), 0)


def _see_that_nobody_is(uid: int) -> None:
    """Refuse a uid that a process has: everything of that uid is killed after the run."""
    for name in os.listdir("/proc") if uid else ():
        try:
            taken = name.isdecimal() and os.stat(f"/proc/{name}").st_uid == uid and _runs(files.stat_fields(name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended since the listing
        if taken:
            raise OSError(errno.EBUSY, f"uid {uid} is that of process {name}")


def start(jail: Jail, state: Child) -> None:
    """Start init."""
    assert jail.work is not None
    (step,) = jail.plan.of(steps.ForkInit)
    state.reap, state.owner = plain.reap, _own_uid(jail)
    state.work, state.top = jail.work.inside, jail.work.top
    execute = jail.plan.steps[-1]
    assert isinstance(execute, Execute)
    state.variables = jail.work.variables(execute.environment)
    state.wipe = argument_area()
    program = child.Program(enumerate(jail.plan.steps), state)
    with failure.Applying(step), Forking(jail.plan.host.real_root):
        os.close(process.pidfd_open(os.getpid()))  # a kernel without it is noticed before there is a child
        jail.init = os.fork()
        if jail.init == 0:
            child.enter(state, program)
        jail.pidfd = process.pidfd_open(jail.init)


def after(jail: Jail) -> None:
    """Take the launcher's protection from init."""
    (step,) = jail.plan.of(steps.ForkInit)
    with failure.Applying(step):
        expose_to_oom_killer(jail.init)


def kill(jail: Jail) -> None:
    """Kill the payload's process group, and tell init to kill what is left and to end; before it listens, kill it.

    Not by cgroup.kill, which would kill init too, and leave the rest for others to reap.
    """
    try:
        if not jail.payload:
            process.pidfd_send_signal(jail.pidfd, _signal.SIGKILL)
            return
        process.pidfd_send_signal(jail.pidfd, plain.END)
        os.killpg(jail.payload, _signal.SIGKILL)
    except ProcessLookupError:
        return


def bury(jail: Jail, status: int) -> None:
    """Kill what an init that was killed itself has left, until nothing of it is there. Raises LaunchError."""
    if status == 0 or not jail.payload:
        return
    deadline = time.monotonic() + _BURIAL_S
    while _any_left(jail.payload):
        plain.end(jail.payload, _own_uid(jail))
        if time.monotonic() > deadline:
            words = f"pid: init was killed, and processes of group {jail.payload} do not end"
            raise LaunchError(words, layer="pid", step="bury", errno=errno.EBUSY)
        time.sleep(0.001)


def _any_left(group: int) -> bool:
    """Say whether a process of a group is there that has not ended: kill(2) finds zombies as well."""
    for name in os.listdir("/proc"):
        try:
            found = files.stat_fields(name) if name.isdecimal() else []
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended since the listing
        if found and found[_GROUP] == str(group) and _runs(found):
            return True
    return False


def _runs(stat: list[str]) -> bool:
    """Say whether something of a process runs: one whose first thread has ended is a zombie while its others go on."""
    return stat[_STATE] not in _ENDED or int(stat[_THREADS]) > 1
