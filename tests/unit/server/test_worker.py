"""What a worker answers when its answer cannot be sent."""

from __future__ import annotations

import socket

import pytest

from jailpy.server import messages
from jailpy.server.worker import Worker


@pytest.mark.parametrize(("largest", "answered"), [(1 << 20, "report"), (500, "error")])
def test_an_answer_that_is_too_large_is_told(monkeypatch, largest, answered):
    monkeypatch.setattr(messages, "LARGEST", largest)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Worker(theirs)._say({"report": "x" * 1000})
        received = messages.receive(ours)
    assert list(received[0]) == [answered]
    assert answered == "report" or "the report cannot be sent" in received[0]["error"]["message"]
