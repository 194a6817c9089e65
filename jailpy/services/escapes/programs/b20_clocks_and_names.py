# row = "B20"
# boundary = "the clock and the name of the host"
# ending = "ok"
# layers = ["seccomp", "capabilities", "uts"]
# control = "namespaces"
# [backstop]
# uts = "without it the name is the host's, and nothing else keeps it from being read"
# [unproven]
# clock_settime = "real root's alone: A18 has its control"
# settimeofday = "real root's alone: A18 has its control"
# adjtimex = "real root's alone: A18 has its control"
# "the host's name" = "a namespace copies the name; the jail has its own"
"""Sets clocks and names."""

import ctypes
import os

from attack import FACTS, Held, attempt, call, check, libc


def clock():
    now = (ctypes.c_long * 2)()
    check(libc.clock_gettime(0, now))
    call("clock_settime", 0, now)
    return "set the clock"


def name():
    if os.uname().nodename != FACTS["host"]:
        raise Held(os.uname().nodename)
    return os.uname().nodename


attempt("clock_settime", clock)
attempt("sethostname", lambda: f"set: {call('sethostname', b'taken', 5)}")
attempt("setdomainname", lambda: f"set: {call('setdomainname', b'taken', 5)}")
attempt("a time namespace", lambda: f"made: {call('unshare', 0x80)}")
attempt("the host's name", name)
