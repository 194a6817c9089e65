# row = "E14"
# boundary = "nothing for the next run: shared memory, queues, folders"
# ending = "ok"
# layers = ["mount", "ipc", "seccomp"]
# control = "outside"
# phases = ["leave", "look"]
# [backstop]
# ipc = "then the filter refuses System V objects"
"""Leaves a file in shared memory, in /tmp and a System V segment; looks for them in the next run."""

import ctypes
import os

from attack import FACTS, PHASE, attempt, check, libc

word = FACTS["word"]
key = ctypes.c_int(int.from_bytes(word.encode()[:3], "little"))


def leave(path):
    with open(path, "w") as file:
        file.write(word)


def look(path):
    try:
        with open(path) as file:
            return file.read()
    finally:
        if os.path.exists(path):
            os.unlink(path)


def segment():
    found = check(libc.shmget(key, ctypes.c_size_t(1), 0))
    check(libc.shmctl(found, 0, None))
    return f"segment {found}"


paths = [f"/dev/shm/escape-{word}", f"/tmp/escape-{word}"]
if PHASE == "leave":
    for path in paths:
        leave(path)
    libc.shmget(key, ctypes.c_size_t(1), 0o1600)
else:
    for path in paths:
        attempt(path.rpartition("/")[0], look, path)
    attempt("System V", segment)
