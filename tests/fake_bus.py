"""A D-Bus that misbehaves, for tests: it stands in for a user manager's.

    python3 tests/fake_bus.py BEHAVIOUR SOCKET [GROUP]

It says "ready" once somebody may connect. Behaviours:
closed (the socket is there and nobody listens), silent (accepts, says nothing), hello (lets one in, then says nothing), hangup,
garbage, flood, stranger (does not let one in), refuse (an error for every call), lie (promises, does nothing), bare (makes
the scope as a plain group below GROUP, without controllers, and moves the process there).
"""

import os
import socket
import sys
import time

from jeepney import DBusAddress, HeaderFields, Parser, new_error, new_method_call, new_method_return

UNIT = DBusAddress("/org/freedesktop/systemd1", "org.freedesktop.systemd1", "org.freedesktop.systemd1.Manager")


def let_in(connection):
    """Answer the authentication; return what was said beyond it."""
    said = b""
    while b"BEGIN\r\n" not in said:
        data = connection.recv(4096)
        if not data:
            raise ConnectionResetError
        said += data
        if b"AUTH" in data:
            connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
    return said.partition(b"BEGIN\r\n")[2]


def calls(connection, first):
    """Yield each method call."""
    parser = Parser()
    parser.add_data(first)
    while True:
        message = parser.get_next_message()
        if message is None:
            data = connection.recv(4096)
            if not data:
                return
            parser.add_data(data)
        else:
            yield message


def answers(connection, behaviour, group):
    for serial, call in enumerate(calls(connection, let_in(connection)), 1):
        member = call.header.fields[HeaderFields.member]
        if behaviour == "hangup":
            return
        if behaviour == "garbage":
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20)
        elif behaviour == "flood":
            noise = new_method_call(UNIT, "Noise", "s", ("x" * 4000,)).serialise(serial=1)
            while True:
                connection.sendall(noise)
        elif member == "Hello":
            if behaviour != "hello":
                connection.sendall(new_method_return(call, "s", (":1.1",)).serialise(serial=serial))
        elif behaviour == "refuse":
            words = ("Access denied, \x1b[31mreally\nno",)
            connection.sendall(new_error(call, "org.freedesktop.DBus.Error.AccessDenied", "s", words).serialise(serial=serial))
        else:
            if behaviour == "bare":
                folder = f"{group}/{call.body[0]}"
                os.mkdir(folder)
                with open(f"{folder}/cgroup.procs", "w") as file:
                    file.write(str(dict(call.body[2])["PIDs"][1][0]))
                os.chown(folder, 1000, 1000)
                for name in ("cgroup.procs", "cgroup.subtree_control"):
                    os.chown(f"{folder}/{name}", 1000, 1000)
            connection.sendall(new_method_return(call, "o", ("/org/freedesktop/systemd1/job/1",)).serialise(serial=serial))


def main(behaviour, path, group=""):
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    os.chmod(path, 0o666)
    if behaviour != "closed":
        server.listen()
    else:
        server.close()
    print("ready", flush=True)
    while behaviour != "closed":
        connection, _ = server.accept()
        try:
            if behaviour == "silent":
                time.sleep(600)
            elif behaviour == "stranger":
                connection.recv(4096)
                connection.sendall(b"REJECTED KERBEROS_V4\r\n")
                time.sleep(600)
            else:
                answers(connection, behaviour, group)
        except (ConnectionResetError, BrokenPipeError):
            pass
        connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
