"""Sizes, durations, SRC:DST: what is read, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jailpy.profile.values import (
    LARGEST_SIZE,
    LONGEST_DURATION,
    clean_path,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
    printable,
    split_show,
    split_tmpfs,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [("64M", 64 << 20), ("1GiB", 1 << 30), ("512", 512), ("512B", 512), ("1.5K", 1536), ("2t", 2 << 40), ("0", 0)],
)
def test_size(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "M",
        "-1",
        "1 M",
        "1e3",
        "64MB",
        "1.0001K",
        "nan",
        "inf",
        "²",
        "٣",
        "1..5",
        ".",
        "9" * 40,
        "0x10",
        "1_000",
        "64M ",
    ],
)
def test_no_size(text):
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("2s", 2),
        ("1m30s", 90),
        ("1h", 3600),
        ("1h1ms", 3600.001),
        ("10", 10),
        ("1.5", 1.5),
        ("0.5m", 30),
    ],
)
def test_duration(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "1s1m", "1s1s", "1m30", "30 s", "1d", "nan", "inf", "1sm", "1..5s", "9" * 40, "1S", "1s "]
)
def test_no_duration(text):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(0, LARGEST_SIZE))
def test_size_round_trip(size):
    assert parse_size(format_size(size)) == size


@given(st.floats(0.001, LONGEST_DURATION))
def test_duration_round_trip(seconds):
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("a.py", ("a.py", "")),
        ("/opt", ("/opt", "")),
        ("a:/b", ("a", "/b")),
        ("/a:b:/c", ("/a:b", "/c")),
        ("./a/b:/c/d", ("./a/b", "/c/d")),
    ],
)
def test_show(text, pair):
    assert split_show(text) == pair


@pytest.mark.parametrize("text", ["", "a:b", ":/a", "a:", "/a:b"])
def test_no_show(text):
    with pytest.raises(ValueError, match="SRC"):
        split_show(text)


def test_tmpfs():
    assert split_tmpfs("/data") == ("/data", None)
    assert split_tmpfs("/data:16M") == ("/data", 16 << 20)
    with pytest.raises(ValueError, match="size"):
        split_tmpfs("/data:lots")


def test_clean_path():
    assert clean_path("//a/./b//c/") == "/a/b/c"
    assert clean_path("/") == "/"


@given(st.text())
def test_printable_text_is_safe(text):
    assert printable(text).isprintable()


def test_printable_keeps_words():
    assert printable("straße 1") == "straße 1"
    assert printable("a\x1b]52;c\n\udcff\u202e") == r"a\x1b]52;c\n\udcff\u202e"
