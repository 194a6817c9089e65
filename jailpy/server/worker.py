"""A worker: takes requests from one connection, runs each in a jail of its own, answers with the report. Parent side.

While a run goes on the client may send one byte, KILL or TERMINATE; its end of file kills the run too.
"""

from __future__ import annotations

import _signal
import _socket
import contextlib
import errno
import fcntl
import os
import time
import traceback

from jailpy import api
from jailpy.errors import HostError, InternalError, JailPyError, LaunchError
from jailpy.kernel import files, process
from jailpy.launcher import template
from jailpy.profile.merge import Override
from jailpy.server import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from typing import Any

    from jailpy.launcher.cold import Jail

_STANDARD = 3
_LAST_OUTPUT_S = 0.5  # for the rest of a killed run's output, which a client takes at once if it takes it at all
_ATTRIBUTES = ("layer", "step", "errno", "exit_status", "problems")


class Orders:
    """What the client says of a run that goes on; stands where `jailpy.supervisor.signals.Signals` stands otherwise."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._until = 0.0
        self.sent = 0

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._connection.fileno()

    def attach(self, jail: Jail) -> None:
        """Do nothing: there is no terminal."""

    def take(self, jail: Jail) -> int:
        """Act on an order; return the signal that the run got, 0 where it had one before."""
        order = self._order()
        if order is None:
            return 0
        if self.sent and order:
            order = messages.KILL
        number = _signal.SIGTERM if order == messages.TERMINATE else _signal.SIGKILL
        try:
            process.pidfd_send_signal(jail.pidfd, number)
        except ProcessLookupError:  # it ended by itself just now
            return 0
        first, self.sent = not self.sent, number
        return number if first else 0

    def interrupted(self) -> bool:
        """Say whether nobody waits for the rest of a dead run's output: the client is gone, or ordered to kill a while ago."""
        order = self._order()
        if order == messages.KILL:
            self.sent = _signal.SIGKILL
        if self.sent == _signal.SIGKILL:
            self._until = self._until or time.monotonic() + _LAST_OUTPUT_S
        return order == b"" or 0 < self._until < time.monotonic()

    def _order(self) -> bytes | None:
        """Take an order: None where there is none, b"" where the client is gone."""
        try:
            return self._connection.recv(1, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except ConnectionError:
            return b""

    def suspend(self, jail: Jail) -> None:
        """Do nothing: a payload without a terminal that stops itself runs into its wall limit."""

    def close(self) -> None:
        """Do nothing: the connection goes on."""


def serve(connection: socket.socket) -> None:
    """Answer requests until the client closes the connection; nothing is left then."""
    try:
        _serve(connection)
    finally:
        template.close_all()


def _serve(connection: socket.socket) -> None:
    with contextlib.suppress(ConnectionError, messages.BrokenMessageError):  # the client is gone, and nobody waits
        while (received := messages.receive(connection)) is not None:
            request, descriptors = received
            try:
                connection, descriptors = _cleared(connection, request["keep"], descriptors)
                answer = _answer(connection, request, descriptors)
            except JailPyError as error:
                answer = {"error": plain(error)}
            messages.send(connection, answer)


def _cleared(connection: socket.socket, keep: Sequence[int], descriptors: list[int]) -> tuple[socket.socket, list[int]]:
    """Move what is in the way of the numbers that `pass_fds` asks for. Raises LaunchError where RLIMIT_NOFILE is too low."""
    try:
        _count(descriptors, _STANDARD + len(keep))
        if keep:
            floor = max(keep) + 1
            template.make_room(floor)
            for at, number in enumerate(descriptors):
                descriptors[at] = files.above(number, floor)
            if connection.fileno() < floor:
                moved = fcntl.fcntl(connection.fileno(), fcntl.F_DUPFD_CLOEXEC, floor)
                connection.close()
                connection = type(connection)(fileno=moved)
    except OSError as error:
        for number in descriptors:
            os.close(number)
        words = f"the descriptors of the run do not fit into the launcher: {error.strerror} (ulimit -n)"
        raise LaunchError(words, layer="launcher", step="take descriptors", errno=error.errno or 0) from error
    return connection, descriptors


def _count(descriptors: list[int], expected: int) -> None:
    """Notice descriptors that the kernel dropped for want of room (unix(7), MSG_CTRUNC)."""
    if len(descriptors) != expected:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def _answer(connection: socket.socket, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
    """Run one request; the answer is its report or its error. Every descriptor that came with it is closed."""
    try:
        _be_where(request)
        _keep(request["keep"], descriptors)
        streams = (descriptors[0] if request["input"] else -1, descriptors[1], descriptors[2])
        wanted = _request(request)
        plan = api.plan(wanted)
        result = api.run(plan, wanted.get, streams, Orders(connection), template.of(plan))
    except JailPyError as error:
        return {"error": plain(error)}
    except Exception as error:  # noqa: BLE001 - a bug of ours: the client is told, and this worker goes on
        traceback.print_exc()
        return {"error": plain(InternalError(f"{type(error).__name__}: {error}"))}
    finally:
        for number in descriptors:
            os.close(number)
    return {"report": result.report, "exit_status": result.outcome.exit_status()}


def _be_where(request: dict[str, Any]) -> None:
    """Take on the client's folder and environment, which relative sources and `environment.pass` refer to."""
    try:
        os.chdir(request["folder"] or "")
    except OSError:  # the client's is deleted, or has just been
        _be_nowhere()
    if os.environ != request["environment"]:
        os.environ.clear()
        os.environ.update(request["environment"])


def _be_nowhere() -> None:
    """Go to a folder that is deleted, where nothing relative is found."""
    import tempfile

    folder = tempfile.mkdtemp(prefix="jailpy-")
    os.chdir(folder)
    os.rmdir(folder)


def _keep(wanted: Sequence[int], descriptors: list[int]) -> None:
    """Put each descriptor of `pass_fds` at the number that it has at the client, and those numbers on the list to close."""
    for held, target in zip(descriptors[_STANDARD:], wanted, strict=True):
        os.dup2(held, target, inheritable=False)
        descriptors.append(target)


def _request(request: dict[str, Any]) -> api.Request:
    return api.Request(
        argv=tuple(request["argv"]),
        profile=request["profile"],
        overrides=tuple(Override(key, value, spelling) for key, value, spelling in request["overrides"]),
        excused=tuple(request["excused"]),
        put=tuple((source, destination) for source, destination in request["put"]),
        get=tuple((name, destination) for name, destination in request["get"]),
        keep=tuple(request["keep"]),
    )


def plain(error: JailPyError) -> dict[str, Any]:
    """Return an error as the client rebuilds it."""
    given = {name: getattr(error, name) for name in _ATTRIBUTES if hasattr(error, name)}
    if isinstance(error, HostError):
        given["needs"] = [vars(need) for need in error.needs]
    return {"type": type(error).__name__, "message": error.message, "hints": list(error.hints), **given}
