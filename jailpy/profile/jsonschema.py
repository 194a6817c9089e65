"""The table as a JSON Schema (draft 2020-12), for editors. Parent side, pure.

It checks what one value can show: types, units, names. Combinations are checked by `jailpy profile check`.
"""

from __future__ import annotations

from jailpy.profile.schema import KEYS, TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jailpy.profile.schema import Key

_NUMBER = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)"
_SIZE = rf"^{_NUMBER}([KkMmGgTt]([Ii][Bb])?|[Bb])?$"
_DURATION = rf"^({_NUMBER}|(?=.)({_NUMBER}h)?({_NUMBER}m)?({_NUMBER}s)?({_NUMBER}ms)?)$"
_NAME = "^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$"
_ITEMS = {
    "profile": r"^[^\u0000]+$",
    "show": r"^!?[^\u0000]+$",
    "tmpfs": r"^!?/[^\u0000]+$",
    "syscall": "^!?(@[A-Za-z0-9_-]+|[A-Za-z0-9_]+)$",
    "variable": r"^!?[^=\u0000]+$",
}


def build() -> dict[str, Any]:
    """Return the schema as JSON values."""
    top = {name: _key(key) for name, key in KEYS.items() if "." not in name}
    tables = {name: _object(_of_table(name), doc) for name, doc in TABLES.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "JailPy profile",
        **_object({**top, **tables}, "What a jail shows, allows and bounds."),
    }


def _of_table(table: str) -> dict[str, Any]:
    keys = [key for key in KEYS.values() if key.name.startswith(table + ".")]
    return {key.name.removeprefix(table + "."): _key(key) for key in keys}


def _object(properties: dict[str, Any], doc: str) -> dict[str, Any]:
    return {"type": "object", "description": doc, "additionalProperties": False, "properties": properties}


def _key(key: Key) -> dict[str, Any]:
    shape = _shape(key)
    if key.off:
        shape = {"anyOf": [shape, {"const": "off"}]}
    return {"description": key.doc, **shape}


def _shape(key: Key) -> dict[str, Any]:
    if key.kind == "list":
        return {"type": "array", "items": _items(key)}
    number = {"minimum": key.low, "maximum": key.high}
    shapes: dict[str, dict[str, Any]] = {
        "schema": {"const": 1},
        "name": {"type": "string", "pattern": _NAME},
        "integer": {"type": "integer", **number},
        "number": {"type": "number", **number},
        "size": {"anyOf": [{"type": "integer", **number}, {"type": "string", "pattern": _SIZE}]},
        "duration": {"anyOf": [{"type": "number", **number}, {"type": "string", "pattern": _DURATION}]},
        "choice": {"enum": list(key.choices)},
        "root": {"anyOf": [{"enum": list(key.choices)}, {"type": "string", "pattern": "/"}]},
        "directory": {"type": "string", "pattern": "^/"},
        "hostname": {"type": "string", "maxLength": 63, "pattern": r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$"},
        "apparmor": {"type": "string", "minLength": 1},
        "table": {"type": "object", "additionalProperties": {"type": "string"}},
    }
    return shapes.get(key.kind, {"type": "string"})


def _items(key: Key) -> dict[str, Any]:
    if key.choices:
        return {"enum": [mark + choice for choice in key.choices for mark in ("", "!")]}
    return {"type": "string", "pattern": _ITEMS[key.item]}
