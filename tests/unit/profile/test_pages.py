"""What is drawn from the table: JSON Schema, reference page, TOML text, differences in words."""

from __future__ import annotations

import glob
import json
import os
import tomllib

import jsonschema
import pytest

from jailpy.profile import locate
from jailpy.profile.diff import differences
from jailpy.profile.jsonschema import build
from jailpy.profile.load import load
from jailpy.profile.merge import merge
from jailpy.profile.reference import page
from jailpy.profile.resolve import document_of
from jailpy.profile.schema import KEYS, TABLES
from jailpy.profile.written import to_plain, to_toml

SHIPPED = [*glob.glob(f"{locate.BUILTIN_FOLDER}/*.toml"), *glob.glob(f"{locate.RUNTIME_FOLDER}/*.toml")]
ROOT = os.path.dirname(os.path.dirname(locate.BUILTIN_FOLDER))


def _valid(text):
    return jsonschema.Draft202012Validator(build()).is_valid(tomllib.loads(text))


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(build())
    assert json.loads(json.dumps(build())) == build()


@pytest.mark.parametrize("path", SHIPPED, ids=os.path.basename)
def test_schema_accepts_the_shipped_profiles(path):
    with open(path, encoding="utf-8") as file:
        assert _valid(file.read())


@pytest.mark.parametrize(
    "text",
    [
        "typo = 1",
        "[limits]\ntypo = 1",
        "schema = 2",
        "[limits]\nprocesses = true",
        '[limits]\nprocesses = "8"',
        '[limits]\nmemory = "-1"',
        '[limits]\nmemory = "64MB"',
        "[limits]\nmemory = 0",
        '[limits]\ndisk = "off"',
        '[limits]\nwall = "1x"',
        '[limits]\nwall = ""',
        '[require]\nlayers = ["secomp"]',
        '[environment]\npass = ["A=b"]',
        '[network]\nmode = "HOST"',
        '[filesystem]\nworkdir = "work"',
    ],
)
def test_schema_refuses(text):
    assert not _valid(text)


def test_schema_accepts():
    assert _valid('[limits]\nmemory = "1.5G"\nwall = "1m30s"\ncpu = "off"\n[require]\nlayers = ["!net"]\n')


def test_reference_page_is_up_to_date():
    with open(f"{ROOT}/docs/reference/profile.md", encoding="utf-8") as file:
        assert file.read() == page(), "run: python -m jailpy.profile.reference > docs/reference/profile.md"


def test_reference_page_has_every_key():
    text = page()
    assert [name for name in KEYS if f"| `{name}` |" not in text] == []
    assert [name for name in TABLES if f"## [{name}]" not in text] == []


@pytest.mark.parametrize("name", locate.names(locate.BUILTIN_FOLDER))
def test_written_profile_loads_again(name, write):
    path = write(f"{name}.toml", to_toml(document_of(name)))
    assert load(path).digest == load(name).digest
    assert _valid(to_toml(document_of(name)))
    jsonschema.validate(to_plain(document_of(name)), build())


def test_written_texts_are_escaped(write):
    path = write("odd.toml", 'description = "a\\u001b]52;\\"\\\\ \\u202e \\U000E0001"\n')
    text = to_toml(document_of(path))
    assert text.replace("\n", "").isprintable()
    assert document_of(write("again.toml", text))["description"] == document_of(path)["description"]


def test_no_difference():
    assert differences(document_of("strict"), document_of("strict")) == []


def test_difference_in_words():
    found = differences(document_of("strict"), document_of("observe"))
    assert ("looser", "require.layers", "landlock is no longer required") in found
    assert ("looser", "limits.memory", "256M -> 1G, more") in found
    assert ("looser", "seccomp.violation", "errno -> record") in found


def test_difference_has_two_sides():
    there = differences(document_of("strict"), document_of("plugin"))
    back = differences(document_of("plugin"), document_of("strict"))
    opposite = {"looser": "tighter", "tighter": "looser", "different": "different"}
    assert sorted((opposite[way], key) for way, key, _ in there) == sorted((way, key) for way, key, _ in back)
    assert ("looser", "limits.wall", "10s -> off, no limit any more") in there
    assert ("tighter", "limits.wall", "off -> 10s, a limit where there was none") in back


def test_nothing_said_is_strict():
    assert differences(merge([]).document, document_of("strict")) == []
