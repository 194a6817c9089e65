"""`Launcher.map`: many runs in parallel, results in order, never more jobs in hand than workers can take."""

from __future__ import annotations

import collections
import collections.abc
import threading
from concurrent.futures import ThreadPoolExecutor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from typing import Any

    from jailpy.client.launcher import Launcher
    from jailpy.client.options import Path
    from jailpy.client.result import CompletedRun
    from jailpy.client.running import Running

_AHEAD = 2  # jobs in hand for each worker: enough that none waits for the consumer


class _Batch:
    """The runs that go on, so that all can be killed when nobody wants the rest."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._lock = threading.Lock()
        self._running: set[Running] = set()
        self._ended = False

    def run(self, job: Sequence[Path] | Mapping[str, Any]) -> CompletedRun:
        options: dict[str, Any] = dict(job) if isinstance(job, collections.abc.Mapping) else {"argv": job}
        mine: list[Running] = []

        def started(running: Running) -> None:
            mine.append(running)
            with self._lock:
                self._running.add(running)
                if self._ended:
                    running.kill()

        try:
            return self._launcher.run(options.pop("argv"), on_start=started, **options)
        finally:
            with self._lock:
                self._running.difference_update(mine)

    def end(self) -> None:
        with self._lock:
            self._ended = True
            for running in self._running:
                running.kill()


def run_all(launcher: Launcher, jobs: Iterable[Sequence[Path] | Mapping[str, Any]], workers: int) -> Iterator[CompletedRun]:
    """Yield the results of `jobs` in their order. See `Launcher.map`."""
    batch = _Batch(launcher)
    waiting: collections.deque[Future[CompletedRun]] = collections.deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="jailpy-map") as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(batch.run, job))
                if len(waiting) >= workers * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            batch.end()
