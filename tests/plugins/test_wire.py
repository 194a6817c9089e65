"""The messages: what is measured before it is read, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jailpy.services.plugins import inside, values, wire
from jailpy.services.plugins.limits import Bounds, BrokenError

BOUNDS = Bounds()
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    LEAVES | TEXT | st.binary(max_size=100),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT.filter(lambda key: key not in (values.BYTES, values.BUFFER)), inner),
)


def result(text):
    return b'{"type":"result","id":1,"value":' + text + b"}"


def refused(line, bounds=BOUNDS):
    with pytest.raises(BrokenError) as caught:
        wire.decode(line, bounds)
    return str(caught.value)


@given(VALUES)
def test_both_ends_write_and_read_the_same(value):
    packed = values.Packer(BOUNDS, takes_buffers=False).pack(value)
    assert inside._unpacked(json.loads(values.encode(packed, BOUNDS)), []) == value
    line = json.dumps(inside.packed(value), ensure_ascii=False).encode()
    assert wire.decode(result(line), BOUNDS).value == value


@given(st.binary())
def test_anything_else_is_refused(line):
    refused(line)


@given(VALUES, st.integers(0, 6))
def test_the_measure_is_that_of_the_value(value, depth):
    def deep(value):
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + max(map(deep, inner), default=0) if isinstance(value, dict | list) else 0

    packed = values.Packer(BOUNDS, takes_buffers=False).pack(value)
    line = json.dumps(packed).encode()
    bounds = Bounds(depth=depth)
    if deep(packed) > depth:
        with pytest.raises(BrokenError):
            values.measure(line, bounds)
    else:
        values.measure(line, bounds)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (result(b"[" * 65 + b"]" * 65), "nested over 64 deep"),
        (result(b"[" * 100_000), "nested over 64 deep"),
        (result(b"[" + b"0," * 300_000 + b"0]"), "over 200000 values"),
        (result(b'{"$bytes":"="}'), "no base64"),
        (result(b'{"$bytes":1}'), "no base64"),
        (result(b'{"\\u0024bytes":"AA==","x":1}'), "no base64"),
        (result(b'{"$buffer":{"at":0}}'), "sent a buffer"),
        (result(b"NaN"), "none of the protocol"),
        (b'{"type":"result","id":"1","value":0}', "none of the protocol"),
        (b'{"type":"result","id":1,"value":0,"more":0}', "unknown field"),
        (b'{"type":"call","id":1,"entry":"x","args":[],"kwargs":{}}', "Invalid value 'call'"),
        (b'{"type":"error","id":1,"kind":[],"text":""}', "none of the protocol"),
        (b'{"type":"host","id":1,"call":1,"name":"x","args":{}}', "none of the protocol"),
        (b"[]", "none of the protocol"),
    ],
)
def test_refused(line, said):
    assert said in refused(line)


def test_what_is_just_within():
    assert wire.decode(result(b"[" * 63 + b"]" * 63), BOUNDS).value
    many = b"[" + b"0," * 150_000 + b"0]"
    assert len(wire.decode(result(many), BOUNDS).value) == 150_001
    commas = b'"' + b"," * 1_000_000 + b'"'
    assert wire.decode(result(commas), BOUNDS).value == "," * 1_000_000
    escaped = rb'"\"[[[' + b"[" * 100 + b'"'
    assert wire.decode(result(escaped), BOUNDS).value == '"' + "[" * 103
    assert wire.decode(result(b'{"\\u0024bytes":"AA=="}'), BOUNDS).value == b"\0"
