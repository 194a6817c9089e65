"""`Launcher.map`: many runs in parallel, results in order, never more jobs in hand than workers can take."""

from __future__ import annotations

import collections
import collections.abc
import threading
from concurrent.futures import Future, wait

from jailpy.client.threads import Threads
from jailpy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, TypeAlias

    from jailpy.client.launcher import Launcher
    from jailpy.client.options import Command
    from jailpy.client.result import CompletedRun
    from jailpy.client.running import Running

    Job: TypeAlias = Command | Mapping[str, Any]

_AHEAD = 2  # jobs in hand for each worker: enough that none waits for the consumer


class _Batch:
    """The runs that go on, so that all can be killed when nobody wants the rest."""

    def __init__(self, launcher: Launcher, workers: int) -> None:
        self._launcher = launcher
        self._threads = Threads(workers)
        self._lock = threading.Lock()
        self._running: set[Running] = set()
        self._ended = False

    def submit(self, job: Job) -> Future[CompletedRun]:
        """Have a thread do a job."""
        future: Future[CompletedRun] = Future()

        def work() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._run(job))
                except BaseException as error:  # noqa: BLE001 - it is raised where the result is wanted
                    future.set_exception(error)

        self._threads.start(work)
        return future

    def _run(self, job: Job) -> CompletedRun:
        options: dict[str, Any] = dict(job) if isinstance(job, collections.abc.Mapping) else {"argv": job}
        if "argv" not in options:
            raise UsageError("a job without argv: expected a list of words, or the arguments of run with argv")
        argv, hook = options.pop("argv"), options.pop("on_start", None)
        mine: set[Running] = set()

        def started(running: Running) -> None:
            with self._lock:
                mine.add(running)
                self._running.add(running)
                if self._ended:
                    running.kill()
            if hook:
                hook(running)

        try:
            return self._launcher.run(argv, on_start=started, **options)
        finally:
            with self._lock:
                self._running -= mine

    def end(self, futures: Iterable[Future[CompletedRun]]) -> None:
        """Kill what runs, drop what does not yet, and wait until nothing is left."""
        begun = [future for future in futures if not future.cancel()]
        with self._lock:
            self._ended = True
            for running in self._running:
                running.kill()
        wait(begun)


def run_all(launcher: Launcher, jobs: Iterable[Job], workers: int) -> Iterator[CompletedRun]:
    """Yield the results of `jobs` in their order. See `Launcher.map`."""
    batch = _Batch(launcher, workers)
    waiting: collections.deque[Future[CompletedRun]] = collections.deque()
    try:
        for job in jobs:
            waiting.append(batch.submit(job))
            while waiting and (len(waiting) >= workers * _AHEAD or waiting[0].done()):
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        batch.end(waiting)


def _first(waiting: collections.deque[Future[CompletedRun]]) -> CompletedRun:
    """Take the first result; its future stays in the queue until then, so that an interrupt does not lose the run."""
    found = waiting[0].result()
    waiting.popleft()
    return found
