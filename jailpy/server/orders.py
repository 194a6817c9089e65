"""What the client says of a run that goes on: one byte, KILL or TERMINATE; its end of file kills the run too. Parent side."""

from __future__ import annotations

import _signal
import _socket
import time

from jailpy.kernel import process
from jailpy.server import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from jailpy.launcher.cold import Jail
    from jailpy.supervisor.guard import Look

_LAST_OUTPUT_S = 0.5  # for the rest of a killed run's output, which a client takes at once if it takes it at all


class Orders:
    """Stands where `jailpy.supervisor.signals.Signals` stands otherwise."""

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

    def suspend(self, jail: Jail, look: Look) -> None:
        """Do nothing: a payload without a terminal that stops itself runs into its wall limit."""

    def close(self) -> None:
        """Do nothing: the connection goes on."""
