"""Threads that wait for runs: daemons, so that a program that ends never waits for them, and no more than a given number."""

from __future__ import annotations

import collections
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Threads:
    """A queue of work and at most `most` threads that do it; they end when there is no more."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._queue: collections.deque[Callable[[], None]] = collections.deque()
        self._alive = 0

    def start(self, work: Callable[[], None]) -> None:
        """Do a piece of work, which must not raise, when a thread is free. Raises RuntimeError where none can be started."""
        with self._lock:
            if self._alive >= self._most:
                self._queue.append(work)
                return
            self._alive += 1
        try:
            threading.Thread(target=self._work, args=(work,), name="jailpy", daemon=True).start()
        except BaseException:
            with self._lock:
                self._alive -= 1
            raise

    def _work(self, work: Callable[[], None]) -> None:
        while True:
            work()
            with self._lock:
                if not self._queue:
                    self._alive -= 1
                    return
                work = self._queue.popleft()
