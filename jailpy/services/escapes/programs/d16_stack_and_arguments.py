# row = "D16"
# boundary = "limits.stack, and so the size of arguments"
# ending = "ok"
# layers = ["rlimits"]
# control = "outside"
# options = { stack = "1M" }
"""Executes with a megabyte of arguments, and raises the limit of its stack."""

import os
import resource

from attack import attempt, in_child


def arguments():
    pid = os.fork()
    if pid == 0:
        try:
            os.execv("/usr/bin/true", ["true", *["x" * 100000] * 12])
        except OSError as error:
            os._exit(error.errno)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status, "")
    return "1.2 MB of arguments"


def stack():
    most = resource.getrlimit(resource.RLIMIT_STACK)[1]
    if most != resource.RLIM_INFINITY and most < 4 << 20:
        raise PermissionError(1, f"the hard limit is {most}")
    return f"the hard limit is {most}"


attempt("arguments", in_child, arguments)
attempt("stack", stack)
