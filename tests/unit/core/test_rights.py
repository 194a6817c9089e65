"""Descriptors among the ancillary data of a message."""

import os
import socket

from jailpy import rights


def test_what_was_sent_is_received():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert rights.send(ours, b"x", [0, 1, 2]) == 1
        data, ancillary, _, _ = theirs.recvmsg(1, socket.CMSG_SPACE(64))
        found = rights.received(ancillary)
        assert (data, len(found)) == (b"x", 3)
        assert [os.fstat(number).st_ino for number in found] == [os.fstat(number).st_ino for number in (0, 1, 2)]
        for number in found:
            os.close(number)


def test_other_data_and_what_was_cut_off_are_none():
    mine = (socket.SOL_SOCKET, socket.SCM_RIGHTS, b"\x07\0\0\0\x08\0\0\0\x09\0")
    other = (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, b"\x01\0\0\0" * 3)
    assert rights.received([other, mine]) == [7, 8]
    assert rights.received([]) == rights.received([(*mine[:2], b"\0\0")]) == []
