"""Calls of plugins from asyncio: each waits in a thread of its own. Cancelling one kills the worker that it is in."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from jailpy.client.asynchronous import Background

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jailpy.services.plugins.worker import Worker

_MOST = 256
_background = Background(_MOST)


class Handle:
    """What cancelling needs: the worker, once the call is in one, or the wish that it be in none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self.cancelled = False

    def entered(self, worker: Worker | None) -> None:
        """Note the worker that the call is in, None once it is in none. Raises CancelledError for a call that is not wanted."""
        with self._lock:
            if worker and self.cancelled:
                raise asyncio.CancelledError
            self._worker = worker

    def cancel(self) -> None:
        """Kill the worker that the call is in."""
        with self._lock:
            self.cancelled = True
            if self._worker:
                self._worker.kill()


async def run(call: Callable[[Handle], Any]) -> Any:
    """Make a call in a thread, and return or raise what comes of it."""
    handle = Handle()
    try:
        return await _background.start(lambda: call(handle))
    except asyncio.CancelledError:
        handle.cancel()
        raise
