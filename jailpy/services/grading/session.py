"""A session: many submissions through one judge, some at a time. It can be stopped at any time, and then says what is left.

Worker threads read and judge; the thread that calls `run` alone keeps results and tells of progress. A signal handler may
call `stop`.
"""

from __future__ import annotations

import datetime as dt
import queue
import threading
import time
from typing import Protocol

import msgspec
from msgspec.structs import replace

from jailpy.services.grading import intake
from jailpy.services.grading.results import SubmissionResult, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jailpy.services.grading.intake import Bounds, Source
    from jailpy.services.grading.results import TestResult
    from jailpy.services.grading.store import Store
    from jailpy.services.grading.submission import Submission


_TICK_S = 1.0


class Judging(Protocol):
    """What judges submissions, here or elsewhere: the engine's `Judge`, or a cluster."""

    @property
    def jobs(self) -> int:
        """How many submissions can be judged at a time."""
        ...

    def judge(
        self, submission: Submission, on_test: Callable[[Submission, TestResult], object] | None = None
    ) -> SubmissionResult:
        """Judge one submission, from any thread; call `on_test` with each test's result."""
        ...

    def close(self) -> None:
        """Kill what runs, and let `judge` return soon."""
        ...


class Watch:
    """What is told of progress, from the thread of `run`. This one says nothing."""

    def started(self, name: str) -> None:
        """A submission is being judged."""

    def tested(self, name: str, test: TestResult) -> None:
        """One of its tests was."""

    def judged(self, result: SubmissionResult, *, known: bool) -> None:
        """A submission was judged; `known` where it had been, before the session."""

    def waited(self) -> None:
        """A second passed without news."""


class _Done(msgspec.Struct, frozen=True):
    """A submission's end: `submission` is None where it could not be read, `known` where the store had it."""

    index: int
    result: SubmissionResult
    submission: Submission | None = None
    known: bool = False


class _Told(msgspec.Struct, frozen=True):
    """News of a submission that is being judged: it started, or a test ended."""

    name: str
    test: TestResult | None = None


class _Ended(msgspec.Struct, frozen=True):
    """A worker thread has nothing more to do."""


class _Stop(msgspec.Struct, frozen=True):
    """Somebody asked for the end."""


