# row = "E6"
# boundary = "no address outside, by whatever way round a proxy"
# ending = "ok"
# layers = ["seccomp", "net"]
# control = "outside"
# [unproven]
# "[::1]:9" = "a host without IPv6"
# "udp" = "a host without a route"
"""Goes to addresses directly: over TCP to the host's loopback, over UDP to an address of the documentation."""

import socket

from attack import FACTS, attempt


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(2)
        try:
            sock.connect(address)
        except ConnectionRefusedError:
            return "the network answered"
    return "connected"


def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("127.0.0.1", 9))
        sock.connect(("192.0.2.1", 53))
    return "sent"


attempt("127.0.0.1", connect, socket.AF_INET, ("127.0.0.1", int(FACTS["port"])))
attempt("[::1]:9", connect, socket.AF_INET6, ("::1", 9))
attempt("udp", datagram)
