# row = "E4"
# boundary = "sockets of the host in the file system: docker.sock, the user bus, ssh-agent"
# ending = "ok"
# layers = ["seccomp", "mount"]
# control = "outside"
# [unproven]
# "the usual ones" = "no such service on this host"
"""Connects to a socket of the host by its path, and to those that would give the host away."""

import glob
import socket

from attack import FACTS, Held, attempt


def connect(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(2)
        sock.connect(path)
    return f"connected to {path}"


def any_of(paths):
    for path in paths:
        try:
            return connect(path)
        except OSError:
            continue
    raise Held("none")


attempt("its path", connect, FACTS["socket"])
usual = ["/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/run/systemd/private"]
attempt("the usual ones", any_of, [*usual, *glob.glob("/run/user/*/bus"), *glob.glob("/tmp/ssh-*/agent.*")])
