"""What reaches a terminal: no control character but newline, return and tab, however the bytes are cut into chunks."""

from __future__ import annotations

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from jailpy import escape

PASSED = "\n\r\t"
PIECES = st.lists(st.one_of(st.binary(max_size=12), st.text(max_size=6).map(str.encode)), max_size=8).map(b"".join)


def filtered(*chunks):
    whole = escape.TerminalFilter()
    return b"".join(whole.feed(chunk) for chunk in chunks) + whole.feed(b"", final=True)


def harmless(text):
    return all(char in PASSED or unicodedata.category(char) != "Cc" for char in text) and not any(
        0x202A <= ord(char) <= 0x202E or 0x2066 <= ord(char) <= 0x2069 for char in text
    )


@given(PIECES)
@example(b"\x1b]0;x\x07")
@example("\x9b31m\u202e".encode())
@example(b"\x9b31m")
def test_nothing_harmful_is_left(data):
    assert harmless(filtered(data).decode())


@given(PIECES, st.lists(st.integers(0, 100), max_size=6))
def test_cuts_change_nothing(data, cuts):
    at = sorted({min(cut, len(data)) for cut in cuts})
    chunks = [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]
    assert b"".join(chunks) == data
    assert filtered(*chunks) == filtered(data) == filtered(*(data[i : i + 1] for i in range(len(data))))


@given(st.text(alphabet=st.characters(exclude_categories=("Cc", "Cf", "Cs")), max_size=40))
def test_ordinary_text_is_unchanged(text):
    assert filtered(text.encode()).decode() == text
    assert filtered(f"{text}\n\r\t".encode()).decode() == f"{text}\n\r\t"


@given(PIECES)
def test_every_byte_is_accounted_for(data):
    """Nothing is dropped: what comes out is as long as what went in, or longer."""
    assert len(filtered(data)) >= len(data)


@given(st.text(st.characters(), max_size=30), st.binary(max_size=20))
@example("half of a character: \ud800", b"\xff")
def test_a_line_is_one_line_and_encodes(text, tail):
    shown = escape.line(text + tail.decode(errors="surrogateescape"))
    assert harmless(shown)
    assert not set(shown) & set(PASSED)
    shown.encode()


def test_the_known_ones():
    assert filtered(b"a\x1b[31m\x00\x7f\x08") == b"a\\x1b[31m\\x00\\x7f\\x08"
    assert filtered("\x85\x9b\u2066".encode()) == b"\\x85\\x9b\\u2066"
    assert filtered(b"\xc3") == b"\\xc3"
    assert escape.line("a\nb\tc\udcff") == "a\\nb\\tc\\xff"
