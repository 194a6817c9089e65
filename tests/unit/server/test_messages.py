"""Messages on a connection, and orders that come too late for their run."""

import socket
import time

import pytest

from jailpy.server import messages


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_late_orders_are_no_message(ends):
    ours, theirs = ends
    theirs.sendall(messages.KILL + messages.TERMINATE)
    begin = time.monotonic()
    assert not messages.is_due(ours, 50)
    assert time.monotonic() - begin >= 0.05
    messages.send(theirs, {"a": 1}, [theirs.fileno()])
    assert messages.is_due(ours, 0), "control"
    found, descriptors = messages.receive(ours)
    with socket.socket(fileno=descriptors[0]) as copy:
        assert (found, copy.fileno()) == ({"a": 1}, descriptors[0])


def test_orders_in_front_of_a_message(ends):
    ours, theirs = ends
    theirs.sendall(messages.KILL)
    messages.send(theirs, {"a": 1})
    assert messages.is_due(ours, 0)
    assert messages.receive(ours) == ({"a": 1}, [])


def test_the_end_is_due(ends):
    ours, theirs = ends
    theirs.close()
    assert messages.is_due(ours, 0)
    assert messages.receive(ours) is None
