"""A run that goes on: `Running`, after subprocess.Popen. The server supervises it; this end feeds, reads, kills and waits."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time

from jailpy.client import connection as connections
from jailpy.client import options as words
from jailpy.client import result
from jailpy.client.streams import Sink, Streams, exchange
from jailpy.errors import InternalError, JailPyError, LaunchError, UsageError
from jailpy.server import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO, Any, Self

    from jailpy.client.connection import Server


class Running:
    """One run. `stdin`, `stdout` and `stderr` are unbuffered binary files where PIPE was asked for, else None.

    A context manager: leaving it kills a run that still goes on, as does dropping the last reference to it. Its methods may be
    called from any thread. `args` is the command.
    """

    stdin: IO[bytes] | None = None
    stdout: IO[bytes] | None = None
    stderr: IO[bytes] | None = None
    _connection: socket.socket | None = None
    _process = 0

    def __init__(
        self,
        server: Server,
        argv: words.Command,
        streams: Sequence[Any],
        options: Mapping[str, Any],
        keeping: object = None,
    ) -> None:
        request = words.request(argv, options)
        self.args: list[str] = request["argv"]
        self._server = server
        self._process = os.getpid()
        self._keeping = keeping
        self._report: dict[str, Any] | None = None
        self._pooled = False
        self._error: JailPyError | None = None
        self._waiting = threading.Lock()
        self._order_lock = threading.Lock()
        try:
            with server.lock:  # a fork meanwhile would leave a child with pipes that nobody there knows
                self.stdin, self.stdout, self.stderr = self._start(request, streams)
        except OSError as error:
            words_ = f"the run cannot be asked for: {error.strerror}"
            raise LaunchError(words_, layer="launcher", step="ask", errno=error.errno or 0) from error

    def _start(self, request: dict[str, Any], given: Sequence[Any]) -> tuple[Any, Any, Any]:
        streams = Streams(given)
        try:
            stdin, stdout, stderr = streams.theirs
            message = words.message({**request, "input": stdin >= 0, "pool": self._server.share()})
            numbers = [stdout if stdin < 0 else stdin, stdout, stderr, *request["keep"]]
            self._connection = self._server.ask(self, message, numbers)
        except BaseException:
            streams.close()
            raise
        streams.close_theirs()
        return streams.files()

    def kill(self) -> None:
        """Kill the run at once. Does nothing where it has ended."""
        self._order(messages.KILL)

    def terminate(self) -> None:
        """Send SIGTERM to the payload; the run is killed one second later if it goes on."""
        self._order(messages.TERMINATE)

    def _order(self, order: bytes) -> None:
        with self._order_lock:  # else the byte might come after the connection's next request
            if self._connection:
                try:
                    self._connection.send(order, socket.MSG_DONTWAIT)
                except OSError:  # it has just ended, or has more orders than it took: `wait` says how it ends
                    return

    def poll(self) -> int | None:
        """Return the return code of a run that has ended, None while it goes on. Raises as `wait` does."""
        return self.wait(0).returncode if self.has_ended(0) else None

    def wait(self, timeout: float | None = None) -> result.CompletedRun:
        """Wait for the end, and return the run without output. Pipes must be read meanwhile, as with subprocess.

        Raises LaunchError where the payload did not start, TimeoutError after `timeout` seconds (the run goes on),
        InternalError where the launcher was killed.
        """
        if not self.has_ended(timeout):
            raise TimeoutError(f"the run goes on after {timeout} seconds")
        if self._error:
            raise self._error
        assert self._report is not None
        return result.CompletedRun(self.args, self._report)

    def has_ended(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds for the end, None without bound, and say whether it came."""
        until = None if timeout is None else time.monotonic() + timeout
        if not self._waiting.acquire(timeout=-1 if timeout is None else max(0.0, timeout)):
            return self._connection is None
        try:
            if self._connection:
                left = None if until is None else max(0.0, until - time.monotonic())
                if not _is_ready(self._connection, left):
                    return False
                self._take_answer(self._connection)
            return True
        finally:
            self._waiting.release()

    def _take_answer(self, connection: socket.socket) -> None:
        usable = False
        try:
            usable = self._keep_answer(messages.receive(connection))
        except (OSError, messages.BrokenMessageError) as error:
            self._error = connections.broken(error)
        except BaseException as error:  # in the middle of the answer: the rest of it is no answer to anybody
            self._error = connections.broken(repr(error))
            raise
        finally:
            self._end(usable=usable)

    def _keep_answer(self, received: tuple[dict[str, Any], list[int]] | None) -> bool:
        """Keep the answer; say whether the connection can serve another run."""
        if received is None:
            raise ConnectionResetError("its connection ended")
        answer = received[0]
        self._report = answer.get("report")
        self._pooled = answer.get("pooled", False)
        if self._report is None:
            self._error = result.error(answer["error"])
        return not isinstance(self._error, InternalError)

    def _end(self, *, usable: bool) -> None:
        with self._order_lock:
            connection, self._connection = self._connection, None
        if connection:
            self._server.give_back(connection, usable=usable)
            self._server.forget(self)
            if self._report is None:
                self._server.stats.fail()
            else:
                self._server.stats.end(self._report["verdict"], pooled=self._pooled)

    def communicate(self, data: bytes | bytearray | memoryview = b"") -> tuple[bytes | None, bytes | None]:
        """Write `data` to the payload's input, read its outputs until both end, and return them; None for what is no pipe."""
        out, err = (Sink(file) if file else None for file in (self.stdout, self.stderr))
        exchange(self.stdin, [sink for sink in (out, err) if sink], data)
        return out.data() if out else None, err.data() if err else None

    def disown(self) -> None:
        """In a forked child: close what belongs to the parent, whose run goes on."""
        self._waiting, self._order_lock = threading.Lock(), threading.Lock()
        self._connection = None
        self._error = UsageError("the run belongs to the process that started it")
        self._report = None
        self._close_files()

    def _close_files(self) -> None:
        for file in (self.stdin, self.stdout, self.stderr):
            if file:
                file.close()

    def __enter__(self) -> Self:
        """Return the run itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill a run that goes on, close the pipes, wait for its end."""
        self.kill()
        self._close_files()
        self.has_ended()

    def __del__(self) -> None:
        """Kill a run that nobody can wait for any more.

        Python drops the parent's threads in a forked child before anything else, and their runs: no lock may be taken there.
        """
        if self._process != os.getpid():
            self._close_files()
        elif self._connection:
            self._report = {"verdict": "cancelled"}
            self._end(usable=False)
            self._close_files()


def _is_ready(connection: socket.socket, timeout: float | None) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return bool(selector.select(timeout))
