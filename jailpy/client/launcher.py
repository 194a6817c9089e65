"""`Launcher`: one server for many runs, from any thread; and `run`, `run_async`, which share one for the whole program."""

from __future__ import annotations

import atexit
import os
import threading

from jailpy.client.connection import Server
from jailpy.client.result import CompletedRun
from jailpy.client.running import DEVNULL, PIPE, Running
from jailpy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, Self

    from jailpy.client.options import Path
    from jailpy.client.profile import Profile

_STREAMS = ("stdin", "stdout", "stderr")


class Launcher:
    """Runs commands in jails, each as `jailpy exec` would. A context manager; leaving it kills what still runs.

    Keyword arguments given here are defaults of every run. May be used from any thread, from asyncio, and after fork(2): a
    forked child starts a server of its own.
    """

    def __init__(self, profile: str | os.PathLike[str] | Profile = "strict", **options: Any) -> None:
        self._defaults = {"profile": profile, **options}
        self._server = Server()
        self._lock = threading.Lock()
        self._counts = {"started": 0, "ended": 0, "failed": 0}
        self._verdicts: dict[str, int] = {}
        self._closed = False

    def run(
        self,
        argv: Sequence[Path],
        *,
        input: bytes | str | None = None,  # noqa: A002 - the name that subprocess taught
        text: bool = False,
        encoding: str | None = None,
        errors: str | None = None,
        check: bool = False,
        on_start: Callable[[Running], None] | None = None,
        **options: Any,
    ) -> CompletedRun:
        """Run a command to its end and return the run with its captured output, as subprocess.run does.

        `input` goes to its standard input (nothing otherwise). `text`, `encoding` or `errors` ask for text instead of bytes.
        `check=True` raises PayloadError where the verdict is not `ok`. `on_start` is called with the `Running`.
        Other options are those of `jailpy exec`:
        ro, rw, cow, tmpfs, put, get, cwd, env, wall (or timeout), cpu, idle, memory, disk, output, file_size, processes,
        open_files, cpus, stack, runtime, net, set, allow_missing, profile, pass_fds; stdin, stdout and stderr may be files.

        Raises UsageError, ProfileError, HostError, LaunchError (CommandError where the command is not found).
        """
        coding = (encoding or "utf-8", errors or "strict") if text or encoding or errors else None
        data = input.encode(*(coding or ("utf-8", "strict"))) if isinstance(input, str) else input
        given = self._streams(options, PIPE if data is not None else None, PIPE)
        with self._start(argv, given, options) as running:
            if on_start:
                on_start(running)
            out, err = running.communicate(data or b"")
            done = running.wait()
        found = CompletedRun(running.args, done.report(), _decoded(out, coding), _decoded(err, coding))
        self._count(found)
        return found.check() if check else found

    def popen(self, argv: Sequence[Path], **options: Any) -> Running:
        """Start a command and return it while it runs, as subprocess.Popen does; stdin, stdout and stderr may be PIPE."""
        return self._start(argv, self._streams(options, None, DEVNULL), options)

    async def run_async(self, argv: Sequence[Path], **options: Any) -> CompletedRun:
        """Run a command as `run` does, from asyncio. Cancelling the task kills the run and waits until nothing is left."""
        from jailpy.client import asynchronous

        return await asynchronous.run(self, argv, options)

    def map(self, jobs: Iterable[Sequence[Path] | Mapping[str, Any]], *, workers: int | None = None) -> Iterator[CompletedRun]:
        """Run many commands in parallel and yield their results in order.

        A job is an argv, or the keyword arguments of `run` with `argv`. `workers` defaults to the number of processors.
        An error of one job is raised where its result would come; leaving the iterator kills what still runs.
        """
        from jailpy.client import parallel

        return parallel.run_all(self, jobs, workers or len(os.sched_getaffinity(0)))

    def stats(self) -> dict[str, Any]:
        """Return how many runs started, ended and failed to start, their verdicts, and how often a server was started."""
        with self._lock:
            return {**self._counts, "verdicts": dict(self._verdicts), "server_starts": self._server.starts}

    def close(self) -> None:
        """Kill what still runs and end the server. May be called twice."""
        self._closed = True
        self._server.close()

    def __enter__(self) -> Self:
        """Return the launcher itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _streams(self, options: dict[str, Any], source: int | None, output: int | None) -> list[Any]:
        defaults = (source, output, output)
        given = [options.pop(name, None) for name in _STREAMS]
        if source is not None and given[0] is not None:
            raise UsageError("options input and stdin: only one of them can be the payload's input")
        return [default if value is None else value for value, default in zip(given, defaults, strict=True)]

    def _start(self, argv: Sequence[Path], streams: Sequence[Any], options: Mapping[str, Any]) -> Running:
        if self._closed:
            raise UsageError("the launcher is closed")
        with self._lock:
            self._counts["started"] += 1
        try:
            return Running(self._server, argv, streams, {**self._defaults, **options})
        except BaseException:
            self._fail()
            raise

    def _fail(self) -> None:
        with self._lock:
            self._counts["failed"] += 1

    def _count(self, run: CompletedRun) -> None:
        with self._lock:
            self._counts["ended"] += 1
            self._verdicts[run.verdict] = self._verdicts.get(run.verdict, 0) + 1


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
            atexit.register(_shared[0].close)
        return _shared[0]


def run(argv: Sequence[Path], **options: Any) -> CompletedRun:
    """Run one command in a jail: `jailpy.run(["python3", "a.py"], ro=["a.py"], wall="2s")`. See `Launcher.run`."""
    return shared().run(argv, **options)


async def run_async(argv: Sequence[Path], **options: Any) -> CompletedRun:
    """Run one command in a jail, from asyncio. See `Launcher.run_async`."""
    return await shared().run_async(argv, **options)
