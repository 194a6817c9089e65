"""Runs in the jail: loads a plugin's module, answers the host's calls. Imports nothing of JailPy, and needs no library.

argv[1] is JSON: fd, module, entries, folders, bounds. It is the plugin's to change: the host believes nothing that it says.
"""

from __future__ import annotations

import base64
import importlib
import json
import math
import mmap
import os
import socket
import sys
import threading
import traceback
import types
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_INLINE_TYPES = (bytes, bytearray, memoryview)
_MOST_BUFFERS = 16
_MOST_STREAMS = 64
_LONGEST_TEXT = 10_000
_LONGEST_TRACEBACK = 50_000
_OWN = (__file__, importlib.__file__, "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")


class HostError(Exception):
    """A host function refused, or failed."""

    __module__ = "jailpy_plugin"


class Host:
    """The host's functions, by name: `from jailpy_plugin import host; host.lookup("word")`."""

    def __init__(self, runner: Runner) -> None:
        self.__runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self.__runner.ask(name, args, kwargs)


class Runner:
    """The plugin's end of the conversation. One call at a time; streams stay open between calls."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._socket = socket.socket(fileno=os.dup(config["fd"]))  # close-on-exec
        os.close(config["fd"])
        self._bounds = config["bounds"]
        self._entries: dict[str, Callable[..., Any]] = {}
        self._streams: dict[int, Iterator[Any]] = {}
        self._pending = b""
        self._current = 0
        self._asked = 0
        self._thread = threading.get_ident()
        self._shown: list[weakref.ref[Any]] = []
        self._answers = {"call": self._call, "next": self._next, "close": self._close}

    def load(self, config: dict[str, Any]) -> None:
        """Import the module. Raises whatever it raises, AttributeError for entries that it does not have."""
        sys.path[:0] = config["folders"]
        shared = types.ModuleType("jailpy_plugin")
        shared.host, shared.HostError = Host(self), HostError  # type: ignore[attr-defined]
        sys.modules["jailpy_plugin"] = shared
        module = importlib.import_module(config["module"])
        missing = [name for name in config["entries"] if not callable(getattr(module, name, None))]
        if missing:
            raise AttributeError(f"module {config['module']} has no function {', '.join(missing)}")
        self._entries = {name: getattr(module, name) for name in config["entries"]}

    def serve(self) -> None:
        """Answer until the host closes."""
        while True:
            line, descriptors = self._receive()
            if not line:
                return
            message = json.loads(line)
            self._current = message["id"]
            self._shown = []
            try:
                answer = self._answers[message["type"]](message, descriptors)
            except BaseException as error:  # noqa: BLE001 - it crosses as text
                answer = failure(error)
            if self._shown and all(shown() is None for shown in self._shown) and answer["type"] in ("result", "error"):
                answer["free"] = True
            try:
                text = self._line({**answer, "id": message["id"]})
            except BaseException as error:  # noqa: BLE001 - it crosses as text
                text = self._line({**failure(error), "id": message["id"]})
            self._current = 0
            self._socket.sendall(text)

    def _call(self, message: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        maps = [_mapped(number) for number in descriptors]
        self._shown = [weakref.ref(found) for found in maps if found]
        args = [_unpacked(value, maps) for value in message["args"]]
        kwargs = {name: _unpacked(value, maps) for name, value in message["kwargs"].items()}
        value = self._entries[message["entry"]](*args, **kwargs)
        if hasattr(value, "__next__"):
            if len(self._streams) >= _MOST_STREAMS:
                raise RuntimeError(f"over {_MOST_STREAMS} streams are open")
            self._streams[message["id"]] = value
            return {"type": "stream"}
        return {"type": "result", "value": packed(value)}

    def _next(self, message: dict[str, Any], _: list[int]) -> dict[str, Any]:
        stream = self._streams.pop(message["stream"])
        try:
            value = packed(next(stream))
        except StopIteration:
            return {"type": "end"}
        self._streams[message["stream"]] = stream
        return {"type": "item", "value": value}

    def _close(self, message: dict[str, Any], _: list[int]) -> dict[str, Any]:
        stream = self._streams.pop(message["stream"], None)
        if stream is not None and hasattr(stream, "close"):
            stream.close()
        return {"type": "end"}

    def ask(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a host function. Raises HostError, RuntimeError from a thread or at a time when nobody listens."""
        if threading.get_ident() != self._thread or not self._current:
            raise RuntimeError("host functions can be called during a call only, from the thread that it came in")
        self._asked += 1
        message = {"type": "host", "id": self._asked, "call": self._current, "name": name}
        self._socket.sendall(self._line({**message, "args": packed(list(args)), "kwargs": packed(kwargs)}))
        line, _ = self._receive()
        if not line:
            raise SystemExit
        answer = json.loads(line)
        if answer["type"] == "refusal":
            raise HostError(answer["text"])
        return _unpacked(answer["value"], [])

    def _line(self, message: dict[str, Any]) -> bytes:
        line = json.dumps(message, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        if len(line) > self._bounds["message"]:
            raise TypeError(f"{len(line)} bytes of JSON are over the {self._bounds['message']} of a message")
        return line

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message."""
        self._socket.sendall(self._line(message))

    def _receive(self) -> tuple[bytes, list[int]]:
        """Read a line and the descriptors that came with it; nothing where the host has closed."""
        parts, descriptors = [self._pending], []
        while b"\n" not in parts[-1]:
            chunk, more, _, _ = socket.recv_fds(self._socket, 1 << 16, _MOST_BUFFERS)
            descriptors += more
            if not chunk:
                return b"", descriptors
            parts.append(chunk)
        line, _, self._pending = b"".join(parts).partition(b"\n")
        return line, descriptors


def packed(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON has it. Raises TypeError."""
    if depth > 60:
        raise TypeError("values are nested too deeply, or in themselves")
    if value is None or type(value) in (str, int, bool):
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, list | tuple):
        return [packed(entry, depth + 1) for entry in value]
    if isinstance(value, dict) and all(type(key) is str for key in value):
        return {key: packed(entry, depth + 1) for key, entry in value.items()}
    if isinstance(value, _INLINE_TYPES):
        return {"$bytes": base64.b64encode(value).decode()}
    raise TypeError(f"a value of type {type(value).__name__} is no data: dict, list, str, int, float, bool, None, bytes")


