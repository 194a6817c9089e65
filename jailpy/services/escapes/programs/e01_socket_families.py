# row = "E1"
# boundary = "no socket but pairs"
# ending = "ok"
# layers = ["seccomp"]
# violations = ["socket"]
# control = "outside"
"""Makes a socket of each family that there is, of each type."""

import socket

from attack import Held, attempt


def families():
    made = []
    for family in range(46):
        for kind in (1, 2, 3, 5):
            try:
                socket.socket(family, kind).close()
            except OSError:
                continue
            made.append((family, kind))
    if not made:
        raise Held("none")
    return made


attempt("families", families)
