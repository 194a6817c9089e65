# row = "B16"
# boundary = "programs of the host that a crash starts: core_pattern"
# ending = "ok"
# layers = ["rlimits", "seccomp"]
# control = "outside"
# [backstop]
# rlimits = "without it the limit is the caller's"
# seccomp = "without it the payload lowers the limit of 1 to 0"
"""Crashes with a core limit other than 1: a core_pattern that is a pipe then runs as root of the host, at 0 as well (core(5))."""

import os
import resource
import signal

from attack import Held, attempt


def limit():
    found = resource.getrlimit(resource.RLIMIT_CORE)
    if found == (1, 1):
        raise Held("1")
    return f"the limit is {found}"


def lowered(most):
    pid = os.fork()
    if pid == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, most))
        except ValueError:  # what Python makes of EPERM
            os._exit(13)
        os.kill(os.getpid(), signal.SIGTERM)  # where it could crash: the control must not
    status = os.waitpid(pid, 0)[1]
    if status == 13 << 8:
        raise Held("EPERM")
    return f"could crash with a limit of 0: wait status {status}"


attempt("the limit", limit)
attempt("lowered", lowered, 0)
attempt("lowered softly", lowered, 1)
