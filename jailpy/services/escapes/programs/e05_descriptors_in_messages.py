# row = "E5"
# boundary = "descriptors of the host that a message brings"
# ending = "ok"
# layers = ["seccomp", "mount"]
# control = "outside"
# [backstop]
# seccomp = "then the mounts show no socket to connect to"
"""Asks a server of the host for a descriptor. Between its own processes it may pass what it has."""

import socket

from attack import FACTS, attempt


def ask():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(2)
        sock.connect(FACTS["socket"])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return "a server that could send one"


attempt("ask", ask)
