"""Calls and starts of a plugin that does nothing. This runs in the process of the caller."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks import plugins, processes
from benchmarks.common import FailedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MANIFEST = 'schema = 1\nname = "idle"\nmodule = "idle"\nentries = ["echo", "length"]\n'
SOURCE = "import json, re, socket, subprocess\ndef echo(value):\n    return value\ndef length(data):\n    return len(data)\n"
LARGE = 100_000_000
MB = 1e6
_REST_S = 0.2  # for the next spare to be there


@contextmanager
def _folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="jailpy-plugins-") as folder:
        os.chmod(folder, 0o755)
        for name, text in (("jailpy-plugin.toml", MANIFEST), ("idle.py", SOURCE)):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        yield folder


def times(calls: int, starts: int) -> list[dict[str, Any]]:
    """Return p50 and p90 of each kind of call, in milliseconds. Raises FailedError where a plugin answers wrongly."""
    import jailpy

    with _folder() as folder:
        with jailpy.Plugin(folder) as plugin:
            buffer = jailpy.Buffer.empty(LARGE)
            data = bytes(LARGE)
            found = [
                _row(plugins.CALL, calls, lambda: plugin.echo(7), 7),
                _row(plugins.BUFFER, starts, lambda: plugin.length(buffer), LARGE),
                _row(plugins.BYTES, starts, lambda: plugin.length(data), LARGE),
            ]
            buffer.close()
        found.append(_first(folder, starts, data))

        def start() -> object:
            with jailpy.Plugin(folder) as plugin:
                return plugin.echo(7)

        found.append(_row(plugins.START, starts, start, 7))
        with jailpy.Plugin(folder, spares=1, idle=_REST_S / 2) as plugin:
            found.append(_row(plugins.SPARE, starts, lambda: plugin.echo(7), 7, rest=_REST_S * 2))
        with jailpy.Plugin(folder, isolation="call", spares=2) as plugin:
            found.append(_row(plugins.FRESH, starts, lambda: plugin.echo(7), 7, rest=_REST_S))
    return found


def _first(folder: str, count: int, data: bytes) -> dict[str, Any]:
    """Measure the call that has no memory of earlier ones."""
    import jailpy

    taken = []
    for _ in range(count):
        with jailpy.Plugin(folder) as plugin:
            plugin.start()
            begin = time.perf_counter()
            answer = plugin.length(data)
            taken.append((time.perf_counter() - begin) * 1e3)
            if answer != LARGE:
                raise FailedError(f"{plugins.FIRST_BYTES}: expected {LARGE}, got {answer!r}")
    return _sorted(plugins.FIRST_BYTES, taken)


def _row(name: str, count: int, call: Callable[[], object], expected: object, rest: float = 0.0) -> dict[str, Any]:
    taken = []
    for _ in range(count + 1):
        time.sleep(rest)
        begin = time.perf_counter()
        answer = call()
        taken.append((time.perf_counter() - begin) * 1e3)
        if answer != expected:
            raise FailedError(f"{name}: expected {expected!r}, got {answer!r}")
    return _sorted(name, taken[1:])  # the first one starts what the others use


def _sorted(name: str, taken: list[float]) -> dict[str, Any]:
    rows, count = sorted(taken), len(taken)
    return {"name": name, "count": count, "p50": rows[count // 2], "p90": rows[count * 9 // 10]}


def crowd(count: int) -> dict[str, Any]:
    """Start so many plugins; return seconds, and memory of one (None where it may not be read)."""
    import jailpy

    before = _memory()
    with _folder() as folder:
        begin = time.perf_counter()
        alive = [jailpy.Plugin(folder) for _ in range(count)]
        try:
            if any(plugin.echo(7) != 7 for plugin in alive):
                raise FailedError("a plugin answered wrongly")
            seconds = time.perf_counter() - begin
            after = _memory()
            each = None if before is None or after is None else round((after - before) / count / MB, 3)
            return {"count": count, "seconds": round(seconds, 3), "pss_mb": each}
        finally:
            for plugin in alive:
                plugin.close()


def _memory() -> int | None:
    try:
        return processes.total_pss()
    except UnavailableError:
        return None