def _unpacked(value: Any, maps: list[Any]) -> Any:
    if isinstance(value, list):
        return [_unpacked(entry, maps) for entry in value]
    if not isinstance(value, dict):
        return value
    if "$bytes" in value:
        return base64.b64decode(value["$bytes"])
    if "$buffer" in value:
        return _buffer(value["$buffer"], maps)
    return {key: _unpacked(entry, maps) for key, entry in value.items()}


def _mapped(number: int) -> Any:
    """Map a sealed buffer, read-only."""
    try:
        size = os.fstat(number).st_size
        return mmap.mmap(number, size, prot=mmap.PROT_READ) if size else b""
    finally:
        os.close(number)


def _buffer(told: dict[str, Any], maps: list[Any]) -> Any:
    found = memoryview(maps[told["at"]])[: told["size"]]
    if told["format"] == "numpy":
        numpy = importlib.import_module("numpy")
        return numpy.frombuffer(found, told["dtype"]).reshape(told["shape"])
    if told["format"] == "arrow":
        arrow = importlib.import_module("pyarrow")
        return arrow.ipc.open_stream(arrow.py_buffer(found)).read_all()
    return found


def failure(error: BaseException) -> dict[str, Any]:
    """Return the message that tells of an exception, with the traceback below the runner's own frames."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - whatever the plugin's own exception does
        text = "its text cannot be had"
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename in _OWN:
        trace = trace.tb_next
    lines = "".join(traceback.format_exception(kind, error, trace))[-_LONGEST_TRACEBACK:]
    clean = [part.encode(errors="backslashreplace").decode() for part in (name, text[:_LONGEST_TEXT], lines)]
    return {"type": "error", "kind": clean[0], "text": clean[1], "traceback": clean[2]}


def main() -> None:
    """Load the plugin, say so, and serve."""
    config = json.loads(sys.argv[1])
    runner = Runner(config)
    del sys.argv[1:]
    try:
        runner.load(config)
    except BaseException as error:  # noqa: BLE001 - it crosses as text
        runner.tell({**failure(error), "id": 0})
        sys.exit(1)
    runner.tell({"type": "ready", "protocol": 1})
    runner.serve()


if __name__ == "__main__":
    main()
