# row = "A10"
# boundary = "calls that a tracer changes after the filter, and init's memory"
# ending = "ok"
# layers = ["seccomp"]
# violations = ["ptrace"]
# control = "without"
# [unproven]
# init = "init cannot be attached to even without the filter: it is not dumpable"
"""Traces init, a child, itself."""

import os
import signal
import time

from attack import attempt, call


def attach_child():
    pid = os.fork()
    if pid == 0:
        time.sleep(5)
        os._exit(0)
    try:
        call("ptrace", 16, pid, 0, 0)
        return "attached to a child"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def attach_init():
    call("ptrace", 16, 1, 0, 0)
    return "attached to process 1"


def seize():
    call("ptrace", 0x4206, os.getppid(), 0, 0)
    return "seized its parent"


attempt("init", attach_init)
attempt("child", attach_child)
attempt("itself", lambda: f"may be traced: {call('ptrace', 0, 0, 0, 0)}")
