# row = "E3"
# boundary = "abstract sockets of the host"
# ending = "ok"
# layers = ["seccomp", "net", "landlock"]
# control = "outside"
"""Connects to an abstract socket of the host, by a new socket and by one of a datagram pair."""

import socket

from attack import FACTS, attempt

name = "\0" + FACTS["word"][::-1]


def connect():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(2)
        sock.connect(name)
    return "connected"


def by_a_pair():
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    pair[0].sendto(b"x", name + "-datagrams")
    return "sent"


attempt("connect", connect)
attempt("a datagram pair", by_a_pair)
