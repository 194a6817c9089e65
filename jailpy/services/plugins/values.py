"""Values that cross: JSON, and bytes. What comes from a jail is measured before it is read, and stays plain data."""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Any

import msgspec

from jailpy.services.plugins.buffers import Buffer, Copied, described, is_large
from jailpy.services.plugins.limits import Bounds, violation

BYTES, BUFFER = "$bytes", "$buffer"
MOST_BUFFERS = 16
_INLINE = 1 << 16
_INTEGERS = range(-(1 << 63), 1 << 64)
# Never goes back, and ends with the line: a text that is not closed would be looked at again from each of its quotes.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[{\]}]")


class Packer:
    """Makes a value ready for JSON. `buffers` are those to be sent along; None where the other end takes none."""

    def __init__(self, bounds: Bounds, *, takes_buffers: bool) -> None:
        self.buffers: list[Buffer | Copied] = []
        self._bounds, self._takes_buffers = bounds, takes_buffers

    def pack(self, value: Any, depth: int = 0) -> Any:
        """Return the value as JSON has it. Raises TypeError, which says what is no data."""
        if depth > self._bounds.depth:
            raise TypeError(f"values are nested over {self._bounds.depth} deep, or in themselves")
        kind = type(value)
        if kind is str or kind is bool or value is None:
            return value
        if kind is int or kind is float:
            return _number(value)
        if kind is list or kind is tuple:
            return [self.pack(entry, depth + 1) for entry in value]
        if kind is dict:
            return {_key(key): self.pack(entry, depth + 1) for key, entry in value.items()}
        return self._binary(value)

    def _binary(self, value: Any) -> dict[str, Any]:
        plain = isinstance(value, bytes | bytearray | memoryview)
        if plain and len(value) <= _INLINE:
            return {BYTES: base64.b64encode(value).decode()}
        if not plain and not isinstance(value, Buffer) and not is_large(value):
            raise TypeError(
                f"a value of type {type(value).__name__} is no data: dict, list, str, int, float, bool, None, bytes"
            )
        if not self._takes_buffers:
            raise TypeError("large bytes, arrays and buffers reach Python plugins only, and not through a host function")
        if len(self.buffers) >= MOST_BUFFERS:
            raise TypeError(f"over {MOST_BUFFERS} buffers in one call")
        found = value if isinstance(value, Buffer) else described(value)
        self.buffers.append(found)
        size = found.size if isinstance(found, Buffer) else found.view.nbytes
        return {BUFFER: {"at": len(self.buffers) - 1, "size": size, **found.meta}}


def _number(value: float) -> float:
    if not math.isfinite(value):
        raise TypeError(f"the number {value} is no data: JSON has none such")
    if type(value) is int and value not in _INTEGERS:
        raise TypeError("an integer of over 64 bits is no data")
    return value


def _key(key: Any) -> str:
    if type(key) is not str:
        raise TypeError(f"a key of type {type(key).__name__} is no data: keys are texts")
    if key in (BYTES, BUFFER):
        raise TypeError(f"the key {key} is the protocol's own")
    return key


def measure(line: bytes, bounds: Bounds) -> None:
    """See that a line of JSON stays within depth and count, before anything is made of it. Raises BrokenError.

    Every value but the first of its list follows a comma, every list an opening bracket; strings are left out.
    """
    if _is_small(line, bounds):
        return
    bare = _STRINGS.sub(b"0", line)
    if bare.count(b",") + bare.count(b"[") + bare.count(b"{") > bounds.count:
        raise violation(f"its message holds over {bounds.count} values")
    depth = 0
    for mark in _BRACKETS.findall(bare):
        depth += 1 if mark in b"[{" else -1
        if depth > bounds.depth:
            raise violation(f"its message is nested over {bounds.depth} deep")


def _is_small(line: bytes, bounds: Bounds) -> bool:
    opened = line.count(b"[") + line.count(b"{")
    return opened <= bounds.depth and line.count(b",") + opened <= bounds.count


def unpack(value: Any, line: bytes) -> Any:
    """Return a decoded value with its bytes; `line` is what it was decoded from. Raises BrokenError."""
    return _revived(value) if b'"$b' in line or b"\\" in line else value


def _revived(value: Any) -> Any:
    if isinstance(value, list):
        return [_revived(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if BUFFER in value:
        raise violation("it sent a buffer, which plugins cannot")
    if BYTES not in value:
        return {key: _revived(entry) for key, entry in value.items()}
    text = value[BYTES]
    try:
        if len(value) == 1 and isinstance(text, str):
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise violation(f"it sent a {BYTES} that is no base64 text")


def encode(message: Any, bounds: Bounds) -> bytes:
    """Return the line of a message that is packed. Raises TypeError for one that is too long."""
    try:
        line = msgspec.json.encode(message) + b"\n"
    except UnicodeEncodeError:
        raise TypeError("a text with lone surrogates is no data") from None
    if len(line) > bounds.message:
        raise TypeError(f"{len(line)} bytes of JSON are over the {bounds.message} of a message; large bytes go as a buffer")
    return line
