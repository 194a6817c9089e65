# row = "D10"
# boundary = "nothing lives on after the verdict"
# ending = "ok"
# layers = ["pid"]
# control = "outside"
# phases = ["start", "look"]
"""Leaves a daemon behind that ignores every signal, and looks for it in the next run."""

import os
import signal
import time

from attack import PHASE, Held, attempt

NAME = "d10 daemon"


def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_IGN)
            os.closerange(0, 100)
            with open("/proc/self/comm", "w") as file:
                file.write(NAME)
            time.sleep(3)
        os._exit(0)


def look():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as file:
                if file.read().strip() == NAME:
                    os.kill(int(pid), signal.SIGKILL)
                    return f"process {pid} lives"
        except OSError:
            continue
    raise Held("gone")


if PHASE == "start":
    daemon()
    time.sleep(0.3)
else:
    attempt("daemon", look)
