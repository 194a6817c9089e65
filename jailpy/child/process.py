"""The child side of the steps about namespaces, credentials, limits and execve. One function per step."""

from __future__ import annotations

import _signal
import errno
import os

from jailpy.child import wire
from jailpy.child.init import LIBC_SIGNALS, SIGNALS
from jailpy.kernel import files, landlock, network, process, python, seccomp
from jailpy.steps import cgroups
from jailpy.steps import process as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from jailpy.child.state import Child
    from jailpy.steps import Step


def await_launcher(step: Step, child: Child) -> None:
    """Apply AwaitIds."""
    child.wait()


def become_user(step: steps.BecomeUser, child: Child) -> None:
    """Apply BecomeUser."""
    os.setresgid(step.gid, step.gid, step.gid)
    os.setresuid(step.uid, step.uid, step.uid)
    os.umask(0o022)


def die_with_launcher(step: steps.DieWithLauncher, child: Child) -> None:
    """Apply DieWithLauncher. A launcher that died before is noticed by the next wait."""
    process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGKILL)


def forbid_user_namespaces(step: steps.ForbidUserNamespaces, child: Child) -> None:
    """Apply ForbidUserNamespaces."""
    files.put(os.fsencode(step.path), b"0")


def set_hostname(step: steps.SetHostname, child: Child) -> None:
    """Apply SetHostname."""
    process.sethostname(step.name.encode())


def loopback_up(step: steps.LoopbackUp, child: Child) -> None:
    """Apply LoopbackUp."""
    python(network.loopback_up)


def join_cgroup(step: cgroups.JoinCgroup, child: Child) -> None:
    """Apply JoinCgroup."""
    for tasks in child.tasks:
        files.write_to(tasks, b"0")


def new_cgroup_namespace(step: steps.NewCgroupNamespace, child: Child) -> None:
    """Apply NewCgroupNamespace."""
    process.unshare(process.CLONE_NEWCGROUP)


def hide_init(step: steps.HideInit, child: Child) -> None:
    """Apply HideInit."""
    process.prctl(process.PR_SET_DUMPABLE, 0)
    python(process.wipe, *child.wipe)


def filter_init(step: steps.FilterInit, child: Child) -> None:
    """Apply FilterInit."""
    seccomp.load_filter(step.program, False)


def close_of_init(step: steps.CloseOfInit, child: Child) -> None:
    """Apply CloseOfInit."""
    files.close(child.channel)
    files.close_all_but((child.status,))


def drop_capabilities(step: steps.DropCapabilities, child: Child) -> None:
    """Apply DropCapabilities."""
    process.prctl(process.PR_SET_SECUREBITS, process.SECBITS_LOCKED)
    process.drop_bounding_set(step.last)
    process.clear_capabilities()


def no_new_privs(step: steps.NoNewPrivs, child: Child) -> None:
    """Apply NoNewPrivs."""
    process.prctl(process.PR_SET_NO_NEW_PRIVS, 1)


def open_terminal(step: steps.OpenTerminal, child: Child) -> None:
    """Apply OpenTerminal: init leads the session, so that a stopped payload can be continued from outside."""
    from jailpy.kernel import terminal

    os.setsid()
    master, slave = terminal.open_pair("/dev/pts")
    terminal.make_controlling(slave)
    child.send_descriptor(wire.TERMINAL, master)
    os.close(master)
    child.stdio = (slave, slave, slave)
    child.terminal = True


def start_session(step: steps.StartSession, child: Child) -> None:
    """Apply StartSession."""
    if child.terminal:
        os.setpgid(0, 0)
        os.tcsetpgrp(child.stdio[0], os.getpid())
    else:
        python(os.setsid)


def set_stdio(step: steps.SetStdio, child: Child) -> None:
    """Apply SetStdio. The pipes were made with numbers above 2, so that no dup2 overwrites one that is still needed.

    Closed now, not at execve: what the caller leaves open would count against the open-files limit of the steps that follow.
    """
    for target, source in enumerate(child.stdio):
        files.dup_to(source, target)
    files.close_all_but((0, 1, 2, child.channel, *step.keep))
    for number in step.keep:
        files.inherit(number)


def default_signals(step: steps.DefaultSignals, child: Child) -> None:
    """Apply DefaultSignals."""
    for number in (SIGNALS | LIBC_SIGNALS) - {_signal.SIGKILL, _signal.SIGSTOP}:
        if _signal.getsignal(number) is not _signal.SIG_DFL:
            process.default_action(number)
    process.unblock_signals()


