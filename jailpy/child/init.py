"""init, PID 1 of the jail: reaps everything, forwards signals from outside, reports the payload's end, and returns.

Its exit makes the kernel kill whatever else is left in the pid namespace (pid_namespaces(7)).
"""

from __future__ import annotations

import _signal
import os
import resource  # noqa: F401 - os.wait4() looks for it, and init imports nothing

from jailpy.child import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.child.state import Child


LIBC_SIGNALS = frozenset({32, 33})  # libc keeps these two for itself (nptl(7)); its posix_spawn(3) has the child ignore them
SIGNALS = frozenset(range(1, 65)) - LIBC_SIGNALS
_SI_KERNEL = 0x80
_OF_A_TERMINAL = frozenset(
    {_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGCONT, _signal.SIGTSTP, _signal.SIGWINCH}
)


def reap(child: Child, payload: int) -> None:
    """Wait for signals until the payload has ended. Every signal is blocked, so each one arrives here.

    Children are looked for after any signal: a flood of lower numbers would keep SIGCHLD waiting.
    """
    while True:
        info = _signal.sigwaitinfo(SIGNALS)
        if info.si_signo != _signal.SIGCHLD and is_from_outside(info):
            forward(payload, info.si_signo, child.terminal)
        if reap_children(child.status, payload, child.terminal):
            return


def is_from_outside(info: _signal.struct_siginfo) -> bool:
    """Say whether a signal came from outside the pid namespace: the sender then has no pid in it.

    rt_sigqueueinfo(2) lets the payload write any si_pid, but no si_code from 0 on. A signal for whose siginfo there was no room
    (RLIMIT_SIGPENDING, which the payload can use up) seems to come by kill(2) from process 0 of uid 0, which no jail's map has.
    The kernel's own are a terminal's; SIGIO and SIGURG it sends to whom a descriptor's holder names (fcntl(2), F_SETOWN).
    """
    if info.si_code == _SI_KERNEL:
        return info.si_pid == 0 and info.si_signo in _OF_A_TERMINAL
    return info.si_pid == 0 and info.si_code >= 0 and info.si_uid != 0


def reap_children(status: int, payload: int, terminal: bool) -> bool:
    """Reap whatever has ended by now; say whether the payload has, after writing down how."""
    while True:
        try:
            pid, wait_status, usage = os.wait4(-1, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return False
        if pid == 0:
            return False
        if pid == payload:
            stopped = os.WIFSTOPPED(wait_status)
            if stopped and terminal:  # the launcher stops too: what runs on all the same (by a timer) its guard looks at
                os.kill(-1, _signal.SIGSTOP)
            times = (int(usage.ru_utime * 1e6), int(usage.ru_stime * 1e6), usage.ru_maxrss)
            os.write(status, wire.status(wire.STOPPED if stopped else wire.ENDED, wait_status, *times))
            if not stopped:
                return True


def forward(payload: int, number: int, terminal: bool) -> None:
    """Pass a signal on to the payload's process group."""
    if number == _signal.SIGCONT and terminal:
        os.kill(-1, number)
        return
    try:
        os.killpg(payload, number)
    except ProcessLookupError:
        os.kill(payload, number)
