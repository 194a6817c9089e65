"""`Launcher`: one server for many runs, from any thread; and `run`, `run_async`, which share one for the whole program."""

from __future__ import annotations

import functools
import os
import threading
import weakref

from jailpy.client import options as words
from jailpy.client.connection import Server
from jailpy.client.python import Script
from jailpy.client.result import CompletedRun
from jailpy.client.running import Running
from jailpy.client.streams import DEVNULL, NAMES, PIPE
from jailpy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, Self, Unpack

    from jailpy.client.options import Command, Defaults, Options, Path, RunOptions
    from jailpy.client.profile import Profile


_LARGEST_POOL = 64  # each jail in it holds about ten descriptors of its worker's


class Launcher:
    """Runs commands in jails, each as `jailpy exec` would. A context manager; leaving it kills what still runs.

    Keyword arguments given here are defaults of every run; what a run gives replaces them. `pool` is how many jails are built
    ahead, in idle time, like that of the last run; each is used once. May be used from any thread, from asyncio, and after
    fork(2): a forked child starts a server of its own. A pickled launcher arrives as a new one with the same defaults.
    Raises UsageError for what is no option.
    """

    def __init__(
        self, profile: str | os.PathLike[str] | Profile = "strict", *, pool: int = 0, **options: Unpack[Defaults]
    ) -> None:
        self._defaults = words.given({"profile": profile, **options})
        words.overrides(self._defaults)
        self._pool = _counted(pool)
        self._server = Server(self._pool)
        self._finalizer = weakref.finalize(self, self._server.close)

    def run(
        self,
        argv: Command,
        *,
        input: bytes | bytearray | memoryview | str | None = None,  # noqa: A002 - the name that subprocess taught
        text: bool = False,
        encoding: str | None = None,
        errors: str | None = None,
        check: bool = False,
        on_start: Callable[[Running], object] | None = None,
        **options: Unpack[Options],
    ) -> CompletedRun:
        """Run a command to its end and return the run with its captured output, as subprocess.run does.

        `input` goes to its standard input (nothing otherwise). `text`, `encoding` or `errors` ask for text instead of bytes.
        `check=True` raises PayloadError where the verdict is not `ok`. `on_start` is called with the `Running`.
        Other options are those of `jailpy exec`, see docs/reference/python.md.

        Raises UsageError, ProfileError, HostError, LaunchError (CommandError where the command is not found), InternalError.
        """
        coding = (encoding or "utf-8", errors or "strict") if text or encoding or errors else None
        data = input.encode(*(coding or ("utf-8", "strict"))) if isinstance(input, str) else input
        given = dict(options)
        if data is not None and given.get("stdin") is not None:
            raise UsageError("options input and stdin: only one of them can be the payload's input")
        streams = _streams(given, PIPE if data is not None else None, PIPE)
        with self._start(argv, streams, given) as running:
            if on_start:
                on_start(running)
            out, err = running.communicate(data or b"")
            done = running.wait()
        found = CompletedRun(running.args, done.report(), _decoded(out, coding), _decoded(err, coding))
        return found.check() if check else found

    def python(
        self,
        script: Path,
        args: Iterable[Path] = (),
        *,
        preload: str | Iterable[str] = (),
        interpreter: Path | None = None,
        **options: Unpack[RunOptions],
    ) -> CompletedRun:
        """Run a Python script as `python3 script.py` would, by an interpreter that has modules imported already.

        `script` is a path, or source text: a text with a line end. The same as `run(Script(...), **options)`; see `Script`.
        Raises as `run` does; UsageError for a module that cannot be preloaded.
        """
        return self.run(Script(script, args, preload=preload, interpreter=interpreter), **options)

    def popen(self, argv: Command, **options: Unpack[Options]) -> Running:
        """Start a command and return it while it runs, as subprocess.Popen does; stdin, stdout and stderr may be PIPE.

        A stream that is not given is empty, or goes nowhere. Raises as `run` does for what can be seen before the launch; a
        launch that fails is told by `wait`.
        """
        given = dict(options)
        return self._start(argv, _streams(given, None, DEVNULL), given)

    async def run_async(self, argv: Command, **options: Unpack[RunOptions]) -> CompletedRun:
        """Run a command as `run` does, from asyncio. Cancelling the task kills the run and waits until nothing is left."""
        with self.forks_wait():
            from jailpy.client import asynchronous

        return await asynchronous.run(self, argv, options)

    def map(self, jobs: Iterable[Command | Mapping[str, Any]], *, workers: int | None = None) -> Iterator[CompletedRun]:
        """Run many commands in parallel and yield their results in order.

        A job is an argv, or the keyword arguments of `run` with `argv`. `workers` defaults to the number of processors. Jobs
        are taken as they are needed, at most two per worker ahead of what was yielded. An error of one job is raised where its
        result would come; leaving the iterator kills what still runs. Raises UsageError.
        """
        with self.forks_wait():
            from jailpy.client import parallel

        wanted = len(os.sched_getaffinity(0)) if workers is None else workers
        if wanted < 1:
            raise UsageError(f"option workers: expected at least 1, got {wanted}")
        return parallel.run_all(self, jobs, wanted)

    def forks_wait(self) -> AbstractContextManager[object]:
        """Return a context in which no other thread forks.

        A child would keep descriptors that are opened there, and never get the lock of a module that is imported there.
        """
        return self._server.lock

    def stats(self) -> dict[str, Any]:
        """Return how many runs were started, are running, ended with which verdicts, failed; and how often a server started.

        `failed` counts runs that gave an error in place of a report.
        """
        for running in self._server.runs():
            running.has_ended(0)
        return {**self._server.stats.report(), "server_starts": self._server.starts}

    def close(self) -> None:
        """Kill what still runs (verdict `cancelled`) and end the server. May be called twice, and from any thread."""
        self._finalizer()

    def __enter__(self) -> Self:
        """Return the launcher itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the defaults."""
        return functools.partial(Launcher, pool=self._pool, **self._defaults), ()

    def _start(self, argv: Command, streams: Sequence[Any], options: Mapping[str, Any]) -> Running:
        stats = self._server.stats
        stats.start()
        try:
            return Running(self._server, argv, streams, {**self._defaults, **words.given(options)}, keeping=self)
        except BaseException:
            stats.fail()
            raise


