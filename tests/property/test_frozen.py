"""jailpy.frozen.Frozen behaves as the frozen dataclass that type checkers take it for."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jailpy.frozen import Frozen

VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.tuples(st.integers()))
NAMES = ("first", "second", "third", "fourth")


class Ours(Frozen):
    first: object
    second: object
    third: object = 3
    fourth: object = None


@dataclasses.dataclass(frozen=True)
class Theirs:
    first: object
    second: object
    third: object = 3
    fourth: object = None


class Below(Ours):
    fifth: object = 5


def make(cls, args, named):
    try:
        return cls(*args, **named), None
    except TypeError:
        return None, TypeError


@given(args=st.lists(VALUES, max_size=6), named=st.dictionaries(st.sampled_from((*NAMES, "fifth")), VALUES))
def test_construction_agrees_with_dataclasses(args, named):
    ours, theirs = make(Ours, args, named), make(Theirs, args, named)
    assert ours[1] == theirs[1]
    if ours[0] is not None:
        assert [getattr(ours[0], name) for name in NAMES] == [getattr(theirs[0], name) for name in NAMES]
        assert repr(ours[0]).partition("(")[2] == repr(theirs[0]).partition("(")[2]


@given(one=st.tuples(VALUES, VALUES), other=st.tuples(VALUES, VALUES))
def test_equality_and_hash_agree_with_dataclasses(one, other):
    assert (Ours(*one) == Ours(*other)) == (Theirs(*one) == Theirs(*other))
    if Ours(*one) == Ours(*other):
        assert hash(Ours(*one)) == hash(Ours(*other))
    assert Ours(*one) != Theirs(*one)
    assert Ours(*one) != Below(*one)


@given(values=st.tuples(VALUES, VALUES), name=st.sampled_from(NAMES), value=VALUES)
def test_replace_changes_one_field_of_a_copy(values, name, value):
    before = Ours(*values)
    after = before.replace(**{name: value})
    assert getattr(after, name) == value
    assert [getattr(after, other) for other in NAMES if other != name] == [
        getattr(before, other) for other in NAMES if other != name
    ]
    assert before == Ours(*values)


@given(name=st.sampled_from((*NAMES, "other")), value=VALUES)
def test_nothing_can_be_changed(name, value):
    made = Ours(1, 2)
    with pytest.raises(AttributeError):
        setattr(made, name, value)
    with pytest.raises(AttributeError):
        delattr(made, name)
    assert made == Ours(1, 2)


def test_fields_are_inherited_in_order():
    assert Below._fields == (*NAMES, "fifth")
    assert Below(1, 2).fifth == 5
    assert Below(1, 2, 3, 4, 6) == Below(first=1, second=2, third=3, fourth=4, fifth=6)
    with pytest.raises(TypeError):
        Below(1, 2).replace(sixth=6)
