"""One value against its row of the table: type, range, syntax. Parent side, pure.

Every function returns the converted value or raises `ValueError` whose text is "expected ...".
"""

from __future__ import annotations

from jailpy.profile.locate import is_name
from jailpy.profile.values import (
    A_DURATION,
    A_SIZE,
    clean_path,
    format_duration,
    format_size,
    is_word,
    parse_duration,
    parse_size,
    printable,
    split_show,
    split_tmpfs,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.profile.schema import Key, Value

LONGEST_TEXT = 4096
_OFF_LIMITS = ("/proc", "/dev")
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a place in the jail


def convert(key: Key, value: object) -> Value:
    """Turn a TOML value into the document's: bytes, seconds, None for "off". Raises ValueError."""
    if value == "off" and key.off:
        return None
    if key.kind in ("size", "duration", "integer", "number"):
        return _in_range(key, _number(key, value))
    if key.kind == "table":
        return _table(value)
    if key.kind == "list":
        return _list(key, value)
    return _schema(value) if key.kind == "schema" else _SCALARS[key.kind](key, _text(value))


def expected(key: Key) -> str:
    """Say in words what a value of this key looks like."""
    words = {
        "schema": "1",
        "name": "a name of letters, digits, '.', '_', '+' and '-'",
        "integer": "an integer",
        "number": "a number",
        "size": A_SIZE,
        "duration": A_DURATION,
        "root": '"system", "empty" or a path with a "/"',
        "directory": 'an absolute path without ".."',
        "hostname": "a host name of at most 63 letters, digits and hyphens",
        "apparmor": '"auto", "off" or the name of an AppArmor profile',
        "list": f"a list of {_ITEMS.get(key.item, 'texts')}",
        "table": 'a table of variables such as { HOME = "/work" }',
    }.get(key.kind, "a text")
    words = " or ".join(f'"{choice}"' for choice in key.choices) if key.kind == "choice" else words
    return f'{words} or "off"' if key.off else words


_ITEMS = {
    "layer": "layer names",
    "tier": "names of weaker tiers",
    "profile": "profile names or paths",
    "show": '"SRC" or "SRC:DST"',
    "tmpfs": '"DST" or "DST:SIZE"',
    "syscall": "system call names and @groups",
    "right": "Landlock rights",
    "variable": "variable names",
    "runtime": "runtime presets",
}


def _fail(words: str, value: object) -> ValueError:
    return ValueError(f"expected {words}, got {said(value)}")


def said(value: object) -> str:
    """Show a value of a profile in a message, as TOML writes it, escaped and bounded."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{printable(value[:80])}"' + ("..." if len(value) > 80 else "")
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, int) and abs(value) > 1 << 64:
        return "a huge integer"
    return printable(str(value)[:80])


def _number(key: Key, value: object) -> int | float:
    """Read the number of a limit; a bool is none, though Python says it is an int."""
    if isinstance(value, str) and key.kind in ("size", "duration"):
        try:
            return parse_size(value) if key.kind == "size" else parse_duration(value)
        except ValueError as error:
            raise _fail(str(error) + (' or "off"' if key.off else ""), value) from None
    fits = (int, float) if key.kind in ("duration", "number") else (int,)
    if isinstance(value, bool) or not isinstance(value, fits):
        raise _fail(expected(key), value)
    if key.kind in ("size", "integer"):
        return value
    return float(value) if abs(value) < 1 << 64 else float("inf")


def _in_range(key: Key, number: float) -> int | float:
    """Refuse NaN as well: no comparison with it holds."""
    if key.low <= number <= key.high:
        return number
    low, high = key.low, key.high
    if key.kind == "size":
        raise _fail(f"a size from {format_size(int(low))} to {format_size(int(high))}", number)
    if key.kind == "duration":
        raise _fail(f"a duration from {format_duration(low)} to {int(high // 86400)} days", number)
    raise _fail(f"{expected(key).split(' or ')[0]} from {low} to {high}", number)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _fail("a text in quotes", value)
    if "\0" in value:
        raise ValueError("expected a text without NUL bytes")
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"expected at most {LONGEST_TEXT} characters, got {len(value)}")
    return value


def _list(key: Key, value: object) -> list[str]:
    """Check each entry; "!x" is checked as x and kept with its mark."""
    if not isinstance(value, list):
        raise _fail(expected(key), value)
    entries, wrong = [], []
    for index, entry in enumerate(value):
        try:
            entries.append(_entry(key, entry))
        except ValueError as error:
            wrong.append((index, str(error)))
    if wrong:
        raise EntryError(wrong)
    return entries


class EntryError(ValueError):
    """Entries of a list are wrong: `wrong` holds the place of each and what was expected."""

    def __init__(self, wrong: list[tuple[int, str]]) -> None:
        super().__init__(wrong[0][1])
        self.wrong = wrong


def _entry(key: Key, entry: object) -> str:
    text = _text(entry)
    mark = "!" if text.startswith("!") and key.item != "profile" else ""
    return mark + _item(key, text[len(mark) :])


def _item(key: Key, text: str) -> str:
    if key.choices and text not in key.choices:
        raise ValueError(f"expected one of {', '.join(key.choices)}, got {said(text)}")
    check = _ENTRIES.get(key.item)
    return check(text) if check else text


def _show(text: str) -> str:
    try:
        source, destination = split_show(text)
    except ValueError as error:
        raise _fail(str(error), text) from None
    if destination or source.startswith("/"):
        _destination(destination or source)
    return text


def _tmpfs(text: str) -> str:
    try:
        destination, size = split_tmpfs(text)
    except ValueError as error:
        raise _fail(f'"DST" or "DST:SIZE" with {error}', text) from None
    if clean_path(destination) != _SHARED_MEMORY:
        _destination(destination)
    if size is not None and size < 4096:
        raise ValueError(f"expected a size of at least 4K, got {said(text)}")
    return text


def _destination(path: str) -> None:
    """Refuse a place in the jail that is relative, climbs, or would hide what JailPy itself puts there."""
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f'expected an absolute destination without "..", got {said(path)}')
    clean = clean_path(path)
    if clean == "/":
        raise ValueError('expected a destination below "/": the root itself is set by filesystem.root')
    for taken in _OFF_LIMITS:
        if clean == taken or clean.startswith(taken + "/"):
            raise ValueError(f"expected a destination outside {taken}, which is JailPy's own, got {said(path)}")


def _syscall(text: str) -> str:
    if not is_word(text.removeprefix("@"), "-" if text.startswith("@") else "") or len(text) > 64:
        raise _fail("a system call's name or an @group", text)
    from jailpy.profile import syscall_names

    wrong = syscall_names.problem(text)
    if wrong:
        raise ValueError(wrong)
    return text


def _variable(text: str) -> str:
    if not text or "=" in text:
        raise _fail('a variable\'s name without "="', text)
    return text


def _parent(text: str) -> str:
    if not text:
        raise _fail("a profile's name or path", text)
    return text


def _table(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _fail('a table of variables such as { HOME = "/work" }', value)
    return {_variable(_text(name)): _text(text) for name, text in value.items()}


def _schema(value: object) -> int:
    if value is not True and value == 1 and isinstance(value, int):
        return 1
    raise _fail("1, the only version of this format", value)


def _any(key: Key, text: str) -> str:
    return text


def _choice(key: Key, text: str) -> str:
    if text not in key.choices:
        raise _fail(expected(key), text)
    return text


def _root(key: Key, text: str) -> str:
    if text not in key.choices and "/" not in text:
        raise _fail(expected(key), text)
    return text


def _directory(key: Key, text: str) -> str:
    if not text.startswith("/") or ".." in text.split("/"):
        raise _fail(expected(key), text)
    clean = clean_path(text)
    if any(clean == taken or clean.startswith(taken + "/") for taken in _OFF_LIMITS) and clean != _SHARED_MEMORY:
        raise _fail("a working directory outside /proc and /dev", text)
    return clean


def _hostname(key: Key, text: str) -> str:
    parts = text.split(".")
    ends = all(part and part[0] != "-" and part[-1] != "-" for part in parts)
    if not ends or len(text) > 63 or "_" in text or not all(is_word(part, "-") for part in parts):
        raise _fail(expected(key), text)
    return text


def _name(key: Key, text: str) -> str:
    if not is_name(text):
        raise _fail(expected(key), text)
    return text


def _apparmor(key: Key, text: str) -> str:
    if not text or not text.isprintable() or " " in text or len(text) > 255:
        raise _fail(expected(key), text)
    return text


_ENTRIES = {"show": _show, "tmpfs": _tmpfs, "syscall": _syscall, "variable": _variable, "profile": _parent}
_SCALARS = {
    "name": _name,
    "text": _any,
    "choice": _choice,
    "root": _root,
    "directory": _directory,
    "hostname": _hostname,
    "apparmor": _apparmor,
}
