# row = "B13"
# boundary = "folders that are shown read-only"
# ending = "ok"
# layers = ["mount", "landlock", "seccomp"]
# control = "namespaces"
# [unproven]
# "remount /usr" = "the mount's flags are locked in a user namespace, or it is no mount of its own"
# "write beside itself" = "an ordinary user's namespace does not own the folder"
"""Writes to what is shown read-only, and mounts it anew without the flag."""

import os

from attack import HERE, attempt, call


def write():
    path = os.path.join(HERE, "written")
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    os.unlink(path)
    return "made a file"


def remount(path):
    call("mount", b"none", path, 0, 0x20 | 0x1000, 0)
    return f"mounted {path} anew"


def cover():
    call("mount", b"none", b"/usr", b"tmpfs", 0, 0)
    return "mounted over /usr"


attempt("write beside itself", write)
attempt("remount /usr", remount, b"/usr")
attempt("cover /usr", cover)
