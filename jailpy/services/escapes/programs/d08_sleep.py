# row = "D8"
# boundary = "limits.wall"
# ending = "wall_limit"
# evidence = "CLOCK_MONOTONIC"
# layers = ["supervisor"]
# control = "loose"
# options = { wall = "300ms" }
# loose = { wall = "20s" }
"""Waits: without a use of time, of anything."""

import signal
import time

from attack import attempt


def wait():
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    time.sleep(1)
    return "waited"


attempt("sleep", wait)
