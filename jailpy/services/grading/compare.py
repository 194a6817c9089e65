"""The built-in checker: output and answer are compared token by token, as the Kattis format's default validator does. Pure."""

from __future__ import annotations

import io
import math
import re
from itertools import zip_longest
from typing import Any, Literal, get_args

import msgspec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SPACE = re.compile(rb"([ \t\n\v\f\r]+)")
_BLANKS = bytes.maketrans(b"\t\v\f\r", b"    ")
# Possessive: a submission's million digits and a letter are looked at once, not once from each digit.
_FLOAT = re.compile(rb"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?\Z")
_HEX_FLOAT = re.compile(rb"[+-]?0[xX](?:[0-9a-fA-F]++(?:\.[0-9a-fA-F]*+)?|\.[0-9a-fA-F]++)(?:[pP][+-]?\d++)?\Z")
_SHOWN = 40
_TOLERANCES = {
    "float_tolerance": ("relative", "absolute"),
    "float_relative_tolerance": ("relative",),
    "float_absolute_tolerance": ("absolute",),
}


Unit = Literal["words", "lines", "identical", "sorted-lines", "sorted-words", "letters"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The flags of the default validator. A tolerance is None where it is not set.

    `unit` says what is compared. Beside the format's words there are those of DMOJ's checkers: the words of each line that has
    any, every byte, lines or words in any order, and how often each letter occurs.
    """

    unit: Unit = "words"

    case_sensitive: bool = False
    space_change_sensitive: bool = False
    relative: float | None = None
    absolute: float | None = None


_UNITS = get_args(Unit)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Where the output is not what it should be. `in_spaces` where all tokens are right and only spaces differ."""

    text: str
    in_spaces: bool = False


def settings(flags: Sequence[str]) -> Settings:
    """Read the flags. Raises ValueError for what is none."""
    found: dict[str, Any] = {}
    rest = list(flags)
    while rest:
        flag = rest.pop(0)
        if flag in ("case_sensitive", "space_change_sensitive"):
            found[flag] = True
            continue
        if flag in _UNITS:
            found["unit"] = flag
            continue
        if flag not in _TOLERANCES:
            raise ValueError(f"{flag}: the default validator has no such flag")
        value = parse_float(rest.pop(0).encode()) if rest else None
        if value is None:
            raise ValueError(f"{flag}: expected a number after it")
        found |= dict.fromkeys(_TOLERANCES[flag], value)
    return Settings(**found)


def parse_float(token: bytes) -> float | None:
    """Return a finite number as C's strtod reads it, None for anything else."""
    if _FLOAT.match(token):
        value = float(token)
    elif _HEX_FLOAT.match(token):
        try:
            value = float.fromhex(token.decode())
        except OverflowError:
            return None
    else:
        return None
    return value if math.isfinite(value) else None


def compare(output: bytes, answer: bytes, how: Settings) -> Difference | None:
    """Return the first difference, None where the output is accepted."""
    if output == answer:
        return None
    if how.unit != "words":
        return _by_unit(output, answer, how.unit)
    theirs, ours = output.split(), answer.split()
    if theirs != ours:
        wrong = _first_wrong(theirs, ours, how)
        if wrong is not None:
            return Difference(text=_words(output, theirs, ours, wrong))
    if how.space_change_sensitive and not _same_spaces(b"." + output, b"." + answer):
        return Difference(text="every word is right, but spaces or line ends differ from the answer", in_spaces=True)
    if how.space_change_sensitive and output[:1].isspace() != answer[:1].isspace():
        return Difference(text="every word is right, but the output does not begin as the answer does", in_spaces=True)
    return None


def _same_spaces(output: bytes, answer: bytes) -> bool:
    """Compare one by one: lists of all would take fifty times the memory of a hostile output."""
    pairs = zip_longest(_SPACE.finditer(output), _SPACE.finditer(answer))
    return all(theirs and ours and theirs[0] == ours[0] for theirs, ours in pairs)


def _by_unit(output: bytes, answer: bytes, unit: Unit) -> Difference | None:
    """Compare as one of DMOJ's checkers does."""
    if unit == "identical":
        same_words = output.split() == answer.split()
        text = "every word is right, but spaces or line ends differ from the answer"
        return Difference(text=text, in_spaces=True) if same_words else Difference(text="the output differs from the answer")
    ways: dict[str, Callable[[bytes], object]] = {
        "lines": _lines,
        "sorted-lines": lambda data: sorted(_lines(data)),
        "sorted-words": lambda data: sorted(data.split()),
        "letters": lambda data: sorted(b"".join(data.lower().split())),
    }
    way = ways[unit]
    return None if way(output) == way(answer) else Difference(text="the output differs from the answer")


def _lines(data: bytes) -> list[bytes]:
    """Return the lines with words, one space between these. A list of each line's words would take fifty times as much."""
    data = data.translate(_BLANKS)
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    return [line for each in io.BytesIO(data) if (line := each.strip())]


def _first_wrong(theirs: list[bytes], ours: list[bytes], how: Settings) -> int | None:
    """Return the index of the first token that is wrong, missing or too much."""
    for index, (output, answer) in enumerate(zip(theirs, ours, strict=False)):
        if output != answer and not _same(output, answer, how):
            return index
    return None if len(theirs) == len(ours) else min(len(theirs), len(ours))


def _same(output: bytes, answer: bytes, how: Settings) -> bool:
    if how.relative is not None or how.absolute is not None:
        wanted = parse_float(answer)
        if wanted is not None:
            given = parse_float(output)
            return given is not None and _close(given, wanted, how)
    return output == answer if how.case_sensitive else output.lower() == answer.lower()


def _close(given: float, wanted: float, how: Settings) -> bool:
    error = abs(given - wanted)
    return (how.absolute is not None and error <= how.absolute) or (
        how.relative is not None and error <= how.relative * abs(wanted)
    )


def _words(output: bytes, theirs: list[bytes], ours: list[bytes], index: int) -> str:
    where = f"word {index + 1}, line {_line_of(output, index)}"
    if index >= len(theirs):
        said = "the output is empty" if not theirs else f"the output ends after {len(theirs)} words"
        return f"{said}, the answer goes on with {_shown(ours[index])}"
    if index >= len(ours):
        return f"{where}: {_shown(theirs[index])} is too much, the answer has {len(ours)} words"
    return f"{where}: {_shown(theirs[index])}, expected {_shown(ours[index])}"


def _line_of(output: bytes, index: int) -> int:
    """Return the line that a token stands in."""
    for count, match in enumerate(re.finditer(rb"[^ \t\n\v\f\r]+", output)):
        if count == index:
            return output.count(b"\n", 0, match.start()) + 1
    return output.count(b"\n") + 1


def _shown(token: bytes) -> str:
    text = token[:_SHOWN].decode(errors="replace")
    return f'"{text}"' if len(token) <= _SHOWN else f'"{text}..."'