class Clock:
    """The time of day when this was made, and from then on by the clock that nobody can set: durations are true."""

    def __init__(self) -> None:
        self._began, self._start = dt.datetime.now(dt.UTC), time.monotonic()

    def now(self) -> str:
        """Return the time, UTC, RFC 3339, with milliseconds."""
        moment = self._began + dt.timedelta(seconds=time.monotonic() - self._start)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Session:
    """Judges sources. `store` keeps results; with `resume` what it has is not judged again."""

    def __init__(
        self,
        judging: Judging,
        sources: Sequence[Source],
        *,
        bounds: Bounds | None = None,
        store: Store | None = None,
        resume: bool = False,
        watch: Watch | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._judging = judging
        self._clock = clock or Clock()
        self._sources = sources
        self._bounds = bounds or intake.Bounds()
        self._store, self._resume = store, resume
        self._watch = watch or Watch()
        self._events: queue.SimpleQueue[_Done | _Told | _Ended | _Stop] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._taking = threading.Lock()
        self._results: dict[int, SubmissionResult] = {}

    @property
    def stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopping.is_set()

    @property
    def results(self) -> tuple[SubmissionResult, ...]:
        """What was judged, in the order of the sources."""
        return tuple(self._results[index] for index in sorted(self._results))

    @property
    def pending(self) -> tuple[str, ...]:
        """The names of what was not judged."""
        return tuple(source.name for index, source in enumerate(self._sources) if index not in self._results)

    def stop(self) -> None:
        """End soon: nothing more is begun, and what runs is killed. A second time: do not even wait for that.

        For signal handlers and other threads.
        """
        self._stopping.set()
        self._events.put(_Stop())

    def run(self) -> None:
        """Judge all that can be. Raises UsageError where the store fails; nothing for what submissions do."""
        work = self._reuse() if self._resume and self._store else list(range(len(self._sources)))
        todo = iter(work)
        threads = [
            threading.Thread(target=self._work, args=(todo,), name=f"judge-{number}", daemon=True)
            for number in range(min(self._judging.jobs, len(work)))
        ]
        for thread in threads:
            thread.start()
        try:
            self._follow(len(threads))
        except BaseException:
            self._stopping.set()
            self._judging.close()
            raise

    def _reuse(self) -> list[int]:
        """Take what the store knows; return the places of the rest."""
        assert self._store
        left = []
        for index, source in enumerate(self._sources):
            if self.stopped:
                break
            known = self._known_result(source)
            if known is None:
                left.append(index)
            else:
                self._results[index] = known
                self._watch.judged(known, known=True)
        return left

    def _known_result(self, source: Source) -> SubmissionResult | None:
        assert self._store
        try:
            return self._store.find(intake.load(source, self._bounds))
        except intake.RefusedError:
            return None  # told when its turn comes

    def _follow(self, workers: int) -> None:
        """Handle events until every worker has ended, or a second stop."""
        stops = 0
        while workers:
            event = self._awaited()
            if event is None:
                self._watch.waited()
            elif isinstance(event, _Ended):
                workers -= 1
            elif isinstance(event, _Stop):
                stops += 1
                if stops > 1:
                    return
                self._judging.close()
            elif not stops:  # what ends after a stop may have been killed by it
                self._handle(event)

    def _awaited(self) -> _Done | _Told | _Ended | _Stop | None:
        try:
            return self._events.get(timeout=_TICK_S)
        except queue.Empty:
            return None

    def _handle(self, event: _Done | _Told) -> None:
        if isinstance(event, _Told):
            if event.test is None:
                self._watch.started(event.name)
            else:
                self._watch.tested(event.name, event.test)
            return
        if self._store and event.submission:
            self._store.keep(event.submission, event.result)
        self._results[event.index] = event.result
        self._watch.judged(event.result, known=False)

    def _work(self, todo: Iterator[int]) -> None:
        """Judge what is next until nothing is left. Runs in a thread of its own."""
        try:
            while not self.stopped:
                with self._taking:
                    index = next(todo, None)
                if index is None:
                    return
                self._events.put(self._judge(index, self._sources[index]))
        finally:
            self._events.put(_Ended())

    def _judge(self, index: int, source: Source) -> _Done:
        started = self._clock.now()
        submission = None
        try:
            submission = intake.load(source, self._bounds)
            self._events.put(_Told(source.name))
            result = self._judging.judge(submission, self._tell)
        except intake.UnreadableError as error:
            result = SubmissionResult(name=source.name, verdict=Verdict.IE, message=error.message)
        except intake.RefusedError as error:
            result = SubmissionResult(name=source.name, verdict=Verdict.CE, message=f"it cannot be judged: {error.message}")
        except Exception as error:  # noqa: BLE001 - the others are to be judged all the same, and the report tells of it
            result = SubmissionResult(name=source.name, verdict=Verdict.IE, message=f"{type(error).__name__}: {error}")
        notes = submission.notes if submission else ()
        ended, notes = self._clock.now(), (*notes, *result.notes)
        result = replace(sound(result), name=source.name, notes=notes, started_at=started, ended_at=ended)
        return _Done(index, result, submission)

    def _tell(self, submission: Submission, test: TestResult) -> None:
        self._events.put(_Told(submission.name, test))


def sound(result: SubmissionResult) -> SubmissionResult:
    """Return a result that can be written as UTF-8: lone surrogates of its texts replaced."""
    try:
        msgspec.json.encode(result)
    except UnicodeEncodeError:
        return msgspec.convert(_sound(msgspec.to_builtins(result)), SubmissionResult)
    return result


def _sound(value: object) -> object:
    if isinstance(value, str):
        return value.encode(errors="surrogatepass").decode(errors="replace")
    if isinstance(value, dict):
        return {key: _sound(inner) for key, inner in value.items()}
    return [_sound(inner) for inner in value] if isinstance(value, list | tuple) else value
