"""The clocks of a run while its launcher is stopped together with it (Ctrl-Z at `--tty`). Parent side.

A stopped payload may go on all the same: a timer that it made before can continue it (timer_create(2), SIGCONT). So its limits
are looked at by a copy of the launcher, which is not stopped, and ends the run where one is reached.
"""

from __future__ import annotations

import _signal
import marshal
import os
import time

from jailpy import child
from jailpy.kernel import process
from jailpy.supervisor.outcome import Cause, Evidence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, TypeAlias

    Look: TypeAlias = Callable[[], tuple[Cause | None, float]]

_LARGEST = 4096
_MOST_PAUSE_S = 1.0


class Guard:
    """A process that looks at a run until `close`. Raises OSError where there can be none: nothing may be stopped then.

    `look` ends the run where that is due, and returns why, and in how many seconds to look again; `kill` ends it in any case.
    """

    def __init__(self, look: Look, kill: Callable[[], None]) -> None:
        self._reader, writer = os.pipe()
        mask, launcher = child.block_signals(), os.getpid()
        try:
            self._pid = os.fork()
            if self._pid == 0:
                _guard(launcher, writer, look, kill)
        except OSError:
            os.close(self._reader)
            raise
        finally:
            os.close(writer)
            _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)

    def close(self) -> Cause | None:
        """End it; return why it has ended the run, None where it has not."""
        os.kill(self._pid, _signal.SIGKILL)
        os.waitpid(self._pid, 0)
        try:
            said = os.read(self._reader, _LARGEST)
        finally:
            os.close(self._reader)
        if not said:
            return None
        verdict, *evidence = marshal.loads(said)  # noqa: S302 - from the guard
        return Cause(verdict, Evidence(*evidence))


def _guard(launcher: int, writer: int, look: Look, kill: Callable[[], None]) -> NoReturn:
    """Be the guard. It leaves the launcher's process group, which a shell stops as a whole."""
    try:
        process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGKILL)
        os.setpgid(0, 0)
        cause: Cause | None = None
        while not cause and os.getppid() == launcher:
            cause, pause = look()
            if not cause:
                time.sleep(min(pause, _MOST_PAUSE_S))
        if cause:
            found = cause.evidence
            os.write(writer, marshal.dumps((cause.verdict, found.limit, found.configured, found.measured, found.source)))
    except BaseException:  # noqa: BLE001 - nothing may unwind into the launcher's code, and no run goes on unseen
        kill()
    finally:
        os._exit(0)
