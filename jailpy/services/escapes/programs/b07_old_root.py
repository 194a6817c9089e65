# row = "B7"
# boundary = "files of the host"
# ending = "ok"
# layers = ["mount", "landlock"]
# control = "outside"
"""Reads a file of the host by each way that a root may have left open."""

import os

from attack import FACTS, Held, attempt

path = FACTS["canary"]


def read(prefix):
    with open(prefix + path) as file:
        if file.read() == FACTS["word"][::-1]:
            return f"read {prefix}{path}"
    raise Held("another file")


for prefix in ("", "/proc/self/root", "/proc/self/cwd/../../../../..", "/..", "/proc/thread-self/root/../.."):
    attempt(f"by {prefix or 'its path'}", read, prefix)


def old_roots():
    found = [name for name in os.listdir("/") if name.startswith((".old", ".pivot", "oldroot", ".put_old"))]
    with open("/proc/self/mountinfo") as file:
        found += [line for line in file if " - ext4 " in line and line.split()[3:5] == ["/", "/"]]
    if not found:
        raise Held("none")
    return found


attempt("an old root", old_roots)
