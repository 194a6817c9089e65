"""init, PID 1 of the jail: reaps everything, forwards signals from outside, reports the payload's end, and exits.

Its exit makes the kernel kill whatever else is left in the pid namespace (pid_namespaces(7)).
"""

from __future__ import annotations

import _signal
import os

from jailpy.child import wire
from jailpy.kernel import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.child.state import Child


SIGNALS = frozenset(range(1, 65)) - {32, 33}  # libc keeps these two for itself (nptl(7))


def reap(child: Child, payload: int) -> None:
    """Wait for signals until the payload has ended. Every signal is blocked, so each one arrives here."""
    status = child.status
    child.channel.close()
    files.close_all_but((status,))
    while True:
        info = _signal.sigwaitinfo(SIGNALS)
        if info.si_signo == _signal.SIGCHLD:
            _reap_children(status, payload)
        elif info.si_pid == 0:  # from outside the pid namespace: the payload cannot forge it
            _forward(payload, info.si_signo)


def _reap_children(status: int, payload: int) -> None:
    while True:
        try:
            pid, wait_status, usage = os.wait4(-1, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid == payload:
            stopped = os.WIFSTOPPED(wait_status)
            times = (int(usage.ru_utime * 1e6), int(usage.ru_stime * 1e6), usage.ru_maxrss)
            os.write(status, wire.status(wire.STOPPED if stopped else wire.ENDED, wait_status, *times))
            if not stopped:
                os._exit(0)


def _forward(payload: int, number: int) -> None:
    try:
        os.killpg(payload, number)
    except ProcessLookupError:
        os.kill(payload, number)
