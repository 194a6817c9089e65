"""Calls of plugins from asyncio: each waits in a thread of its own. Cancelling one kills the worker that it is in."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

from jailpy.client.threads import Threads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jailpy.services.plugins.worker import Worker

_MOST = 256
_threads = [Threads(_MOST)]


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
    handle, loop = Handle(), asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def tell(act: Callable[[Any], None], value: object) -> None:
        try:
            loop.call_soon_threadsafe(lambda: None if future.done() else act(value))
        except RuntimeError:  # the loop is closed: nobody waits
            return

    def work() -> None:
        try:
            found = call(handle)
        except BaseException as error:  # noqa: BLE001 - it is raised where the task waits
            tell(future.set_exception, error)
        else:
            tell(future.set_result, found)

    _threads[0].start(work)
    try:
        return await future
    except asyncio.CancelledError:
        handle.cancel()
        raise


def _start_anew() -> None:
    """Have new threads in a forked child, where those of the parent are not."""
    _threads[0] = Threads(_MOST)


os.register_at_fork(after_in_child=_start_anew)
