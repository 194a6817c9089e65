"""A launcher that has no descriptor left while it ends a run: init is killed and reaped all the same."""

import errno
import os

import pytest

from jailpy import api
from jailpy.launcher import cold
from jailpy.launcher.cgroups import RunCgroups
from tests.core import eventually

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def parked():
    """A jail with a payload that would sleep."""
    return cold.launch(api.plan(api.Request(argv=("/usr/bin/sleep", "60"))))


def test_a_group_that_cannot_be_killed_keeps_no_run_alive(parked, monkeypatch):
    init, held = parked.init, [parked.pidfd, parked.status, parked.stdin]

    def no_descriptor(_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    assert os.path.exists(f"/proc/{init}")
    monkeypatch.setattr(RunCgroups, "kill", no_descriptor)
    with pytest.raises(OSError, match="Too many open files"):
        parked.close()
    assert not os.path.exists(f"/proc/{init}")
    for number in held:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)
    assert eventually(lambda: not parked.groups.groups)
    parked.close()
