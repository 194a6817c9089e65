"""How single values of a profile are written: sizes, durations, names, SRC:DST. Pure, no heavy import.

A parser raises `ValueError` whose text completes "expected ...". Formatting and parsing again gives the same value.
"""

from __future__ import annotations

LARGEST_SIZE = 2**60
LONGEST_DURATION = 3650 * 86400.0

_SIZE_UNITS = (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10))
_SIZES = {"": 1, "b": 1, **{unit + end: 1 << 10 * power for power, unit in enumerate("kmgt", 1) for end in ("", "ib")}}
_DURATIONS = (("h", 3600.0), ("m", 60.0), ("s", 1.0), ("ms", 0.001))
_LONGEST_NUMBER = 32
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_DECIMAL = frozenset("0123456789.")

A_SIZE = 'a size such as "64M" or "1GiB"'
A_DURATION = 'a duration such as "500ms", "2s" or "1m30s"'


def parse_size(text: str) -> int:
    """Return the bytes of "64M", "1GiB", "512"; K, M, G and T are powers of 1024. Raises ValueError."""
    digits, unit = _split_number(text)
    if unit.lower() in ("kb", "mb", "gb", "tb"):
        raise ValueError(f"{A_SIZE}: write {digits}{unit[0].upper()} for powers of 1024")
    if unit.lower() not in _SIZES or not digits:
        raise ValueError(A_SIZE)
    size = _number(digits, A_SIZE) * _SIZES[unit.lower()]
    if size != int(size):
        raise ValueError(f"{A_SIZE}, in whole bytes")
    return int(size)


def format_size(size: int) -> str:
    """Write bytes with the largest unit that divides them."""
    for unit, factor in _SIZE_UNITS:
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def parse_duration(text: str) -> float:
    """Return the seconds of "500ms", "2s", "1m30s", "1h", "10". Raises ValueError."""
    total, left, units = 0.0, text, list(_DURATIONS)
    while left:
        digits, rest = _split_number(left)
        unit = rest[: len(rest) - len(rest.lstrip("hms"))] or ("s" if left == text and not rest else "")
        names = [name for name, _ in units]
        if not digits or unit not in names:
            raise ValueError(A_DURATION)
        total += _scaled(_number(digits, A_DURATION), unit)
        units = units[names.index(unit) + 1 :]
        left = rest[len(unit) :]
    if not text:
        raise ValueError(A_DURATION)
    return float(total)


def format_duration(seconds: float) -> str:
    """Write seconds as "1m30s", "2s" or "500ms"."""
    if seconds < 1 and seconds == round(seconds * 1000) / 1000:
        return f"{round(seconds * 1000)}ms"
    if seconds != int(seconds):
        return f"{seconds!r}s"
    left, parts = int(seconds), ""
    for unit, factor in _DURATIONS[:3]:
        count, left = divmod(left, int(factor))
        parts += f"{count}{unit}" if count else ""
    return parts or "0s"


def is_word(text: str, extra: str = "") -> bool:
    """Tell whether a text is made of ASCII letters, digits, underscores and the `extra` characters, and not empty."""
    return bool(text) and all(char in _NAME or char in extra for char in text)


def split_show(text: str) -> tuple[str, str]:
    """Split "SRC" or "SRC:DST" into both; "" stands for no DST. DST starts at the last ":/". Raises ValueError."""
    source, colon, destination = text.rpartition(":/")
    if not colon:
        source, destination = text, ""
        if ":" in text:
            raise ValueError("SRC:DST with an absolute DST")
    elif not source:
        raise ValueError("SRC or SRC:DST")
    if not source:
        raise ValueError("SRC or SRC:DST, not an empty text")
    return source, "/" + destination if colon else ""


def split_put(text: str) -> tuple[str, str]:
    """Split what is to be copied in, "SRC" or "SRC:DST". Raises ValueError."""
    try:
        source, destination = split_show(text)
    except ValueError as error:
        raise ValueError(f"expected {error}") from error
    if ".." in destination.split("/"):
        raise ValueError("the destination must not hold ..")
    return source, clean_path(destination) if destination else ""


def split_get(text: str) -> tuple[str, str]:
    """Split what is to be collected, "NAME:DEST" with NAME below the work folder. Raises ValueError."""
    name, colon, destination = text.partition(":")
    if not colon or not name or not destination:
        raise ValueError("expected NAME:DEST")
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError("NAME is a path below the work folder")
    return name, destination


def split_tmpfs(text: str) -> tuple[str, int | None]:
    """Split "DST" or "DST:SIZE" into both; None stands for a share of the one disk limit. Raises ValueError."""
    destination, colon, size = text.rpartition(":")
    if not colon:
        return text, None
    return destination, parse_size(size)


def clean_path(path: str) -> str:
    """Return an absolute path without doubled, trailing and "." parts. ".." is not resolved: callers refuse it."""
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def printable(text: str) -> str:
    """Return a text that is safe on a terminal and in a log: controls, bidi marks and lone surrogates are escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _split_number(text: str) -> tuple[str, str]:
    end = 0
    while end < len(text) and text[end] in _DECIMAL:
        end += 1
    return text[:end], text[end:]


def _number(digits: str, expected: str) -> float | int:
    """Read a decimal number of a length that no honest value exceeds. Raises ValueError with `expected`."""
    if len(digits) > _LONGEST_NUMBER or digits.count(".") > 1 or digits == ".":
        raise ValueError(expected)
    return float(digits) if "." in digits else int(digits)


def _scaled(number: float, unit: str) -> float:
    return number / 1000 if unit == "ms" else number * dict(_DURATIONS)[unit]
