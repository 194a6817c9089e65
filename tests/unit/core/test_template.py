"""What a template does at each word of its launcher."""

import errno
import marshal
import os
import socket

import pytest

from jailpy import rights
from jailpy.child import template


@pytest.mark.parametrize("error", [0, errno.ENOSPC])
def test_it_has_let_go_of_the_run_when_it_answers(monkeypatch, error):
    """Scheduled late, it would hold the run's channel open when the run is over: the launcher would miss its end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    seen = []

    def clone3(*args, **options):
        with pytest.raises(BlockingIOError):  # it holds the end until here
            channel.recv(1, socket.MSG_DONTWAIT)
        if error:
            raise OSError(error, "")
        return 4242, os.open(os.devnull, os.O_RDONLY)

    def send(control, message, descriptors):
        seen.append((channel.recv(1, socket.MSG_DONTWAIT), int.from_bytes(message, "little", signed=True), len(descriptors)))

    rights.send(ours, template.CLONE + marshal.dumps((0, 0, False)), [end.fileno()])
    end.close()
    monkeypatch.setattr(template.process, "clone3", clone3)
    monkeypatch.setattr(template.rights, "send", send)
    before = os.listdir("/proc/self/fd")
    under_test = template.Template(theirs, (0, 0))
    monkeypatch.setattr(under_test, "_see_numbers", lambda held: None)
    under_test._programs[0] = (None, None)
    assert under_test.obey()
    assert seen == [(b"", -error, 0) if error else (b"", 4242, 1)]
    assert len(os.listdir("/proc/self/fd")) == len(before)
    for one in (ours, theirs, channel):
        one.close()


def test_numbers_that_its_programs_do_not_name_are_refused():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    under_test = template.Template(theirs, (0, 0))
    first, second, third = lowest = [os.dup(theirs.fileno()) for _ in range(3)]
    for number in lowest:
        os.close(number)
    under_test._see_numbers(lowest)
    for held in ([second], [first, third], [first, first]):
        with pytest.raises(OSError, match="bad state"):
            under_test._see_numbers(held)
    ours.close()
    theirs.close()
