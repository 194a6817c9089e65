# row = "A20"
# boundary = "no rights by a set-uid program"
# ending = "ok"
# layers = ["no-new-privs", "user", "mount"]
# control = "nobody"
# [backstop]
# user = "the other two are what stops it; the user namespace makes root of no account outside"
"""Starts a set-uid program that blocks on its output, and looks whose it is meanwhile."""

import os
import signal
import time

from attack import Held, attempt


def set_uid_program():
    for name in ("su", "passwd", "mount", "umount", "newgrp", "chsh", "chfn", "gpasswd"):
        found = os.stat(f"/usr/bin/{name}")
        if found.st_mode & 0o4000 and found.st_uid != os.getuid():
            return f"/usr/bin/{name}"
    raise Held("no set-uid program")


def effective_owner(pid, name):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with open(f"/proc/{pid}/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
        if status["State"].startswith("Z"):
            raise Held("it did not run")
        if status["Name"] == name and status["State"].startswith("S"):
            if int(status["Uid"].split()[1]) == os.getuid():
                raise Held("it runs as the caller")
            return f"{name} runs as uid {status['Uid'].split()[1]}"
        time.sleep(0.002)
    raise Held("it did not come to its output")


def gain():
    path = set_uid_program()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while os.write(writer, b"x" * 4096):
            pass
    except BlockingIOError:
        os.set_blocking(writer, True)
    pid = os.fork()
    if pid == 0:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        os.execv(path, [path, "--help"])
    try:
        return effective_owner(pid, os.path.basename(path))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reader)


attempt("set-uid program", gain)
