# row = "E8"
# boundary = "services that trust who can reach them: cloud metadata, the host's loopback"
# ending = "ok"
# layers = ["seccomp", "net"]
# control = "outside"
# [unproven]
# "169.254.169.254" = "a host without a route"
"""Has a datagram routed to the address of cloud metadata. No packet leaves: connect(2) of UDP only looks the route up."""

import socket

from attack import attempt


def route(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((address, 80))
        return f"from {sock.getsockname()[0]}"


attempt("169.254.169.254", route, "169.254.169.254")
attempt("127.0.0.1", route, "127.0.0.1")
