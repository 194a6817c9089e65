"""`Plugin`: an object whose methods run in a jail."""

from __future__ import annotations

import collections
import functools
import itertools
import os
import threading
import time
import weakref
from contextlib import contextmanager
from typing import Any

from jailpy.client.launcher import shared
from jailpy.client.profile import Profile
from jailpy.errors import PluginError, UsageError
from jailpy.services.plugins import access, hosts, source, supply, values, wire
from jailpy.services.plugins.limits import Bounds, BrokenError, violation
from jailpy.services.plugins.logs import Logs
from jailpy.services.plugins.recipe import Recipe
from jailpy.services.plugins.stream import Stream
from jailpy.services.plugins.worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self

    from jailpy.client.launcher import Launcher
    from jailpy.services.plugins.asynchronous import Handle

ISOLATIONS = ("worker", "call")
_plugins: weakref.WeakSet[Plugin] = weakref.WeakSet()


class Plugin:
    """An untrusted plugin. Its entries are methods; each has a twin for asyncio: `plugin.transform_async(data)`.

    `source` is the plugin's folder, its manifest, or the name of an installed module that has one. `manifest` replaces the
    plugin's own: a dictionary, or the path of a file. `grants` is what the host grants (docs/reference/plugin-manifest.md).
    `isolation` is "worker" (one jail, which keeps its state between calls) or "call" (a fresh jail for each call). `spares` is
    how many jails wait ready for the next start; `idle` after how many seconds without a call the jail is given up.

    May be used from any thread, from asyncio, and after fork(2): a child starts a worker of its own. A context manager.
    Raises ManifestError for the manifest and the grants, UsageError.
    """

    def __init__(
        self,
        source_: str | os.PathLike[str],
        *,
        manifest: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        grants: Mapping[str, Any] | None = None,
        profile: str | os.PathLike[str] | Profile = "plugin",
        isolation: str = "worker",
        spares: int = 0,
        idle: float | None = None,
        bounds: Bounds | None = None,
        launcher: Launcher | None = None,
    ) -> None:
        if isolation not in ISOLATIONS:
            raise UsageError(f'option isolation: expected "worker" or "call", got {isolation!r}')
        if spares < 0 or (idle is not None and idle <= 0):
            raise UsageError("options spares and idle: expected no less than 0, and more than 0")
        whole = profile if isinstance(profile, Profile) else Profile.load(profile)
        self.manifest = source.find(source_, manifest)
        if self.manifest.filter:
            raise UsageError(f"{self.manifest.name}: is a filter: use jailpy.Filter")
        self.access = access.of(self.manifest, grants, whole)
        self._functions = hosts.functions((grants or {}).get("host", {}), self.access.host)
        self.bounds, self._isolation, self._idle = bounds or Bounds(), isolation, idle
        self._logs = Logs()
        recipe = Recipe(self.manifest, self.access, whole, self.bounds)
        cpus = whole.resolve().limits.cpus or float(os.cpu_count() or 1)
        make = functools.partial(Worker, launcher or shared(), recipe, self._logs, cpus)
        self._supply = supply.Supply(self.manifest.name, make, spares)
        self.abandoned: collections.deque[tuple[Worker, str, int]] = collections.deque()
        self._numbers = itertools.count(1)
        self._counts: collections.Counter[str] = collections.Counter()
        self._closed = False
        self._fresh()
        _plugins.add(self)

    def _fresh(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0
        self._worker: Worker | None = None
        self._used = time.monotonic()
        self._closing = threading.Event()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not name.startswith("_") and name in self.manifest.entries:
            return functools.partial(self.call, name)
        if not name.startswith("_") and name.removesuffix("_async") in self.manifest.entries:
            return functools.partial(self.call_async, name.removesuffix("_async"))
        raise AttributeError(
            f"plugin {self.__dict__['manifest'].name if 'manifest' in self.__dict__ else '?'} has no entry {name}"
        )

    def call(self, entry: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call an entry; return what it returns, a `Stream` for a generator.

        Raises PluginError (its `reason` says why there is no result), TypeError for arguments that are no data, and what
        starting a jail raises.
        """
        return self._call(entry, args, kwargs, None)

    async def call_async(self, entry: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call an entry from asyncio. Cancelling kills the worker that the call is in."""
        from jailpy.services.plugins import asynchronous

        return await asynchronous.run(lambda handle: self._call(entry, args, kwargs, handle))

    def start(self) -> None:
        """Start the worker now; otherwise the first call does."""
        with self._turn(""):
            if self._isolation == "worker":
                self._current()

    def _call(self, entry: str, args: tuple[Any, ...], kwargs: dict[str, Any], handle: Handle | None) -> Any:
        if entry not in self.manifest.entries:
            raise UsageError(f"{self.manifest.name}: has no entry {entry!r}", [f"entries: {', '.join(self.manifest.entries)}"])
        packer = values.Packer(self.bounds, takes_buffers=bool(self.manifest.module))
        packed = [self._packed(packer, entry, f"argument {at}", value) for at, value in enumerate(args, 1)]
        named = {key: self._packed(packer, entry, f"argument {key}", value) for key, value in kwargs.items()}
        message = wire.Call(next(self._numbers), entry, packed, named)
        with self._turn(entry):
            worker = self._current()
            reply = self._converse(worker, entry, message, packer, handle)
            if isinstance(reply, wire.Stream):
                return Stream(self, entry, message.id, worker)
            self._release(worker)
            return self._value(worker, entry, reply, wire.Result)

    def _packed(self, packer: values.Packer, entry: str, what: str, value: Any) -> Any:
        try:
            return packer.pack(value)
        except TypeError as error:
            raise TypeError(f"{self.manifest.name}.{entry}: {what}: {error}") from None

    @contextmanager
    def _turn(self, entry: str) -> Iterator[None]:
        """Wait for the worker to be free: as long as a call may last. In isolation "call" calls go side by side."""
        name, me = self.manifest.name, threading.get_ident()
        if self._closed:
            raise supply.error(name, entry, "closed", "the plugin is closed")
        if self._isolation == "call":
            yield
            return
        if self._owner == me:
            raise supply.error(name, entry, "reentrant", "is called by a host function that it is waiting for itself")
        if not self._lock.acquire(timeout=self.access.wall):
            raise supply.error(name, entry, "busy", f"was busy with another call for {self.access.wall:g} s (wall)")
        self._owner = me
        try:
            yield
        finally:
            self._owner, self._used = 0, time.monotonic()
            self._lock.release()

    def _current(self) -> Worker:
        """Return the worker, a new one where there is none, or in isolation "call". Closes streams that were dropped."""
        if self._isolation == "call":
            self._sweep(None)
            return self._supply.take()
        if self._worker and self._worker.ended.is_set():
            self._discard(self._worker)
            self._supply.failed()
        if not self._worker:
            self._worker = self._supply.take()
            if self._idle:
                threading.Thread(target=self._evict, args=(self._worker, self._idle), name="jailpy-plugin", daemon=True).start()
        self._sweep(self._worker)
        return self._worker

    def _sweep(self, current: Worker | None) -> None:
        while self.abandoned:
            worker, entry, number = self.abandoned.popleft()
            if self._isolation == "call":
                worker.drop()
            elif worker is current:
                self._converse(worker, entry, wire.Close(next(self._numbers), number))

    def _converse(
        self,
        worker: Worker,
        entry: str,
        message: wire.Call | wire.Next | wire.Close,
        packer: values.Packer | None = None,
        handle: Handle | None = None,
    ) -> wire.Reply:
        """Send a message, return its reply. The worker is given up where the conversation breaks, for any reason."""
        calls = hosts.Calls(self._functions, self.bounds, self.manifest.name)
        self._counts["calls"] += isinstance(message, wire.Call)
        try:
            line = values.encode(message, self.bounds)
            buffers = worker.memory.filled(packer.buffers if packer else [])
            if handle:
                handle.entered(worker)
        except TypeError as error:
            self._release(worker)
            raise TypeError(f"{self.manifest.name}.{entry}: {error}") from None
        except BaseException:  # cancelled before its turn
            self._release(worker)
            raise
        try:
            clock = worker.clock(self.access.wall, self.access.cpu)
            return worker.converse(message, line, buffers, clock, calls)
        except BrokenError as broken:
            raise self._broken(worker, entry, broken) from None
        except BaseException:
            self._discard(worker)
            raise
        finally:
            self._counts["host_calls"] += calls.count
            if handle:
                handle.entered(None)

    def _value(self, worker: Worker, entry: str, reply: wire.Reply, expected: type[wire.Result | wire.Item]) -> Any:
        if isinstance(reply, wire.Failure):
            self._supply.worked()
            self._counts["raised"] += 1
            raise supply.raised(self.manifest.name, entry, "raised", reply)
        if not isinstance(reply, expected):
            raise self._broken(worker, entry, violation(f"it answered with a message of type {type(reply).__name__.lower()}"))
        self._supply.worked()
        return reply.value

    def _broken(self, worker: Worker, entry: str, broken: BrokenError) -> PluginError:
        self._discard(worker)
        self._counts[broken.reason] += 1
        if self._closed:
            return supply.error(self.manifest.name, entry, "closed", "the plugin was closed meanwhile")
        self._supply.failed()
        words = f"ended without a result: {worker.how()}" if broken.reason == "crashed" else str(broken)
        return supply.error(self.manifest.name, entry, broken.reason, words, report=worker.report)

    def _release(self, worker: Worker) -> None:
        """Give up a worker that was for one call."""
        if self._isolation == "call":
            worker.drop()

    def _discard(self, worker: Worker) -> None:
        worker.drop()
        if self._worker is worker:
            self._worker = None

    def next_item(self, stream: Stream) -> Any:
        """Return the next item of a stream. Raises StopIteration at its end."""
        with self._turn(stream.entry):
            self._expect_same(stream)
            reply = self._converse(stream.worker, stream.entry, wire.Next(next(self._numbers), stream.number))
            if isinstance(reply, wire.End | wire.Failure):
                self._release(stream.worker)
            if isinstance(reply, wire.End):
                raise StopIteration
            return self._value(stream.worker, stream.entry, reply, wire.Item)

    def close_stream(self, stream: Stream) -> None:
        """Close the generator of a stream, if its worker is there."""
        if self._isolation == "call":
            stream.worker.drop()
        elif stream.worker is self._worker and not self._closed:
            with self._turn(stream.entry):
                if stream.worker is self._worker:
                    self._converse(stream.worker, stream.entry, wire.Close(next(self._numbers), stream.number))

    def _expect_same(self, stream: Stream) -> None:
        if self._isolation == "worker" and stream.worker is not self._worker:
            raise supply.error(self.manifest.name, stream.entry, "crashed", "the worker that yielded has ended")

    def _evict(self, worker: Worker, idle: float) -> None:
        """Give up a worker after so long without a call."""
        while self._worker is worker:
            left = self._used + idle - time.monotonic()
            if left > 0:
                if self._closing.wait(left):
                    return
            elif self._lock.acquire(timeout=idle):
                try:
                    if self._worker is worker and self._used + idle <= time.monotonic():
                        self._discard(worker)
                        self._counts["evicted"] += 1
                finally:
                    self._lock.release()

    def stats(self) -> dict[str, Any]:
        """Return counts: `starts`, `calls`, `host_calls`, `evicted`, `log_bytes`, and failed calls by their reason."""
        return {
            "alive": self._worker is not None and not self._worker.ended.is_set(),
            "starts": self._supply.starts,
            "log_bytes": self._logs.bytes,
            **{name: self._counts[name] for name in ("calls", "host_calls", "evicted")},
            "failed": {name: count for name, count in self._counts.items() if name not in ("calls", "host_calls", "evicted")},
        }

    def logs(self) -> list[str]:
        """Return the last lines that the plugin printed, made harmless for a terminal."""
        return self._logs.lines()

    def close(self) -> None:
        """Kill the worker; calls that go on end with reason `closed`. May be called twice, and from any thread."""
        self._closed = True
        self._closing.set()
        self._supply.close()
        worker = self._worker
        if worker:
            worker.kill()
        if self._owner != threading.get_ident() and self._lock.acquire(timeout=1.0):
            if self._worker:
                self._discard(self._worker)
            self._lock.release()
        if self._isolation == "call":
            self._sweep(None)

    def __enter__(self) -> Self:
        """Return the plugin itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __del__(self) -> None:
        """End the worker of a plugin that nobody can call any more."""
        if self.__dict__.get("_worker"):
            self._worker.drop()  # type: ignore[union-attr]
        if "_supply" in self.__dict__:
            self._supply.close()

    def disown(self) -> None:
        """In a forked child: leave the parent's worker alone, and start one when it is needed."""
        if self._worker:
            self._worker.disown()
        self.abandoned.clear()
        self._logs.disown()
        self._supply.disown()
        self._fresh()


def _after_fork_in_child() -> None:
    for plugin in list(_plugins):
        plugin.disown()


os.register_at_fork(after_in_child=_after_fork_in_child)
