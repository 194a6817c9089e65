"""The child side of a launch without namespaces: its steps, and an init that is no PID 1.

Nothing dies by itself here when init ends, so init kills: the payload leads a process group that its filter lets nobody
leave, and killpg(2) takes a group as a whole, against forks too. Importing this module enters its steps in `APPLY`.
"""

from __future__ import annotations

import _signal
import os

from jailpy import child as applying
from jailpy.child import init
from jailpy.child.process import enforce
from jailpy.kernel import landlock, mount, process
from jailpy.steps import plain as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.child.state import Child

END = 64  # the signal that makes init kill everything: sent by the kernel when the launcher dies, and by the launcher


def gather_orphans(step: steps.GatherOrphans, child: Child) -> None:
    """Apply GatherOrphans. A launcher that died before is noticed by the payload's next wait."""
    os.setsid()
    process.prctl(process.PR_SET_CHILD_SUBREAPER, 1)
    process.prctl(process.PR_SET_PDEATHSIG, END)


def die_with_init(step: steps.DieWithInit, child: Child) -> None:
    """Apply DieWithInit."""
    process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGKILL)


def change_root_only(step: steps.ChangeRootOnly, child: Child) -> None:
    """Apply ChangeRootOnly."""
    os.chroot(child.top)
    os.chdir("/")


def become_unused(step: steps.BecomeUnused, child: Child) -> None:
    """Apply BecomeUnused. The kernel takes the signal at init's death back when ids change: it is asked for again."""
    process.prctl(process.PR_SET_SECUREBITS, process.SECBITS_LOCKED)
    process.drop_bounding_set(step.last)
    os.setgroups([])
    os.setresgid(step.gid, step.gid, step.gid)
    os.setresuid(step.uid, step.uid, step.uid)
    process.clear_capabilities()
    process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGKILL)


def give_up_capabilities(step: steps.GiveUpCapabilities, child: Child) -> None:
    """Apply GiveUpCapabilities."""
    process.clear_capabilities()


def enter_work(step: steps.EnterWork, child: Child) -> None:
    """Apply EnterWork."""
    os.chdir(child.work)
    os.umask(0o022)


def restrict_in_place(step: steps.RestrictInPlace, child: Child) -> None:
    """Apply RestrictInPlace."""
    ruleset = landlock.create_ruleset(*step.handled)
    for path, access in step.paths:
        found = mount.openat2(mount.AT_FDCWD, os.fsencode(path), os.O_PATH, mount.NO_LINKS)
        landlock.add_path(ruleset, found, access)
        os.close(found)
    enforce(step, ruleset)


def reap(child: Child, payload: int) -> None:
    """Wait for signals until the payload has ended or END comes; then kill what is left. See init.reap."""
    while True:
        info = _signal.sigwaitinfo(init.SIGNALS)
        if info.si_signo == END:
            break
        if info.si_signo != _signal.SIGCHLD:
            init.forward(payload, info.si_signo, False)
        if init.reap_children(child.status, payload, False):
            break
    end(payload, child.owner)
    while True:
        try:
            init.reap_children(child.status, payload, False)
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            return


def end(payload: int, owner: int) -> None:
    """Kill the payload's process group and, where the run has a uid of its own, every process of that uid."""
    try:
        os.killpg(payload, _signal.SIGKILL)
    except ProcessLookupError:
        pass
    while owner:
        pid = os.fork()
        if pid == 0:
            _kill_own(owner)
        if not os.WIFSIGNALED(os.waitpid(pid, 0)[1]):  # the payload has that uid too, and may have been quicker
            return


def _kill_own(owner: int) -> None:
    """Become the run's uid and kill all that it may kill: every process of that uid but itself (kill(2), pid -1)."""
    try:
        os.setresuid(owner, owner, owner)
        os.kill(-1, _signal.SIGKILL)
    finally:
        os._exit(0)


applying.APPLY.update(
    {
        steps.GatherOrphans: gather_orphans,
        steps.DieWithInit: die_with_init,
        steps.ChangeRootOnly: change_root_only,
        steps.BecomeUnused: become_unused,
        steps.GiveUpCapabilities: give_up_capabilities,
        steps.EnterWork: enter_work,
        steps.RestrictInPlace: restrict_in_place,
    }
)
