"""One method call over D-Bus within a time limit: jeepney's messages over a socket of our own. Parent side.

jeepney's own connection waits for ever where a bus accepts and then says nothing. See the D-Bus Specification, "Message
Protocol" and "Authentication Protocol".
"""

from __future__ import annotations

import _socket
import time

from jeepney import DBusErrorResponse, HeaderFields, MessageType, Parser
from jeepney.auth import BEGIN, AuthenticationError, Authenticator
from jeepney.bus_messages import message_bus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CHUNK = 4096
_MOST_BYTES = 1 << 20  # of all that the bus may say


class BusError(OSError):
    """The bus or the one behind it said no, in `strerror`."""


class Bus:
    """A connection to a bus. All that is said over it together takes `seconds` at most. Close it."""

    def __init__(self, path: str, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._parser = Parser()
        self._serial = 0
        self._taken = 0
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._path = path

    def connect(self) -> None:
        """Connect, prove who this account is, say hello. Raises OSError; BusError, TimeoutError."""
        self._limit()
        self._socket.connect(self._path)
        self._authenticate()
        self.call(message_bus.Hello())

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _limit(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(110, "no answer")
        self._socket.settimeout(left)

    def _send(self, data: bytes) -> None:
        self._limit()
        self._socket.sendall(data)

    def _receive(self) -> bytes:
        self._limit()
        data = self._socket.recv(_CHUNK)
        self._taken += len(data)
        if not data:
            raise ConnectionResetError(104, "the connection was closed")
        if self._taken > _MOST_BYTES:
            raise BusError(90, "far more was said than asked")
        return data

    def _authenticate(self) -> None:
        exchange = Authenticator(enable_fds=False)
        try:
            for words in exchange:
                self._send(words)
                exchange.feed(self._receive())
        except (AuthenticationError, ValueError) as error:
            raise BusError(13, f"it does not let this account in: {error}") from error
        self._send(BEGIN)

    def call(self, message: Any) -> Any:
        """Send a method call and return the body of its reply. Raises OSError; BusError with the words of a refusal."""
        self._serial += 1
        self._send(message.serialise(serial=self._serial))
        while True:
            try:
                reply = self._parser.get_next_message()
            except Exception as error:
                raise BusError(71, f"what it says is not D-Bus: {error}") from error
            if reply is None:
                self._parser.add_data(self._receive())
            elif reply.header.fields.get(HeaderFields.reply_serial) == self._serial:
                return _body(reply)


def _body(reply: Any) -> Any:
    if reply.header.message_type == MessageType.error:
        error = DBusErrorResponse(reply)
        words = error.data[0] if error.data and isinstance(error.data[0], str) else error.name
        raise BusError(1, f"{words} ({error.name})")
    return reply.body
