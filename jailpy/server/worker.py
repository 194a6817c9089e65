"""A worker: takes requests from one connection, runs each in a jail of its own, answers with the report. Parent side.

While a run goes on the client may send one byte, KILL or TERMINATE; its end of file kills the run too.
"""

from __future__ import annotations

import _signal
import contextlib
import fcntl
import os
import traceback

from jailpy import api
from jailpy.errors import InternalError, JailPyError
from jailpy.kernel import process
from jailpy.launcher import template
from jailpy.profile.merge import Override
from jailpy.server import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from typing import Any

    from jailpy.launcher.cold import Jail

_ABOVE = 512  # where a worker keeps descriptors: below are the numbers that a client may ask for
_STANDARD = 3
_ATTRIBUTES = ("layer", "step", "errno", "exit_status", "problems")


class Orders:
    """What the client says of a run that goes on; stands where `jailpy.supervisor.signals.Signals` stands otherwise."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.sent = 0

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._connection.fileno()

    def attach(self, jail: Jail) -> None:
        """Do nothing: there is no terminal."""

    def take(self, jail: Jail) -> int:
        """Act on an order; return the signal that the run got, 0 where it had one before."""
        order = self._connection.recv(1)
        if self.sent and order:
            order = messages.KILL
        number = _signal.SIGTERM if order == messages.TERMINATE else _signal.SIGKILL
        with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
            process.pidfd_send_signal(jail.pidfd, number)
        first, self.sent = not self.sent, number
        return number if first else 0

    def interrupted(self) -> bool:
        """Say whether an order came after the run had ended: nobody waits for the rest of its output then."""
        return self.sent == _signal.SIGKILL

    def suspend(self, jail: Jail) -> None:
        """Do nothing: a payload without a terminal that stops itself runs into its wall limit."""

    def close(self) -> None:
        """Do nothing: the connection goes on."""


def serve(connection: socket.socket) -> None:
    """Answer requests until the client closes the connection."""
    number = fcntl.fcntl(connection.fileno(), fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    connection.close()
    connection = type(connection)(fileno=number)
    with contextlib.suppress(ConnectionError):  # the client is gone, and nobody waits for an answer
        while (received := messages.receive(connection)) is not None:
            request, descriptors = received
            answer = _answer(connection, request, [_moved(number) for number in descriptors])
            messages.send(connection, answer)


def _moved(number: int) -> int:
    high = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    os.close(number)
    return high


def _answer(connection: socket.socket, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
    """Run one request; the answer is its report or its error. Every descriptor that came with it is closed."""
    try:
        _be_where(request)
        descriptors += _keep(request["keep"], descriptors[_STANDARD:])
        streams = (descriptors[0] if request["input"] else -1, descriptors[1], descriptors[2])
        wanted = _request(request)
        plan = api.plan(wanted)
        result = api.run(plan, wanted.get, streams, Orders(connection), template.of(plan))
    except JailPyError as error:
        return {"error": _plain(error)}
    except Exception as error:  # noqa: BLE001 - a bug of ours: the client is told, and this worker goes on
        traceback.print_exc()
        return {"error": _plain(InternalError(f"{type(error).__name__}: {error}"))}
    finally:
        for number in descriptors:
            os.close(number)
    return {"report": result.report, "exit_status": result.outcome.exit_status()}


def _be_where(request: dict[str, Any]) -> None:
    """Take on the client's folder and environment, which relative sources and `environment.pass` refer to."""
    os.chdir(request["folder"])
    if os.environ != request["environment"]:
        os.environ.clear()
        os.environ.update(request["environment"])


def _keep(wanted: Sequence[int], held: Sequence[int]) -> list[int]:
    """Put each descriptor of `pass_fds` at the number that it has at the client; return those numbers."""
    for number, target in zip(held, wanted, strict=True):
        os.dup2(number, target, inheritable=False)
    return list(wanted)


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


def _plain(error: JailPyError) -> dict[str, Any]:
    given = {name: getattr(error, name) for name in _ATTRIBUTES if hasattr(error, name)}
    return {"type": type(error).__name__, "message": error.message, "hints": list(error.hints), **given}
