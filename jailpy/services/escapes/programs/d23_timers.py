# row = "D23"
# boundary = "limits.cpu, by timers that always ring"
# ending = "cpu_limit"
# evidence = "cpu"
# layers = ["cgroup"]
# control = "loose"
# options = { cpu = "200ms", wall = "20s" }
# loose = { cpu = "20s", wall = "20s" }
"""An interval timer of a tenth of a millisecond, and a loop that its signals interrupt."""

import signal
import time

from attack import attempt


def ring():
    signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
    while time.process_time() < 0.6:
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    return "0.6 s"


attempt("timers", ring)
