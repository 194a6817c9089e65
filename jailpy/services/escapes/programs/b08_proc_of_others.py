# row = "B8"
# boundary = "processes outside, by /proc"
# ending = "ok"
# layers = ["pid", "mount"]
# control = "outside"
"""Reaches into processes that are not its own: their root, folder, descriptors, memory, environment."""

import os

from attack import Held, attempt, caller, opens


def look(name):
    return os.readlink(f"/proc/{caller()}/{name}")


def others():
    mine, found = os.getpid(), []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            found += [name] if int(name) != mine and os.readlink(f"/proc/{name}/root") else []
        except OSError:
            continue
    if not found:
        raise Held("none may be looked into")
    return found


for name in ("root", "cwd", "exe"):
    attempt(name, look, name)
attempt("environ", lambda: opens(f"/proc/{caller()}/environ"))
attempt("mem", lambda: opens(f"/proc/{caller()}/mem"))
attempt("fd", lambda: os.listdir(f"/proc/{caller()}/fd"))
attempt("any other", others)
