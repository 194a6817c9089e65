"""Runs a function or a program in a forked child under a filter, answers what it reports, and says how it ended."""

from __future__ import annotations

import array
import ctypes
import json
import os
import select
import signal
import socket
import time
import types

from jailpy.kernel import libc, seccomp
from jailpy.layers import seccomp_filter, syscall_table
from jailpy.supervisor.violations import Violations

ARCH = os.uname().machine
PR_SET_NO_NEW_PRIVS = 38


def number(name):
    return syscall_table.load().number(name, ARCH)


def call(name, *args):
    """Make a raw system call (by name or number) in this process: (result, errno)."""
    ctypes.set_errno(0)
    nr = name if isinstance(name, int) else number(name)
    result = libc.syscall(ctypes.c_long(nr), *(ctypes.c_long(a) if isinstance(a, int) else a for a in args))
    return result, ctypes.get_errno() if result == -1 else 0


def confined(work, *allow, deny=(), violation="errno", exec_mode="system", filtered=True, seconds=60):
    """Run `work()` (a function, or argv to execute) in a child. Unfiltered, it is the positive control.

    Returns value (what the function returned), status (as subprocess has it), what (names of denied calls), report,
    and killed: whether the supervisor's answer was to kill the run.
    """
    program = seccomp_filter.compiled(allow or ("@default",), deny, violation, exec_mode).program if filtered else b""
    ours, theirs = socket.socketpair()
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(work, program, theirs, into)
    theirs.close()
    os.close(into)
    violations = _listener(ours, violation, exec_mode, deny) if filtered else None
    killed, data = _supervise(pid, out, violations, time.monotonic() + seconds)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    report = violations.report() if violations else []
    if violations:
        violations.close()
    ours.close()
    os.close(out)
    return types.SimpleNamespace(
        value=json.loads(data) if data and callable(work) else None, output=data, status=status, report=report,
        what=[entry["what"] for entry in report], killed=killed, total=violations.total if violations else 0,
    )  # fmt: skip


def _child(work, program, channel, into):
    try:
        if program:
            libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            listener = seccomp.load_filter(program, True)
            channel.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))])
            os.close(listener)
        if callable(work):
            os.write(into, json.dumps(work()).encode())
            os._exit(0)
        os.dup2(into, 1)
        os.dup2(into, 2)
        os.set_inheritable(0, True)
        os.execv(work[0], work)
    except BaseException as error:
        os.write(into, repr(error).encode())
    finally:
        os._exit(99)


def _listener(channel, violation, exec_mode, deny):
    _, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(4))
    return Violations(array.array("i", ancillary[0][2])[0], violation, exec_mode, deny)


def _supervise(pid, out, violations, until):
    poll = select.poll()
    poll.register(out, select.POLLIN)
    if violations:
        poll.register(violations, select.POLLIN)
    data, killed, open_ends = b"", False, {out} | ({violations.fileno()} if violations else set())
    while out in open_ends:
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            raise TimeoutError(f"the child did not end; so far it wrote {data!r}")
        for descriptor, events in poll.poll(500):
            if descriptor == out:
                part = os.read(out, 65536)
                data += part
                if not part:
                    poll.unregister(out)
                    open_ends.discard(out)
            elif events & select.POLLIN:
                if violations.handle():
                    killed = True
                    os.kill(pid, signal.SIGKILL)
                    poll.unregister(violations)
            else:
                poll.unregister(violations)
    return killed, data
