"""Figures and texts for people: sizes, times, and untrusted text with its control characters shown. Pure."""

from __future__ import annotations

import re

_UNITS = ("bytes", "KB", "MB", "GB", "TB")
# Control characters, marks that reorder or hide text, surrogates, and what XML 1.0 cannot hold.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e007f]"
)
_LINE_ENDS = {0x09: "\\t", 0x0A: "\\n"}


def size(count: float) -> str:
    """Return a number of bytes in words: 268435456 is `256 MB`; the units are powers of 1024."""
    unit = 0
    amount = float(count)
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount /= 1024
        unit += 1
    text = f"{amount:.1f}" if amount < 10 else f"{amount:.0f}"
    return f"{text.removesuffix('.0')} {_UNITS[unit]}"


def seconds(value: float) -> str:
    """Return a time in words: `0.08 s`, `0.8 s`, `12 s`."""
    if 0 < value < 0.001:
        return "under 1 ms"
    digits = 3 if value < 0.01 else 2 if value < 0.1 else 1 if value < 100 else 0
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} s"


def brief(value: float) -> str:
    """Return a time for a narrow column: `4 ms`, `1.20 s`."""
    return f"{value * 1000:.0f} ms" if value < 0.9995 else f"{value:.2f} s"


def cut(text: str, most: int) -> str:
    """Return one line of at most `most` characters of untrusted text, its end left out."""
    shown = line(text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def count(number: int, thing: str) -> str:
    """Return a number of things: `1 test`, `3 tests`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def number(value: float) -> str:
    """Return a score or another plain figure without needless digits."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


def block(text: str) -> str:
    """Return untrusted text for several lines: newlines and tabs stay, what is harmful or invisible is shown escaped."""
    return _HARMFUL.sub(lambda found: _escaped(found.group()), text)


def line(text: str) -> str:
    """Return untrusted text for one line: newlines and tabs are shown escaped too."""
    return block(text).translate(_LINE_ENDS)


def short(text: str, most: int) -> str:
    """Return one line of at most `most` characters of untrusted text, the middle left out."""
    shown = line(text)
    if len(shown) <= most:
        return shown
    tail = (most - 1) // 3
    return f"{shown[: most - 1 - tail]}…{shown[len(shown) - tail :]}"


def _escaped(character: str) -> str:
    code = ord(character)
    if character == "\r":
        return "\\r"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
