# row = "D21"
# boundary = "the scheduler: no task before others"
# ending = "ok"
# layers = ["rlimits", "capabilities", "seccomp"]
# control = "outside"
# root_only = ["SCHED_FIFO", "nice", "real-time io", "mlockall"]
# [backstop]
# rlimits = "the capabilities stop it, unless the caller's own limit allows it"
# [unproven]
# "mlockall" = "where the caller's limit is low"
"""Takes real-time priority, a lower niceness, real-time I/O, and locks its memory."""

import os

from attack import attempt, call


def fifo():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return "real-time"


def nice():
    os.setpriority(os.PRIO_PROCESS, 0, -5)
    os.setpriority(os.PRIO_PROCESS, 0, 0)
    return "before others"


attempt("SCHED_FIFO", fifo)
attempt("nice", nice)
attempt("real-time io", lambda: f"set {call('ioprio_set', 1, 0, 1 << 13)}")
attempt("mlockall", lambda: f"locked {call('mlockall', 3)}, {call('munlockall')}")
