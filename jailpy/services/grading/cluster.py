"""Judging on the workers of a Dask scheduler: what `Judge` is here, elsewhere. Needs the extra `cluster`.

The problem goes once to each worker, by its digest, also to those that come later. A job whose worker is lost is run by
another one. Submissions and results travel as JSON and MessagePack; a result is never unpickled into anything but bytes.
"""

from __future__ import annotations

import os
import threading

import msgspec

from jailpy.errors import HostError, UsageError
from jailpy.services.grading.results import Limits, SubmissionResult, TestResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from distributed import Client, Future

    from jailpy.services.grading.engine import Options
    from jailpy.services.grading.problem import Problem
    from jailpy.services.grading.submission import Submission

_CONNECT_S = 10
_TRIES = 5  # workers that a job may lose, before it is the job that is to blame
_HINT = ["pip install 'jailpy[cluster]', here and on the workers"]
_TOPIC = "jailpy-tests-{}"


class Cluster:
    """Judges submissions of one problem on a cluster's workers. Raises UsageError, HostError, ProblemError."""

    def __init__(self, address: str, problem: Problem, options: Options) -> None:
        self._client = _connect(address)
        self._listeners: dict[str, Callable[[TestResult], object]] = {}
        self._futures: set[Future] = set()
        self._lock = threading.Lock()
        self._numbers = iter(range(1 << 62))
        self._session = f"{os.getpid()}-{os.urandom(6).hex()}"
        self._topic = _TOPIC.format(self._session)
        try:
            self._start(problem, options)
        except BaseException:
            self.close()
            raise

    def _start(self, problem: Problem, options: Options) -> None:
        from jailpy.services.grading import remote

        self._judge = remote.judge
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            raise HostError("the scheduler has no workers", hints=["start one: dask worker tcp://HOST:PORT --nthreads CORES"])
        self._key = f"{problem.digest}-{self._session}"
        plugin = remote.ProblemPlugin(self._key, remote.pack(problem.folder), _places(workers))
        self._client.register_plugin(plugin, name=self._key)
        self._client.subscribe_topic(self._topic, self._told)
        self._options = msgspec.json.encode(options)
        limits = self._client.submit(remote.limits, self._key, self._options, pure=False, retries=_TRIES).result()
        self.limits = msgspec.json.decode(limits, type=Limits)
        if self.limits.cpu_s is not None:  # one worker measured it: the others take what it found
            self._options = msgspec.json.encode(msgspec.structs.replace(options, time_limit=self.limits.cpu_s))

    @property
    def jobs(self) -> int:
        """How many submissions the workers can judge at a time; one more for each waits there, so that none is idle."""
        return max(1, 2 * sum(self._client.nthreads().values()))

    def judge(
        self, submission: Submission, on_test: Callable[[Submission, TestResult], object] | None = None
    ) -> SubmissionResult:
        """Judge one submission on some worker. Called from any thread."""
        with self._lock:
            number = str(next(self._numbers))
            if on_test:
                self._listeners[number] = lambda test: on_test(submission, test)
        packed = msgspec.msgpack.encode(submission)
        future = None
        try:
            future = self._client.submit(
                self._judge, self._key, self._options, packed, self._topic, number, pure=False, retries=_TRIES
            )
            with self._lock:
                self._futures.add(future)
            return msgspec.json.decode(future.result(), type=SubmissionResult)
        finally:
            with self._lock:
                self._listeners.pop(number, None)
                self._futures.discard(future)

    def _told(self, event: tuple[object, Any]) -> None:
        """Hand on a test's result: (time, (number, JSON)). One that is run again may tell of a test twice."""
        number, test = event[1]
        with self._lock:
            listener = self._listeners.get(number)
        if listener:
            listener(msgspec.json.decode(test, type=TestResult))

    def close(self) -> None:
        """Cancel what waits, let the workers remove the problem, and leave the cluster."""
        if hasattr(self, "_key") and self._client.status == "running":
            with self._lock:
                waiting = list(self._futures)
            self._client.cancel(waiting, force=True)
            self._client.unregister_worker_plugin(self._key)
        self._client.close(timeout=_CONNECT_S)


def _connect(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError("option --workers needs Dask, which is not installed", _HINT) from error
    try:
        return Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(f"option --workers: {address}: no scheduler answers there: {error}") from error


def _places(workers: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Say of each worker which one it is on its host, and of how many: those of one host share its cores."""
    hosts: dict[str, list[str]] = {}
    for address, about in workers.items():
        hosts.setdefault(str(about["host"]), []).append(address)
    return {address: (index, len(names)) for names in hosts.values() for index, address in enumerate(sorted(names))}
