"""`run_async`: a run as an asyncio task. The waiting is done in a thread; cancelling kills the run."""

from __future__ import annotations

import asyncio
import os
import threading

from jailpy.client.threads import Threads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from jailpy.client.launcher import Launcher
    from jailpy.client.options import Command
    from jailpy.client.result import CompletedRun
    from jailpy.client.running import Running

MOST = 256  # runs at a time, of all loops: the rest waits its turn. Not the loop's default pool: a run may last long.


class Background:
    """Threads, at most `most`, that do what tasks of asyncio wait for; a forked child has threads of its own."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._start_anew()
        os.register_at_fork(after_in_child=self._start_anew)

    def _start_anew(self) -> None:
        self._threads = Threads(self._most)

    def start(self, act: Callable[[], Any]) -> asyncio.Future[Any]:
        """Have a thread do something; return the future of what comes of it, in the loop that runs here."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def work() -> None:
            try:
                found = act()
            except BaseException as error:  # noqa: BLE001 - it is raised where the task waits
                _tell(loop, future, future.set_exception, error)
            else:
                _tell(loop, future, future.set_result, found)

        self._threads.start(work)
        return future


_background = Background(MOST)


class _Handle:
    """What cancelling needs: the run once there is one, or the wish that there be none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._begun = False
        self._cancelled = False

    def begin(self) -> bool:
        """Say whether the run is still wanted, when its turn comes."""
        with self._lock:
            self._begun = not self._cancelled
            return self._begun

    def started(self, running: Running) -> None:
        with self._lock:
            self._running = running
            if self._cancelled:
                running.kill()

    def cancel(self) -> bool:
        """Kill the run; say whether there is, or will be for a moment, one whose end is to be waited for."""
        with self._lock:
            self._cancelled = True
            if self._running:
                self._running.kill()
            return self._begun


async def run(launcher: Launcher, argv: Command, options: Mapping[str, Any]) -> CompletedRun:
    """Run in a thread; see `Launcher.run_async`."""
    handle = _Handle()
    given = dict(options)
    hook = given.pop("on_start", None)

    def started(running: Running) -> None:
        handle.started(running)
        if hook:
            hook(running)

    def act() -> CompletedRun | None:
        return launcher.run(argv, on_start=started, **given) if handle.begin() else None

    future = _background.start(act)
    try:
        done: CompletedRun = await asyncio.shield(future)
    except asyncio.CancelledError:
        if handle.cancel():
            await _end_of(future)
        raise
    return done


async def _end_of(future: asyncio.Future[Any]) -> None:
    """Wait for the end of a killed run, however often the task is cancelled meanwhile; its result is of no interest."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    if not future.cancelled():
        future.exception()


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], act: Callable[[Any], None], value: object) -> None:
    try:
        loop.call_soon_threadsafe(lambda: None if future.done() else act(value))
    except RuntimeError:  # the loop is closed: nobody waits
        return
