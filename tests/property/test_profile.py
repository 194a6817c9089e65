"""Laws of profiles: merging, overrides, and that no text makes anything but a Profile or a ProfileError."""

from __future__ import annotations

import contextlib
import os
import tempfile
import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jailpy.errors import ProfileError
from jailpy.profile.compare import LOOSER, changes
from jailpy.profile.document import parse
from jailpy.profile.lines import TooDeepError, find_lines
from jailpy.profile.load import load
from jailpy.profile.merge import Override, Part, merge
from jailpy.profile.model import Profile
from jailpy.profile.overrides import parse_set
from jailpy.profile.schema import KEYS, NOT_SETTINGS, defaults
from jailpy.profile.written import to_toml

PATHS = st.sampled_from(["/a", "/b", "/c/d", "rel"])
SETTINGS = {
    "limits.wall": st.floats(0.001, 1e6) | st.none(),
    "limits.memory": st.integers(1 << 20, 1 << 40) | st.none(),
    "limits.processes": st.integers(1, 1000) | st.none(),
    "filesystem.exec": st.sampled_from(["none", "system", "any"]),
    "network.mode": st.sampled_from(["none", "loopback", "host"]),
    "filesystem.ro": st.lists(PATHS, unique=True),
    "seccomp.allow": st.lists(st.sampled_from(["ptrace", "@unix", "read"]), unique=True),
    "require.layers": st.lists(st.sampled_from(["net", "pid", "seccomp"]), unique=True),
    "environment.set": st.dictionaries(st.sampled_from(["A", "B", "C"]), st.text("xyz")),
}
DOCUMENTS = st.fixed_dictionaries({}, optional=SETTINGS)


@pytest.fixture(autouse=True, scope="module")
def private():
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(XDG_CONFIG_HOME=f"{folder}/config", XDG_CACHE_HOME=folder)
        yield
    os.environ.clear()
    os.environ.update(before)


def part(values, label="part"):
    return Part(label, values, {})


def merged(*documents):
    return merge([part(document) for document in documents]).document


@given(DOCUMENTS, DOCUMENTS)
def test_a_later_scalar_wins(one, two):
    both = merged(one, two)
    for key, value in two.items():
        if not isinstance(value, list | dict):
            assert both[key] == value


@given(DOCUMENTS, DOCUMENTS)
def test_lists_are_unions_in_order(one, two):
    both = merged(one, two)
    for key in ("filesystem.ro", "seccomp.allow", "require.layers"):
        if key in one or key in two:
            assert both[key] == list(dict.fromkeys([*one.get(key, []), *two.get(key, [])]))


@given(DOCUMENTS)
def test_merging_twice_is_merging_once(one):
    assert merged(one, one) == merged(one)


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_merging_is_associative(one, two, three):
    pair = {key: value for key, value in merged(one, two).items() if key in one or key in two}
    assert merged(pair, three) == merged(one, two, three)


@given(DOCUMENTS, st.data())
def test_removing_removes(one, data):
    entries = one.get("filesystem.ro") or ["/a"]
    gone = data.draw(st.sampled_from(entries))
    both = merged({**one, "filesystem.ro": entries}, {"filesystem.ro": [f"!{gone}"]})
    assert both["filesystem.ro"] == [entry for entry in entries if entry != gone]


@given(DOCUMENTS)
def test_inputs_are_not_changed(one):
    before = repr(one)
    merged(one, one)
    assert repr(one) == before
    assert merged() == defaults()


@given(DOCUMENTS, DOCUMENTS)
def test_looser_one_way_is_tighter_the_other(one, two):
    there, back = changes(merged(one), merged(two)), changes(merged(two), merged(one))
    looser = sorted((each.key, each.entry) for each in there if each.way == LOOSER)
    assert looser == sorted((each.key, each.entry) for each in back if each.way == "tighter")


@given(DOCUMENTS)
def test_text_reads_back(one):
    document = merged(one)
    problems: list[str] = []
    read, _ = parse(to_toml({**document, "name": "x"}), "x.toml", "x", problems)
    assert problems == []
    assert merged(read.values) == document


@given(
    st.floats(0.001, 10), st.integers(1 << 20, 256 << 20), st.integers(1, 32), st.sampled_from(["none", "system"]),
)  # fmt: skip
def test_tightening_is_never_loosened(wall, memory, processes, what):
    profile = load(
        "strict",
        [
            Override("limits.wall", wall, "--wall"),
            Override("limits.memory", memory, "--memory"),
            Override("limits.processes", processes, "--processes"),
            Override("filesystem.exec", what, "--set"),
        ],
    )
    assert profile.loosened == ()


@given(st.integers((256 << 20) + 1, 1 << 50))
def test_more_memory_is_always_loosened(memory):
    (line,) = load("strict", [Override("limits.memory", memory, "--memory X")]).loosened
    assert line.startswith("limits.memory: 256M -> ")
    assert line.endswith(" (--memory X)")


def _load_bytes(data):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/garbage.toml"
        with open(path, "wb") as file:
            file.write(data)
        try:
            return load(path)
        except ProfileError as error:
            return error


def _safe(result):
    if isinstance(result, ProfileError):
        assert all(words.isprintable() for words in (result.message, *result.problems))
    else:
        assert isinstance(result, Profile)


MARKS = ("[limits]", "[", "]", "{", "}", "=", " = ", "\n", '"', "'", '"""', "\\", "#", ",", ".")
WORDS = ("1", "-1", "nan", "true", '"64M"', '"!x"', "1979-05-27", "\x00", "\u202e", "extends", "é")
LEAVES = tuple(key.rpartition(".")[2] for key in KEYS)
TOML_BITS = st.lists(st.sampled_from([*KEYS, *LEAVES, *MARKS, *WORDS]), max_size=40).map("".join)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_garbage_is_refused_or_read(data):
    _safe(_load_bytes(data))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
@given(TOML_BITS)
def test_garbage_of_toml_is_refused_or_read(text):
    _safe(_load_bytes(text.encode()))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.sampled_from([*KEYS]) | st.text(), VALUES)
def test_any_override_is_refused_or_taken(key, value):
    try:
        result = load("strict", [Override(key, value, "--set x")])
    except ProfileError as error:
        result = error
    _safe(result)
    assert isinstance(result, ProfileError) or key in KEYS.keys() - set(NOT_SETTINGS)


@settings(deadline=None)
@given(st.text())
def test_any_set_is_refused_or_read(text):
    with contextlib.suppress(ProfileError):
        assert isinstance(parse_set(text), Override)


@given(TOML_BITS | st.text())
def test_line_scan_ends_within_the_text(text):
    try:
        found = find_lines(text)
    except TooDeepError as error:
        found = {"": error.line}
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())


@given(st.dictionaries(st.sampled_from("abcdef"), st.text() | st.integers() | st.lists(st.text(), max_size=3)))
def test_line_scan_finds_every_key(values):
    """Written one key to a line, each key is found on its line, whatever the values hold."""
    from jailpy.profile.written import quote

    def literal(value):
        if isinstance(value, list):
            return "[" + ", ".join(quote(entry) for entry in value) + "]"
        return quote(value) if isinstance(value, str) else str(value)

    lines = [f"{key} = {literal(value)} # {index} = [" for index, (key, value) in enumerate(values.items())]
    text = "\n".join(lines)
    with contextlib.suppress(tomllib.TOMLDecodeError):
        assert set(tomllib.loads(text)) == set(values)
    found = find_lines(text)
    assert [found[key] for key in values] == list(range(1, len(values) + 1))
