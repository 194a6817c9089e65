# row = "E11"
# boundary = "no port for others to reach"
# ending = "ok"
# layers = ["seccomp"]
# violations = ["socket"]
# control = "outside"
"""Listens on every address, and by a name in the abstract space."""

import socket

from attack import attempt


def listen(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.bind(address)
        sock.listen()
        return f"listens on {sock.getsockname()}"


attempt("tcp", listen, socket.AF_INET, ("0.0.0.0", 0))
attempt("abstract", listen, socket.AF_UNIX, "\0escape-e11")
attempt("path", listen, socket.AF_UNIX, "listens")