def _counted(pool: object) -> int:
    """Return the size of a pool. Raises UsageError for what is none."""
    if isinstance(pool, bool) or not isinstance(pool, int) or not 0 <= pool <= _LARGEST_POOL:
        raise UsageError(f"option pool: expected a number from 0 to {_LARGEST_POOL}, got {pool!r}")
    return pool


def _streams(options: dict[str, Any], source: int | None, output: int | None) -> list[Any]:
    """Take the three streams out of the options, with defaults for those that were not given."""
    given = [options.pop(name, None) for name in NAMES]
    return [default if value is None else value for value, default in zip(given, (source, output, output), strict=True)]


def _decoded(data: bytes | None, coding: tuple[str, str] | None) -> bytes | str | None:
    """Decode as text mode does: universal newlines."""
    if data is None or coding is None:
        return data
    return data.decode(*coding).replace("\r\n", "\n").replace("\r", "\n")


_shared: list[Launcher] = []
_sharing = threading.Lock()


def shared() -> Launcher:
    """Return the launcher that `jailpy.run` uses, one for the whole program, closed at its end."""
    with _sharing:
        if not _shared:
            _shared.append(Launcher())
        return _shared[0]


def run(argv: Command, **options: Unpack[RunOptions]) -> CompletedRun:
    """Run one command in a jail: `jailpy.run(["python3", "a.py"], ro=["a.py"], wall="2s")`. See `Launcher.run`."""
    return shared().run(argv, **options)


async def run_async(argv: Command, **options: Unpack[RunOptions]) -> CompletedRun:
    """Run one command in a jail, from asyncio. See `Launcher.run_async`."""
    return await shared().run_async(argv, **options)


def _share_anew() -> None:
    """Replace the lock in a forked child: another thread of the parent may have held it."""
    global _sharing
    _sharing = threading.Lock()


os.register_at_fork(after_in_child=_share_anew)
