# Tries to reach the outside by every road it knows. Leaves with 1 once all are shut.
# expect: nonzero_exit
import socket
import sys

reached = []
roads = [
    (socket.AF_INET, socket.SOCK_STREAM, ("1.1.1.1", 443)),
    (socket.AF_INET, socket.SOCK_DGRAM, ("9.9.9.9", 53)),
    (socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80)),
    (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 22)),
    (socket.AF_INET6, socket.SOCK_STREAM, ("2606:4700:4700::1111", 443)),
    (socket.AF_UNIX, socket.SOCK_STREAM, "/run/dbus/system_bus_socket"),
    (socket.AF_UNIX, socket.SOCK_STREAM, "\0/tmp/.X11-unix/X0"),
]
for family, kind, address in roads:
    try:
        with socket.socket(family, kind) as out:
            out.settimeout(1)
            out.connect(address)
            out.send(b"hello")
            reached.append(address)
    except OSError as error:
        print("shut:", address, error)

print("reached:", reached or "nobody")
sys.exit(0 if reached else 1)
