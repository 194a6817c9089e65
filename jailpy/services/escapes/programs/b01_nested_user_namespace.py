# row = "B1"
# boundary = "no capability over anything, in any namespace"
# ending = "ok"
# layers = ["seccomp", "user"]
# control = "outside"
"""Makes a user namespace, where it would have every capability and reach nf_tables, overlayfs and their bugs."""

import os
import signal

from attack import Held, attempt, call, in_child


def unshare(flags):
    call("unshare", flags)
    return "in a user namespace of its own"


def clone(flags):
    pid = call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "a process in a user namespace of its own"


def count():
    with open("/proc/sys/user/max_user_namespaces") as file:
        most = int(file.read())
    if not most:
        raise Held("0")
    return f"{most} are allowed"


attempt("unshare", in_child, unshare, 0x10000000)
attempt("unshare with mounts and network", in_child, unshare, 0x10000000 | 0x20000 | 0x40000000)
attempt("clone", in_child, clone, 0x10000000)
attempt("max_user_namespaces", count)
