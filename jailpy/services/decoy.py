"""A process of the host that hostile programs look for. Parent side."""

from __future__ import annotations

import subprocess

from jailpy.errors import InternalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Decoy:
    """Runs until `close`: a program that writes a line, `line`, and then reads its standard input to the end.

    Raises OSError, and InternalError where it does not come up.
    """

    def __init__(self, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(  # in a session of its own: Ctrl-C is not for it
            command, stdin=pipe, stdout=pipe, start_new_session=True, env=environment
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self.line = self._process.stdout.readline()
        if not self.line:
            self.close()
            raise InternalError("selftest: the process that hostile programs look for did not start")

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
