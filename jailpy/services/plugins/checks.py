"""Single values of manifests and grants. Each check returns the value or raises ValueError: "expected ..., got ..."."""

from __future__ import annotations

from typing import Any

from jailpy.profile import locate, values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NETWORKS = ("none", "loopback", "host")
_MOST = 256
_LONGEST = 4096
RESERVED = ("call", "call_async", "start", "stats", "logs", "close", "access", "manifest")


def wrong(what: str, value: object) -> ValueError:
    """Return the error for a value that is not what was expected."""
    return ValueError(f"expected {what}, got {values.printable(repr(value))[:60]}")


def guess(key: str, known: Iterable[str]) -> str:
    """Return ": did you mean ...?" where a known key is near."""
    near = locate.nearest(key, list(known))
    return f": did you mean {near}?" if near else ""


def schema(value: Any) -> int:
    """Check the version of the format."""
    if value is not True and value == 1:
        return 1
    raise wrong("1", value)


def text(value: Any) -> str:
    """Check a text of one line."""
    if isinstance(value, str) and len(value) <= _LONGEST and value.isprintable():
        return value
    raise wrong("a text of one line", value)


def flag(value: Any) -> bool:
    """Check a boolean."""
    if isinstance(value, bool):
        return value
    raise wrong("true or false", value)


def table(value: Any) -> dict[str, Any]:
    """Check a table."""
    if isinstance(value, dict):
        return value
    raise wrong("a table", value)


def plugin_name(value: Any) -> str:
    """Check a plugin's name."""
    if isinstance(value, str) and locate.is_name(value):
        return value
    raise wrong("a name of letters, digits, '.', '_', '+' and '-'", value)


def module(value: Any) -> str:
    """Check a module's dotted name."""
    if isinstance(value, str) and value and all(part.isidentifier() for part in value.split(".")):
        return value
    raise wrong("the name of a module", value)


def argv(value: Any) -> tuple[str, ...]:
    """Check a command."""
    found = _list("a command as a list of texts", value, lambda entry: "\0" not in entry)
    if not found:
        raise wrong("a command as a list of texts", value)
    return found


def names(value: Any) -> tuple[str, ...]:
    """Check names of functions, each given once."""
    found = _list("a list of function names", value, lambda entry: entry.isidentifier() and not entry.startswith("_"))
    for name in found:
        if name in RESERVED or name.endswith("_async"):
            raise ValueError(f"{name} is a name of the plugin object's own")
    if len(set(found)) < len(found):
        raise ValueError("expected each name once")
    return found


def variables(value: Any) -> tuple[str, ...]:
    """Check names of environment variables."""
    return _list("a list of variable names", value, values.is_word)


def paths(value: Any) -> tuple[str, ...]:
    """Check absolute paths."""
    found = _list(
        "a list of absolute paths", value, lambda entry: entry.startswith("/") and "\0" not in entry and ":" not in entry
    )
    return tuple(values.clean_path(entry) for entry in found)


def inner_path(value: Any) -> str:
    """Check the path of something in the plugin's own folder."""
    if (
        isinstance(value, str)
        and value
        and not value.startswith("/")
        and not {"..", ""} & set(value.split("/"))
        and value.isprintable()
    ):
        return value
    raise wrong("a path within the plugin's folder", value)


def network(value: Any) -> str:
    """Check a network mode."""
    if value in NETWORKS:
        return str(value)
    raise wrong('"none", "loopback" or "host"', value)


def size(value: Any) -> int:
    """Check a size in bytes above 0."""
    return int(_measure(values.A_SIZE, value, values.parse_size))


def duration(value: Any) -> float:
    """Check a duration in seconds above 0."""
    return float(_measure(values.A_DURATION, value, values.parse_duration))


def count(value: Any) -> int:
    """Check a number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise wrong("a number of at least 1", value)
    return value


def _measure(what: str, value: Any, parse: Callable[[str], float]) -> float:
    try:
        found = parse(value if isinstance(value, str) else format(value, "f") if isinstance(value, float) else str(value))
    except ValueError:
        found = 0
    if found <= 0 or isinstance(value, bool):
        raise wrong(f"{what}, above 0", value)
    return found


def _list(what: str, value: Any, is_right: Callable[[str], bool]) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > _MOST:
        raise wrong(what, value)
    for entry in value:
        if not isinstance(entry, str) or not is_right(entry):
            raise wrong(what, entry)
    return tuple(value)
