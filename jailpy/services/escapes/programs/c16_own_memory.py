# row = "C16"
# boundary = "memory of others, by /proc/PID/mem"
# ending = "ok"
# layers = ["pid", "launcher"]
# control = "outside"
# root_only = ["the caller's memory"]
# [unproven]
# "init's map" = "outside, process 1 belongs to root"
# "init's memory" = "outside, process 1 belongs to root"
# "the caller's memory" = "ptrace_scope"
"""Opens memory for writing, where page protections do not count: its own and that of others."""

import os

from attack import attempt, caller, opens

attempt("its own memory", opens, "/proc/self/mem", os.O_RDWR)
attempt("the caller's memory", lambda: opens(f"/proc/{caller()}/mem", os.O_RDWR))
attempt("init's memory", opens, "/proc/1/mem", os.O_RDWR)
attempt("init's map", opens, "/proc/1/maps")
attempt("the parent's memory", opens, f"/proc/{os.getppid()}/mem", os.O_RDWR)
