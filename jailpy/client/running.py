"""A run that goes on: `Running`, after subprocess.Popen. The server supervises it; this end feeds, reads, kills and waits."""

from __future__ import annotations

import os
import selectors
import subprocess
import threading

from jailpy.client import connection as connections
from jailpy.client import options as words
from jailpy.client import result
from jailpy.errors import InternalError, UsageError
from jailpy.server import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from typing import Any, Self

    from jailpy.client.connection import Server

PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL
_CHUNK = 1 << 16


class Running:
    """One run. `stdin`, `stdout` and `stderr` are unbuffered binary files where PIPE was asked for, else None.

    A context manager: leaving it kills a run that still goes on. Its methods may be called from any thread.
    """

    def __init__(self, server: Server, argv: Sequence[words.Path], streams: Sequence[Any], options: Mapping[str, Any]) -> None:
        request = words.request(argv, options)
        self.args: list[str] = request["argv"]
        self._server = server
        self._report: dict[str, Any] | None = None
        self._error: Exception | None = None
        self._ordered = False
        self._waiting = threading.Lock()
        ours, theirs = _connect(streams)
        try:
            self._connection = server.take()
            request["input"] = theirs[0] >= 0
            _ask(server, self._connection, request, theirs)
        except BaseException:
            _close(ours)
            raise
        finally:
            _close([number for number, given in zip(theirs, streams, strict=True) if _is_made(given)])
        self.stdin, self.stdout, self.stderr = (
            os.fdopen(number, "wb" if at == 0 else "rb", buffering=0) if number >= 0 else None for at, number in enumerate(ours)
        )

    def kill(self) -> None:
        """Kill the run at once. Does nothing where it has ended."""
        self._order(messages.KILL)

    def terminate(self) -> None:
        """Send SIGTERM to the payload; the run is killed one second later if it goes on."""
        self._order(messages.TERMINATE)

    def _order(self, order: bytes) -> None:
        if self._report is None and self._error is None:
            self._ordered = True
            try:
                self._connection.send(order)
            except OSError:  # it has just ended; `wait` says how
                return

    def poll(self) -> int | None:
        """Return the return code of a run that has ended, None while it goes on. Raises as `wait` does."""
        return self.wait(0).returncode if self._has_ended(0) else None

    def wait(self, timeout: float | None = None) -> result.CompletedRun:
        """Wait for the end, and return the run without output. Pipes must be read meanwhile, as with subprocess.

        Raises LaunchError where the payload did not start, TimeoutError after `timeout` seconds (the run goes on),
        InternalError where the launcher was killed.
        """
        if not self._has_ended(timeout):
            raise TimeoutError(f"the run goes on after {timeout} seconds")
        if self._error:
            raise self._error
        assert self._report is not None
        return result.CompletedRun(self.args, self._report)

    def _has_ended(self, timeout: float | None) -> bool:
        with self._waiting:
            if self._report is not None or self._error is not None:
                return True
            if not _is_ready(self._connection, timeout):
                return False
            self._take_answer()
            return True

    def _take_answer(self) -> None:
        try:
            received = messages.receive(self._connection)
            if received is None:
                raise ConnectionResetError("its connection ended")
        except (OSError, messages.BrokenMessageError) as error:
            self._error = connections.broken(error)
        else:
            answer = received[0]
            self._report = answer.get("report")
            self._error = result.error(answer["error"]) if "error" in answer else None
        broken = self._report is None and isinstance(self._error, InternalError)
        self._server.give_back(self._connection, usable=not (self._ordered or broken))

    def communicate(self, data: bytes = b"") -> tuple[bytes | None, bytes | None]:
        """Write `data` to the payload's input and read its outputs until both end; return them."""
        parts: dict[Any, list[bytes]] = {file: [] for file in (self.stdout, self.stderr) if file}
        with selectors.DefaultSelector() as selector:
            for file in parts:
                selector.register(file, selectors.EVENT_READ)
            left = memoryview(data)
            if self.stdin and data:
                os.set_blocking(self.stdin.fileno(), False)
                selector.register(self.stdin, selectors.EVENT_WRITE)
            elif self.stdin:
                self.stdin.close()
            while selector.get_map():
                for key, _ in selector.select():
                    if key.fileobj is self.stdin:
                        left = self._feed(selector, left)
                    else:
                        _drain(selector, key.fileobj, parts)
        out, err = (b"".join(parts[file]) if file else None for file in (self.stdout, self.stderr))
        return out, err

    def _feed(self, selector: selectors.BaseSelector, left: memoryview) -> memoryview:
        assert self.stdin is not None
        try:
            left = left[os.write(self.stdin.fileno(), left[:_CHUNK]) :]
        except BrokenPipeError:
            left = left[:0]
        if not left:
            selector.unregister(self.stdin)
            self.stdin.close()
        return left

    def __enter__(self) -> Self:
        """Return the run itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill a run that goes on, wait for its end, close the pipes."""
        self.kill()
        for file in (self.stdin, self.stdout, self.stderr):
            if file:
                file.close()
        self._has_ended(None)


def _drain(selector: selectors.BaseSelector, file: Any, parts: dict[Any, list[bytes]]) -> None:
    data = os.read(file.fileno(), _CHUNK)
    if data:
        parts[file].append(data)
    else:
        selector.unregister(file)
        file.close()


def _is_ready(connection: socket.socket, timeout: float | None) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return bool(selector.select(timeout))


def _ask(server: Server, connection: socket.socket, request: dict[str, Any], streams: Sequence[int]) -> None:
    """Send the request with the payload's ends of its streams. Raises UsageError for a descriptor that is not open."""
    for number in request["keep"]:
        try:
            os.fstat(number)
        except OSError as error:
            server.give_back(connection, usable=True)
            raise UsageError(f"option pass_fds: {number}: {error.strerror}") from error
    given = [streams[0] if request["input"] else streams[1], *streams[1:], *request["keep"]]
    try:
        messages.send(connection, request, given)
    except (OSError, ValueError) as error:
        server.give_back(connection, usable=False)
        if isinstance(error, ValueError):
            raise UsageError(f"command: {error}") from error
        raise connections.broken(error) from error


def _is_made(given: Any) -> bool:
    return given in (PIPE, DEVNULL)


def _connect(streams: Sequence[Any]) -> tuple[list[int], list[int]]:
    """Return (our ends, the server's ends) of stdin, stdout and stderr; -1 where there is none."""
    ours, theirs = [-1, -1, -1], [-1, -1, -1]
    for at, given in enumerate(streams):
        if given == PIPE:
            reader, writer = os.pipe()
            ours[at], theirs[at] = (writer, reader) if at == 0 else (reader, writer)
        elif given == STDOUT and at == 2:
            theirs[at] = theirs[1]
        elif given == DEVNULL or (given is None and at):
            theirs[at] = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        elif given is not None:
            theirs[at] = given if isinstance(given, int) else given.fileno()
    return ours, theirs


def _close(numbers: Sequence[int]) -> None:
    for number in numbers:
        if number >= 0:
            os.close(number)
