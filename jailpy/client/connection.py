"""The client's end: one server process per launcher, one connection per run at a time. Thread-safe, and safe across fork(2).

A child that this program forks (a pre-fork web server, multiprocessing) shares nothing with its parent: it starts a server of
its own when it first runs something.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import weakref

import jailpy
from jailpy.errors import InternalError, LaunchError
from jailpy.server import messages

_BOOT = "import sys; sys.path[:0] = sys.argv[2:]; from jailpy.server import main; main.main(int(sys.argv[1]))"
_LIBRARIES = ("pyseccomp", "py_landlock", "jeepney", "typing_extensions")
_START_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 10.0
_servers: weakref.WeakSet[Server] = weakref.WeakSet()


class Server:
    """A server process, started when it is first needed and again if somebody killed it."""

    def __init__(self) -> None:
        self._fresh()
        _servers.add(self)

    def _fresh(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: list[socket.socket] = []
        self._taken: set[socket.socket] = set()
        self.starts = 0

    def take(self) -> socket.socket:
        """Return a connection that has a worker at its other end. Raises LaunchError where no server can be started."""
        with self._lock:
            connection = self._idle.pop() if self._idle else self._connect()
            self._taken.add(connection)
            return connection

    def give_back(self, connection: socket.socket, *, usable: bool) -> None:
        """Keep a connection for the next run; close one that is not usable any more."""
        with self._lock:
            self._taken.discard(connection)
            if usable and self._control:
                self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        """End the server. Runs in flight are killed first: their workers see the end of their connection."""
        with self._lock:
            for connection in (*self._idle, *self._taken):
                _hang_up(connection)
            for connection in self._idle:
                connection.close()
            self._idle.clear()
            self._end()

    def _connect(self) -> socket.socket:
        for _ in range(2):
            if self._control is None:
                self._start()
            ours, theirs = socket.socketpair()
            try:
                messages.send(self._control, {}, [theirs.fileno()])  # type: ignore[arg-type]
            except OSError:  # somebody killed the server: the next round starts another
                ours.close()
                self._end()
            else:
                return ours
            finally:
                theirs.close()
        raise LaunchError("the launcher's server ends at once", layer="launcher", step="start", errno=0)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        number = str(theirs.fileno())
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOT, number, *_folders()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            ours.close()
            words = f"the launcher's server cannot be started: {sys.executable}: {error.strerror}"
            raise LaunchError(words, layer="launcher", step="start", errno=error.errno or 0) from error
        finally:
            theirs.close()
        self._control, self._process = ours, process
        self.starts += 1
        self._await_ready(ours)

    def _await_ready(self, control: socket.socket) -> None:
        control.settimeout(_START_TIMEOUT_S)
        try:
            ready = messages.receive(control)
        except (OSError, messages.BrokenMessageError):
            ready = None
        control.settimeout(None)
        if ready is None:
            self._end()
            raise LaunchError("the launcher's server did not come up", layer="launcher", step="start", errno=0)

    def _end(self) -> None:
        """Close the control socket, which is the server's sign to end, and reap it."""
        if self._control:
            self._control.close()
            self._control = None
        if self._process:
            try:
                self._process.wait(_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def forget(self) -> None:
        """In a forked child: close the parent's descriptors here, and start anew. Tells nothing to the parent's server."""
        for connection in (*self._idle, *self._taken, *([self._control] if self._control else [])):
            connection.close()
        if self._process:
            self._process.returncode = 0  # the parent's child, not ours to reap
        self._fresh()


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # its worker is dead already
        return


def _folders() -> list[str]:
    """Return where the server finds this very package and the libraries that it uses: it reads no environment and no site."""
    import importlib.util

    folders = {os.path.dirname(os.path.dirname(os.path.abspath(jailpy.__file__))): None}
    for name in _LIBRARIES:
        spec = importlib.util.find_spec(name)
        if spec and spec.origin:
            whole = spec.submodule_search_locations
            folders[os.path.dirname(os.path.dirname(spec.origin) if whole else spec.origin)] = None
    return list(folders)


def _after_fork() -> None:
    for server in _servers:
        server.forget()


def broken(error: object) -> InternalError:
    """Return the error of a run whose worker went away: somebody killed it, and with it the run."""
    return InternalError(f"the launcher was killed from outside, and the run with it ({error})")


os.register_at_fork(after_in_child=_after_fork)