def change_folder(step: steps.ChangeFolder, child: Child) -> None:
    """Apply ChangeFolder."""
    files.chdir(os.fsencode(step.path))


def set_rlimit(step: steps.SetRlimit, child: Child) -> None:
    """Apply SetRlimit."""
    process.set_rlimit(step.resource, step.value, step.hard)


def set_affinity(step: steps.SetAffinity, child: Child) -> None:
    """Apply SetAffinity."""
    python(_set_affinity, step.count)


def _set_affinity(count: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def apparmor_on_exec(step: steps.ApparmorOnExec, child: Child) -> None:
    """Apply ApparmorOnExec. An unknown profile is ENOENT here, never an unconfined execve."""
    python(_stack, step.profile)


def _stack(profile: str) -> None:
    files.write("/proc/thread-self/attr/apparmor/exec", f"stack {profile}")
    if files.read("/proc/thread-self/attr/apparmor/exec").rpartition(" (")[0] != profile:
        raise OSError(errno.ENOENT, "the request does not read back")


def restrict_landlock(step: steps.RestrictLandlock, child: Child) -> None:
    """Apply RestrictLandlock."""
    ruleset = landlock.create_ruleset(*step.handled)
    for path, access in step.paths:
        found = files.open_path(os.fsencode(path), os.O_PATH)
        landlock.add_path(ruleset, found, access)
        files.close(found)
    enforce(step, ruleset)


def enforce(step: steps.RestrictLandlock, ruleset: int) -> None:
    """Enforce a ruleset; the canary, which could be read until now, must then be refused."""
    canary = os.fsencode(step.canary)
    files.close(files.open_path(canary, os.O_RDONLY))
    landlock.restrict_self(ruleset, 0)
    files.close(ruleset)
    files.open_path(canary, os.O_RDONLY, refused=errno.EACCES)


def load_filter(step: steps.LoadFilter, child: Child) -> None:
    """Apply LoadFilter."""
    listener = seccomp.load_filter(step.program, step.listener)
    if step.listener:
        child.send_descriptor(wire.LISTENER, listener)
        files.close(listener)


def execute(step: steps.Execute, child: Child) -> None:
    """Apply Execute: report READY, wait for the last word, execve. Raises OSError where no candidate can be executed."""
    child.send(wire.READY)
    python(_execute, step, child)


def _execute(step: steps.Execute, child: Child) -> None:
    candidates, argv, environment = child.command() or (step.candidates, step.argv, step.environment)
    try_candidates(candidates, argv, {**dict(environment), **child.variables}, child)


def try_candidates(
    candidates: tuple[bytes, ...], argv: list[bytes] | tuple[bytes, ...], environment: dict[bytes, bytes], child: Child
) -> None:
    """Execute the first candidate that exists. Raises OSError where none can be executed; `child.detail` says which exists."""
    outcome = OSError(errno.ENOENT, "")
    for candidate in candidates:
        try:
            os.execve(candidate, argv, environment)  # noqa: S606 - what all this is for
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            outcome = error
            if error.errno != errno.EACCES:
                break
    child.detail = _existing(candidates)
    raise outcome


def _existing(candidates: tuple[bytes, ...]) -> int:
    for index, candidate in enumerate(candidates):
        if os.access(candidate, os.F_OK):
            return index + 1
    return 0


APPLY: dict[type[Step], Callable[[Any, Child], None]] = {
    steps.AwaitIds: await_launcher,
    steps.BecomeUser: become_user,
    steps.DieWithLauncher: die_with_launcher,
    steps.ForbidUserNamespaces: forbid_user_namespaces,
    steps.SetHostname: set_hostname,
    steps.LoopbackUp: loopback_up,
    cgroups.JoinCgroup: join_cgroup,
    cgroups.JoinGroups: join_cgroup,
    steps.NewCgroupNamespace: new_cgroup_namespace,
    steps.HideInit: hide_init,
    steps.FilterInit: filter_init,
    steps.CloseOfInit: close_of_init,
    steps.DropCapabilities: drop_capabilities,
    steps.NoNewPrivs: no_new_privs,
    steps.OpenTerminal: open_terminal,
    steps.StartSession: start_session,
    steps.SetStdio: set_stdio,
    steps.DefaultSignals: default_signals,
    steps.ChangeFolder: change_folder,
    steps.SetRlimit: set_rlimit,
    steps.LimitOpenFiles: set_rlimit,
    steps.SetAffinity: set_affinity,
    steps.ApparmorOnExec: apparmor_on_exec,
    steps.RestrictLandlock: restrict_landlock,
    steps.LoadFilter: load_filter,
    steps.Execute: execute,
}
