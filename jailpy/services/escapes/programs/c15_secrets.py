# row = "C15"
# boundary = "secrets of the caller's environment and command line"
# ending = "ok"
# layers = ["launcher", "pid"]
# control = "outside"
# [unproven]
# "init's environment" = "outside, process 1 belongs to root"
"""Looks for a variable of the caller's in every environment that it can read."""

import os

from attack import FACTS, Held, attempt

word = FACTS["word"][::-1].encode()


def holds(path):
    with open(path, "rb") as file:
        if b"SECRET_ANSWER=" + word not in file.read():
            raise Held("not there")
    return f"in {path}"


def any_other():
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            found += [holds(f"/proc/{name}/environ")]
        except (OSError, Held):
            continue
    if not found:
        raise Held("none")
    return found


attempt("its own environment", holds, "/proc/self/environ")
attempt("init's environment", holds, "/proc/1/environ")
attempt("any other", any_other)
