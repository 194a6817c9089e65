"""The built-in comparison, flag by flag, as the format's page and its reference implementation have it."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jailpy.services.grading.compare import Settings, compare, parse_float, settings
from tests.core import PATIENCE

PLAIN = Settings()
CASE = settings(["case_sensitive"])
SPACE = settings(["space_change_sensitive"])
NEAR = settings(["float_tolerance", "1e-3"])


@pytest.mark.parametrize(
    ("output", "answer", "how", "accepted"),
    [
        (b"1 2\n", b"1 2\n", PLAIN, True),
        (b"  1\t\n2", b"1 2\n", PLAIN, True),
        (b"1 2 3", b"1 2", PLAIN, False),
        (b"1", b"1 2", PLAIN, False),
        (b"", b"1", PLAIN, False),
        (b"", b"", PLAIN, True),
        (b"Yes", b"yes", PLAIN, True),
        (b"Yes", b"yes", CASE, False),
        (b"\xc3\x84", b"\xc3\xa4", PLAIN, False),
        (b"1\x0b2\x0c3", b"1 2 3", PLAIN, True),
        (b"1\x1c2", b"1 2", PLAIN, False),
        (b"1.0", b"1", PLAIN, False),
        (b"1.0005", b"1", NEAR, True),
        (b"1.002", b"1", NEAR, False),
        (b"1e0", b"1", NEAR, True),
        (b"nan", b"nan", NEAR, True),
        (b"nan", b"1", NEAR, False),
        (b"inf", b"1", NEAR, False),
        (b"1_0", b"10", NEAR, False),
        (b"yes", b"1", NEAR, False),
        (b"yes", b"YES", NEAR, True),
        (b"1000.5", b"1000", settings(["float_absolute_tolerance", "1e-3"]), False),
        (b"1000.5", b"1000", settings(["float_relative_tolerance", "1e-3"]), True),
        (b"0.0005", b"0", settings(["float_relative_tolerance", "1e-3"]), False),
        (b"1 2\n", b"1 2\n", SPACE, True),
    ],
)
def test_what_is_accepted(output, answer, how, accepted):
    assert (compare(output, answer, how) is None) is accepted


@pytest.mark.parametrize("output", [b"1  2\n", b"1 2", b"1 2 \n", b" 1 2\n", b"1\t2\n", b"1 2\n\n", b"1 2\r\n"])
def test_right_words_with_other_spaces_are_a_presentation_error(output):
    found = compare(output, b"1 2\n", SPACE)
    assert found
    assert found.in_spaces
    assert compare(output, b"1 2\n", PLAIN) is None
    wrong = compare(b"1  3\n", b"1 2\n", SPACE)
    assert wrong
    assert not wrong.in_spaces


def test_the_place_is_named():
    assert compare(b"a\nb c\n", b"a\nb d\n", PLAIN).text == 'word 3, line 2: "c", expected "d"'
    assert compare(b"", b"a", PLAIN).text == 'the output is empty, the answer goes on with "a"'
    assert compare(b"a b", b"a", PLAIN).text == 'word 2, line 1: "b" is too much, the answer has 1 words'


@pytest.mark.parametrize("token", [
    b"1" * 4_000_000 + b"x", b"0x" + b"1" * 4_000_000 + b"x", b"1." + b"1" * 4_000_000 + b"x", b"1e" + b"1" * 4_000_000 + b"x",
])  # fmt: skip
def test_digits_that_are_slow_to_read(token):
    """Whoever looks at them from each digit anew takes days."""
    began = time.monotonic()
    assert compare(token, b"1", Settings(relative=1.0)) is not None
    assert time.monotonic() - began < PATIENCE
    assert compare(b"1." + b"1" * 4_000_000, b"1", Settings(relative=1.0)) is None, "control: it is a number without the letter"


@pytest.mark.parametrize("flags", [["no_such"], ["float_tolerance"], ["float_tolerance", "x"], ["case_sensitive", "1"]])
def test_wrong_flags_are_refused(flags):
    with pytest.raises(ValueError, match=r"flag|number"):
        settings(flags)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_as_it_was_written(value):
    assert parse_float(repr(value).encode()) == value
    assert parse_float(value.hex().encode()) == value


@given(st.lists(st.sampled_from([b"1", b"2.5", b"abc", b"X"])), st.lists(st.sampled_from([b" ", b"\n", b"\t ", b"\r\n"])))
def test_spaces_never_matter_without_the_flag(words, spaces):
    joined = b"".join(word + (spaces[at % len(spaces)] if spaces else b" ") for at, word in enumerate(words))
    assert compare(joined, b" ".join(words), PLAIN) is None
    if words:
        assert compare(joined + b" more", b" ".join(words), PLAIN) is not None


@pytest.mark.parametrize("ending", [b"\n", b" ", b"\r\n", b"\t \v"])
@pytest.mark.parametrize("flag", ["sorted-lines", "lines", "space_change_sensitive"])
def test_the_memory_of_a_comparison_is_bounded_by_the_output(flag, ending):
    """A list for each line, or a text for each space, takes up to a hundred times what a hostile program printed."""
    output = ending.join([b"a"] * (1 << 19))
    tracemalloc.start()
    try:
        assert compare(output, b"a", settings([flag])) is not None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * len(output)


@given(st.text("a \t\n\r\v\f", max_size=20), st.text("a \t\n\r\v\f", max_size=20))
def test_lines_are_those_of_their_words(output, answer):
    found, wanted = ([words for line in text.split("\n") if (words := line.split())] for text in (output, answer))
    for flag, same in (("lines", found == wanted), ("sorted-lines", sorted(found) == sorted(wanted))):
        assert (compare(output.encode(), answer.encode(), settings([flag])) is None) == same
