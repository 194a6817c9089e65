"""The client's end: one server process per launcher, one connection per run at a time. Thread-safe, and safe across fork(2).

A child that this program forks (a pre-fork web server, multiprocessing) shares nothing with its parent: it starts a server of
its own when it first runs something. No fork happens while a server's lock is held, so that the child sees every descriptor.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
import weakref

import jailpy
from jailpy.client import descriptors
from jailpy.client.stats import Stats
from jailpy.errors import InternalError, LaunchError, UsageError
from jailpy.server import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jailpy.client.running import Running

_BOOT = (
    "import sys; sys.prefix, sys.base_prefix = sys.argv[2:4]; sys.path += sys.argv[4:]; "
    "from jailpy.server import main; main.main(int(sys.argv[1]))"
)
_LIBRARIES = ("pyseccomp", "py_landlock", "jeepney", "typing_extensions")
_START_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 10.0
_MOST_IDLE = 16  # connections, each with a worker at its other end
_GONE = (errno.EPIPE, errno.ECONNRESET)
_all_servers = threading.RLock()
_servers: weakref.WeakSet[Server] = weakref.WeakSet()
_locked: list[Server] = []


class Server:
    """A server process, started when it is first needed and again if somebody killed it."""

    def __init__(self, pool: int = 0) -> None:
        self.closed = False
        self._pool = pool
        self._fresh()
        with _all_servers:
            _servers.add(self)

    def _fresh(self) -> None:
        self.lock = threading.RLock()  # a collected run gives its connection back at any point, this code's own included
        self.stats = Stats()
        self.starts = 0
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner: object = None
        self._idle: list[socket.socket] = []
        self._taken: dict[socket.socket, socket.socket] = {}  # by the control socket of the server that has the worker
        self._parted: list[subprocess.Popen[bytes]] = []
        self._runs: weakref.WeakSet[Running] = weakref.WeakSet()

    def ask(self, run: Running, message: bytes, numbers: Sequence[int]) -> socket.socket:
        """Send a run's request and return the connection that its answer will come by.

        Raises LaunchError where no server can be started, UsageError for a descriptor that was closed meanwhile.
        """
        for last in (False, True):
            connection = self._take()
            try:
                _transmit(connection, message, numbers)
            except OSError as error:
                self.give_back(connection, usable=False)
                if error.errno == errno.EBADF:
                    raise UsageError("a descriptor for the run was closed while it was started") from error
                if last or error.errno not in _GONE:
                    raise
            except BaseException:
                self.give_back(connection, usable=False)
                raise
            else:
                with self.lock:
                    self._runs.add(run)
                return connection
        raise AssertionError

    def share(self) -> int:
        """Return how many jails the worker of the next run may build ahead: its part of the pool, rounded up."""
        with self.lock:
            workers = len(self._taken) + max(1, len(self._idle))
            return -(-self._pool // workers)

    def _take(self) -> socket.socket:
        """Return a connection that has a worker at its other end."""
        with self.lock:
            if self.closed:
                raise UsageError("the launcher is closed")
            if self._control and (self._owner != _identity() or not _is_quiet(self._control)):
                self._part()
            connection = self._waiting() or self._connect()
            assert self._control is not None
            self._taken[connection] = self._control
            return connection

    def _waiting(self) -> socket.socket | None:
        """Return a connection whose worker waits for a request; those of dead workers are closed."""
        while self._idle:
            connection = self._idle.pop()
            if _is_quiet(connection):
                return connection
            connection.close()
        return None

    def give_back(self, connection: socket.socket, *, usable: bool) -> None:
        """Keep a connection for the next run; close one that is not usable any more."""
        with self.lock:
            server = self._taken.pop(connection, None)
            if usable and server and server is self._control and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
            else:
                connection.close()

    def runs(self) -> list[Running]:
        """Return the runs that go on, or whose end nobody has asked for."""
        with self.lock:
            return list(self._runs)

    def forget(self, run: Running) -> None:
        """Take a run off the list of those that go on."""
        with self.lock:
            self._runs.discard(run)

    def close(self) -> None:
        """End the server for good. Runs in flight are killed first, and give their answers: verdict `cancelled`."""
        with self.lock:
            self.closed = True
            for connection in list(self._taken):
                _say_goodbye(connection)
            self._part()
            parted, self._parted = self._parted, []
        for process in parted:
            _reap(process)

    def _part(self) -> None:
        """Let the server end: it does once the runs in flight have ended."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        if self._control:
            self._control.close()
        if self._process and self._process.poll() is None:
            self._parted.append(self._process)
        self._control = self._process = None

    def _connect(self) -> socket.socket:
        for _ in range(2):
            if self._control is None:
                self._start()
            ours, theirs = descriptors.pair()
            try:
                messages.send(self._control, {}, [theirs.fileno()])  # type: ignore[arg-type]
            except OSError:  # somebody killed the server: the next round starts another
                ours.close()
                self._part()
            else:
                return ours
            finally:
                theirs.close()
        raise LaunchError("the launcher's server ends at once", layer="launcher", step="start", errno=0)

    def _start(self) -> None:
        program = interpreter()
        ours, theirs = descriptors.pair()
        number = str(theirs.fileno())
        try:
            process = subprocess.Popen(
                [program, "-I", "-S", "-c", _BOOT, number, sys.prefix, sys.base_prefix, *_folders()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if descriptors.is_open(2) else subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            ours.close()
            words = f"the launcher's server cannot be started: {program}: {error.strerror}"
            raise LaunchError(words, layer="launcher", step="start", errno=error.errno or 0) from error
        finally:
            theirs.close()
        self._control, self._process = ours, process
        self._owner = _identity()
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
            self._part()
            raise LaunchError("the launcher's server did not come up", layer="launcher", step="start", errno=0)

    def disown(self) -> None:
        """In a forked child: close the parent's descriptors here, and start anew. Tells nothing to the parent's server."""
        for connection in (*self._idle, *self._taken, *([self._control] if self._control else [])):
            connection.close()
        for process in (*self._parted, *([self._process] if self._process else [])):
            process.returncode = 0  # the parent's child, not ours to reap
        runs = list(self._runs)
        self._fresh()
        for run in runs:
            run.disown()


def interpreter() -> str:
    """Return the Python that this program runs on; a program that embeds it (a web server) says its own name instead."""
    given = sys.executable or ""
    if os.path.basename(given).startswith(("python", "pypy")):
        return _without_detours(given)
    beside = os.path.join(sys.exec_prefix, "bin", "python3")
    return beside if os.access(beside, os.X_OK) else given or "python3"


def _without_detours(path: str) -> str:
    """Take `folder/..` out of a path, for a jail has no such folder; not where that folder is a link to elsewhere."""
    short = os.path.normpath(path)
    try:
        return short if os.path.samestat(os.lstat(short), os.lstat(path)) else path
    except OSError:
        return path


def _identity() -> object:
    """Return whose rights this process has: a server must not keep those that its client gave up."""
    return os.getresuid(), os.getresgid()


def _transmit(connection: socket.socket, message: bytes, numbers: Sequence[int]) -> None:
    """Send a request. One that was answered before it came (the server could not fork a worker for it) is as good as sent."""
    try:
        messages.transmit(connection, message, numbers)
    except OSError as error:
        if error.errno not in _GONE or not _peek(connection):
            raise


def _is_quiet(connection: socket.socket) -> bool:
    """Say whether the other end is there, and waits for us."""
    return _peek(connection) is None


def _peek(connection: socket.socket) -> bytes | None:
    """Return the first byte that waits to be read; None where there is none yet, b"" where the other end is gone."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _say_goodbye(connection: socket.socket) -> None:
    """Let a worker see the end of its client; it kills its run, and can still answer."""
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError:  # its worker is dead already
        return


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Wait until a server has ended; its control socket is closed."""
    try:
        process.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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


def _before_fork() -> None:
    _all_servers.acquire()
    _locked[:] = list(_servers)
    for server in _locked:
        server.lock.acquire()


def _after_fork_in_parent() -> None:
    for server in _locked:
        server.lock.release()
    _locked.clear()
    _all_servers.release()


def _after_fork_in_child() -> None:
    global _all_servers
    _all_servers = threading.RLock()
    for server in _locked:
        server.disown()
    _locked.clear()


def broken(error: object) -> InternalError:
    """Return the error of a run whose worker went away: somebody killed it, and with it the run."""
    return InternalError(f"the launcher was killed from outside, and the run with it ({error})")


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
