"""What a launcher that forks sees to, and what it tells the child of itself. Parent side."""

from __future__ import annotations

import _signal
import gc
import os

from jailpy import child
from jailpy.kernel import files


class Forking:
    """What holds while this process forks: no signal reaches a handler, no garbage is collected, root has no groups."""

    def __init__(self, real_root: bool) -> None:
        self._groups = os.getgroups() if real_root else None
        self._collected = gc.isenabled()

    def __enter__(self) -> None:
        if self._groups is not None:
            os.setgroups([])
        gc.disable()
        gc.freeze()
        self._mask = child.block_signals()

    def __exit__(self, *_: object) -> None:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self._mask)
        gc.unfreeze()
        if self._collected:
            gc.enable()
        if self._groups is not None:
            os.setgroups(self._groups)


def argument_area() -> tuple[int, int]:
    """Return where this process's arguments and environment lie in memory (proc_pid_stat(5), fields 48 and 51)."""
    fields = files.stat_fields("self")
    return int(fields[45]), int(fields[48])
