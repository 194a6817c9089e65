"""The messages of the plugin protocol, as types: docs/reference/plugin-protocol.md. One line of JSON each."""

from __future__ import annotations

from typing import Any

import msgspec

from jailpy.services.plugins import values
from jailpy.services.plugins.limits import Bounds, violation

VERSION = 1
_LONGEST_TEXT = 10_000
_LONGEST_TRACEBACK = 50_000


class _Message(msgspec.Struct, tag_field="type", forbid_unknown_fields=True):
    """Any message. Unknown fields are refused."""


class Call(_Message, tag="call"):
    """Host: call an entry."""

    id: int
    entry: str
    args: list[Any]
    kwargs: dict[str, Any]


class Next(_Message, tag="next"):
    """Host: give the next item of a stream, whose number is that of the call that it answered."""

    id: int
    stream: int


class Close(_Message, tag="close"):
    """Host: end a stream."""

    id: int
    stream: int


class Answer(_Message, tag="answer"):
    """Host: what a host function returned."""

    id: int
    value: Any


class Refusal(_Message, tag="refusal"):
    """Host: a host function returned nothing, and why."""

    id: int
    text: str


class Ready(_Message, tag="ready"):
    """Plugin: the first message, once it can be called."""

    protocol: int


class Result(_Message, tag="result"):
    """Plugin: what a call returned. `free` says that it holds nothing of the call's buffers any more."""

    id: int
    value: Any
    free: bool = False


class Failure(_Message, tag="error"):
    """Plugin: a call raised an exception; with id 0, the plugin could not be loaded."""

    id: int
    kind: str
    text: str
    traceback: str = ""
    free: bool = False


class Stream(_Message, tag="stream"):
    """Plugin: a call returned a generator; items come one by one, for `next`."""

    id: int


class Item(_Message, tag="item"):
    """Plugin: the next item of a stream."""

    id: int
    value: Any


class End(_Message, tag="end"):
    """Plugin: a stream has no more items, or is closed."""

    id: int


class Host(_Message, tag="host"):
    """Plugin: call a host function. `call` is the call that is going on, `id` the plugin's own number for this one."""

    id: int
    call: int
    name: str
    args: list[Any] = []
    kwargs: dict[str, Any] = {}


Reply = Ready | Result | Failure | Stream | Item | End | Host
_decoder = msgspec.json.Decoder(Reply, strict=True)


def decode(line: bytes, bounds: Bounds) -> Reply:
    """Read what a plugin sent, which may be anything. Raises BrokenError."""
    values.measure(line, bounds)
    try:
        found: Reply = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise violation(f"its message is none of the protocol: {error}") from None
    if isinstance(found, Result):
        return Result(found.id, values.unpack(found.value, line), found.free)
    if isinstance(found, Item):
        return Item(found.id, values.unpack(found.value, line))
    if isinstance(found, Host):
        revived = values.unpack([found.args, found.kwargs], line)
        return Host(found.id, found.call, found.name, *revived)
    if isinstance(found, Failure):
        traceback = found.traceback[-_LONGEST_TRACEBACK:]
        return Failure(found.id, found.kind[:200], found.text[:_LONGEST_TEXT], traceback, found.free)
    return found
