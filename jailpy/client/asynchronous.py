"""`run_async`: a run as an asyncio task. The waiting is done in a thread; cancelling kills the run."""

from __future__ import annotations

import asyncio
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from jailpy.client.launcher import Launcher
    from jailpy.client.options import Path
    from jailpy.client.result import CompletedRun
    from jailpy.client.running import Running


class _Handle:
    """What cancelling needs: the run once there is one, or the wish to kill it as soon as there is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._cancelled = False

    def started(self, running: Running) -> None:
        with self._lock:
            self._running = running
            if self._cancelled:
                running.kill()

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._running:
                self._running.kill()


async def run(launcher: Launcher, argv: Sequence[Path], options: Mapping[str, Any]) -> CompletedRun:
    """Run in a thread of its own, not of the loop's small default pool: a run may last as long as its wall limit."""
    handle, loop = _Handle(), asyncio.get_running_loop()
    future: asyncio.Future[CompletedRun] = loop.create_future()

    def work() -> None:
        try:
            done = launcher.run(argv, on_start=handle.started, **options)
        except BaseException as error:  # noqa: BLE001 - it is raised where the task waits
            _tell(loop, future, future.set_exception, error)
        else:
            _tell(loop, future, future.set_result, done)

    threading.Thread(target=work, name="jailpy-run", daemon=True).start()
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        handle.cancel()
        await asyncio.wait([future])
        future.exception()  # taken, whatever it was: the task ends cancelled
        raise


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], act: Callable[[Any], None], value: object) -> None:
    try:
        loop.call_soon_threadsafe(lambda: None if future.done() else act(value))
    except RuntimeError:  # the loop is closed: nobody waits
        return
