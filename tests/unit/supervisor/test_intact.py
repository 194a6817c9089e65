"""Which processes still are what they were: a dying one has left its groups by itself."""

from __future__ import annotations

import os
import subprocess

from jailpy.supervisor import intact


def test_a_living_process_has_its_parent():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        assert intact._living(process.pid) == os.getpid()


def test_a_process_that_has_ended_lives_no_more():
    """A zombie is shown in the root of each version 1 hierarchy: nobody has moved it there."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert intact._living(pid) == 0
    os.waitpid(pid, 0)
    assert intact._living(pid) == 0
