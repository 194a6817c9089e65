"""A document as TOML text and as plain JSON values, complete and loadable again. Parent side, pure."""

from __future__ import annotations

from jailpy.profile.schema import KEYS, TABLES
from jailpy.profile.values import format_duration, format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jailpy.profile.schema import Document, Key, Value


def to_toml(document: Document) -> str:
    """Write every key. Loading the text gives the same document: it starts from nothing, so nothing is inherited."""
    lines = [_line(key, key.name, document[key.name]) for key in KEYS.values() if "." not in key.name]
    for table in TABLES:
        lines += ["", f"[{table}]"]
        keys = [key for key in KEYS.values() if key.name.startswith(f"{table}.")]
        lines += [_line(key, key.name.removeprefix(f"{table}."), document[key.name]) for key in keys]
    return "\n".join(lines) + "\n"


def to_plain(document: Document) -> dict[str, Any]:
    """Return tables as dicts, with values as TOML has them."""
    plain: dict[str, Any] = {}
    for name, key in KEYS.items():
        table, _, inner = name.rpartition(".")
        (plain.setdefault(table, {}) if table else plain)[inner] = _human(key, document[name])
    return plain


def quote(text: str) -> str:
    """Write a TOML basic string; what is not printable is escaped, so that it is safe on a terminal too."""
    return '"' + "".join(_char(char) for char in text) + '"'


def _char(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 1 << 16 else f"\\U{ord(char):08x}"


def _human(key: Key, value: Value) -> Value:
    if value is None:
        return "off"
    if key.kind == "size" and isinstance(value, int):
        return format_size(value)
    if key.kind == "duration" and isinstance(value, float):
        return format_duration(value)
    return value


def _line(key: Key, name: str, value: Value) -> str:
    return f"{name} = {_value(_human(key, value))}"


def _value(value: Value) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(quote(entry) for entry in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{quote(name)} = {quote(text)}" for name, text in value.items()) + " }"
    return quote(value) if isinstance(value, str) else repr(value)
