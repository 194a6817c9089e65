# row = "D1"
# boundary = "limits.processes"
# ending = "process_limit"
# evidence = "pids"
# layers = ["cgroup", "rlimits"]
# control = "loose"
# loose = { processes = 200 }
# [backstop]
# cgroup = "with it goes the evidence, and so the verdict"
"""Forks until it is refused, or until it has more children than the limit."""

import os
import signal
import time

from attack import attempt


def bomb():
    pids = []
    try:
        for _ in range(64):
            pid = os.fork()
            if pid == 0:
                time.sleep(30)
                os._exit(0)
            pids.append(pid)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return f"{len(pids)} children at one time"


raise SystemExit(not attempt("children", bomb))
