# row = "D12"
# boundary = "the supervisor's life, and init's"
# ending = "ok"
# layers = ["pid", "user", "seccomp"]
# control = "outside"
# [backstop]
# seccomp = "the filter lets kill pass: the pid namespace is what stops it"
# [unproven]
# "process 1" = "an ordinary user may not signal it; it ignores what it has no handler for"
"""Asks whether it may signal what is not its own (signal 0 to outside), then kills all that it sees."""

import os
import signal

from attack import Held, attempt, caller


def may_signal():
    os.kill(caller(), 0)
    return "may signal it"


def kill_visible():
    for name in filter(str.isdigit, os.listdir("/proc")):
        if int(name) != os.getpid():
            os.kill(int(name), signal.SIGKILL)
    os.kill(1, signal.SIGKILL)
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        raise Held("nobody else is there, and init takes no orders") from None
    return "there was somebody"


attempt("the caller", may_signal)
if os.path.exists("/work/escape"):  # never outside of a jail
    attempt("everyone", kill_visible)
