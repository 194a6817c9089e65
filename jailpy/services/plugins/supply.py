"""Where workers come from: started when one is needed, or ahead as spares; and not at once after repeated failures."""

from __future__ import annotations

import threading
import time
from typing import Any

from jailpy import escape
from jailpy.errors import PluginError
from jailpy.services.plugins.limits import BrokenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jailpy.services.plugins import wire
    from jailpy.services.plugins.worker import Worker

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 30.0


def error(plugin: str, entry: str, reason: str, words: str, **more: Any) -> PluginError:
    """Return the error of a plugin's call, its words made harmless."""
    name = f"{plugin}.{entry}" if entry else plugin
    found = PluginError(escape.line(f"{name}: {words}"), plugin=plugin, entry=entry, reason=reason, **more)
    if found.traceback:
        found.add_note("\n".join(escape.line(line) for line in found.traceback.rstrip().split("\n")))
    return found


def raised(plugin: str, entry: str, reason: str, told: wire.Failure) -> PluginError:
    """Return the error for an exception that a plugin tells of."""
    words = f"cannot be loaded: {told.kind}: {told.text}" if reason == "start" else f"{told.kind}: {told.text}"
    return error(plugin, entry, reason, words, type=told.kind, text=told.text, traceback=told.traceback)


class Supply:
    """Gives workers that can be called, each once. Safe to use from any thread."""

    def __init__(self, plugin: str, make: Callable[[], Worker], spares: int) -> None:
        self._plugin, self._make, self._wanted = plugin, make, spares
        self._fresh()

    def _fresh(self) -> None:
        self._lock = threading.Lock()
        self._spares: list[Worker] = []
        self._filling = self._closed = False
        self._failures, self._not_before = 0, 0.0
        self.starts = 0

    def take(self) -> Worker:
        """Return a worker. Raises PluginError (reasons `start`, `back_off`), and what starting a jail raises."""
        spare = self._spare()
        found = spare or self._start()
        if self._wanted:
            self._refill()
        return found

    def _spare(self) -> Worker | None:
        with self._lock:
            while self._spares:
                spare = self._spares.pop(0)
                if not spare.ended.is_set():
                    return spare
                spare.drop()
        return None

    def _start(self) -> Worker:
        left = self._not_before - time.monotonic()
        if left > 0:
            words = f"failed {self._failures} times in a row, and is started again in {left:.1f} s"
            raise error(self._plugin, "", "back_off", words)
        self.starts += 1
        worker = self._make()
        try:
            failure = worker.greet()
        except BrokenError as broken:
            worker.drop()
            self.failed()
            words = f"did not start: {broken}" + (f": {worker.how()}" if broken.reason == "crashed" else "")
            raise error(self._plugin, "", "start", words, report=worker.report) from None
        except BaseException:
            worker.drop()
            raise
        if failure:
            worker.drop()
            self.failed()
            raise raised(self._plugin, "", "start", failure)
        return worker

    def failed(self) -> None:
        """Note that a worker came to a bad end: from the second time in a row on, the next one is not started at once."""
        with self._lock:
            self._failures += 1
            if self._failures > 1:
                delay = min(_FIRST_DELAY_S * 2 ** min(self._failures - 2, 16), _LONGEST_DELAY_S)
                self._not_before = time.monotonic() + delay

    def worked(self) -> None:
        """Note that a call went well."""
        self._failures = 0

    def _refill(self) -> None:
        with self._lock:
            if self._filling or self._closed or len(self._spares) >= self._wanted:
                return
            self._filling = True
        threading.Thread(target=self._fill, name="jailpy-plugin", daemon=True).start()

    def _fill(self) -> None:
        """Start spares. One that fails is not tried again before the next worker is needed, which then says why."""
        while True:
            try:
                worker = self._start()
            except Exception:  # noqa: BLE001 - the next call starts one itself, and raises what is wrong
                worker = None
            with self._lock:
                kept = worker is not None and not self._closed
                if kept:
                    self._spares.append(worker)  # type: ignore[arg-type]
                if not kept or len(self._spares) >= self._wanted:
                    self._filling = False
                    break
        if worker and not kept:
            worker.drop()

    def close(self) -> None:
        """End the spares; start no more."""
        with self._lock:
            self._closed = True
            spares, self._spares = self._spares, []
        for spare in spares:
            spare.drop()

    def disown(self) -> None:
        """In a forked child: leave the parent's spares alone."""
        for spare in self._spares:
            spare.disown()
        self._fresh()
