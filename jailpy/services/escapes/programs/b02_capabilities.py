# row = "B2"
# boundary = "no capability in any set"
# ending = "ok"
# layers = ["capabilities", "no-new-privs", "seccomp"]
# control = "namespaces"
# [unproven]
# "CapAmb" = "nobody has ambient capabilities by default"
# "CapInh" = "nobody has inheritable capabilities by default"
# "NoNewPrivs" = "where the tests themselves run with it"
# "Seccomp" = "where the tests themselves run in a container"
# [backstop]
# seccomp = "its own line of the status would be wanting"
"""Looks for a capability that was left after the start, and for the two locks that keep it out."""

from attack import Held, attempt

with open("/proc/self/status") as file:
    status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def holds(name):
    if int(status[name], 16) == 0:
        raise Held("empty")
    return status[name]


def unlocked(name, wanted):
    if status[name] == wanted:
        raise Held("locked")
    return status[name]


for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
    attempt(name, holds, name)
attempt("NoNewPrivs", unlocked, "NoNewPrivs", "1")
attempt("Seccomp", unlocked, "Seccomp", "2")
