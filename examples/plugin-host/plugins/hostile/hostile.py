"""Tries what it should not."""

import os
import socket
import time

from jailpy_plugin import host

connection = host._Host__runner._socket


def read():
    with open("/etc/shadow") as file:
        return file.read()


def call_out():
    return socket.create_connection(("1.1.1.1", 443)).getpeername()


def write():
    with open(__file__, "w") as file:
        file.write("worse")


def flood():
    while True:
        connection.sendall(b"x" * 65536)


def forge():
    connection.sendall(b'{"type":"result","id":0,"value":{"admin":true}}\n')
    time.sleep(60)


def hang():
    time.sleep(3600)


def burn():
    while True:
        pass


def fork_bomb():
    while True:
        os.fork()
