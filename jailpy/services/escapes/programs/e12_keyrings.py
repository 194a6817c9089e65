# row = "E12"
# boundary = "nothing for the next run: keyrings"
# ending = "ok"
# layers = ["seccomp"]
# control = "outside"
# phases = ["add", "search"]
# [unproven]
# "add" = "a kernel without keyrings, or a container's filter"
# "search" = "the same"
"""Puts a key into the keyring of the user, and looks for it in the next run."""

import ctypes

from attack import FACTS, PHASE, attempt, call

name = b"escape-" + FACTS["word"].encode()


def add():
    return f"key {call('add_key', b'user', name, b'x', 1, ctypes.c_int(-4))}"


def search():
    found = call("keyctl", 10, ctypes.c_int(-4), b"user", name, 0)
    call("keyctl", 9, found, ctypes.c_int(-4))
    return f"found key {found}"


attempt(PHASE, add if PHASE == "add" else search)
