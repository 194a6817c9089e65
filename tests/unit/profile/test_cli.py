"""`jailpy profile`: words, JSON and exit statuses."""

from __future__ import annotations

import json
import tomllib

import pytest
from click.testing import CliRunner

from jailpy.cli.profile import profile
from jailpy.errors import ProfileError


def run(*arguments):
    return CliRunner().invoke(profile, arguments, catch_exceptions=False)


def test_list(own):
    own("mine", 'description = "My own."\n')
    own("broken", "typo = 1\n")
    done = run("list")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert any(line.startswith("strict") and "built-in" in line for line in lines)
    assert any(line.startswith("mine") and "My own." in line for line in lines)
    assert any(line.startswith("broken") and "cannot be used" in line for line in lines)
    rows = json.loads(run("list", "--json").stdout)
    assert {"name": "mine", "description": "My own."}.items() <= rows[-1].items()


def test_list_escapes(own):
    own("mine", 'description = "a\\u001b]52;b"\n')
    assert r"a\x1b]52;b" in run("list").stdout


def test_show(write):
    done = run("show", "build")
    assert tomllib.loads(done.stdout)["limits"]["memory"] == "2G"
    assert json.loads(run("show", "build", "--json").stdout)["limits"]["memory"] == "2G"
    path = write("copy.toml", done.stdout)
    assert run("diff", "build", path).exit_code == 0


def test_show_warns_of_a_file_here(write):
    write("strict.toml", "")
    done = run("show", "strict")
    assert "warning: profile strict: ./strict.toml is not used" in done.stderr
    assert "warning" not in done.stdout


def test_show_unknown():
    with pytest.raises(ProfileError, match="did you mean strict"):
        run("show", "strikt")


def test_check(write):
    good, bad = write("good.toml", ""), write("bad.toml", "typo = 1\n[limits]\nwall = 0\n")
    assert run("check", good).exit_code == 0
    done = run("check", good, bad, "./nothere.toml")
    assert done.exit_code == 1
    assert "bad.toml:1: typo: unknown key" in done.stderr
    assert "bad.toml:3: limits.wall: expected a duration" in done.stderr
    assert "nothere.toml: cannot be opened" in done.stderr
    assert "good.toml: ok" in done.stdout


def test_check_takes_a_bare_name_for_a_file(write):
    write("strict", "typo = 1\n")
    assert run("check", "strict").exit_code == 1


def test_schema():
    assert json.loads(run("schema").stdout)["$schema"].endswith("2020-12/schema")


def test_diff():
    assert run("diff", "strict", "strict").exit_code == 0
    done = run("diff", "strict", "build")
    assert done.exit_code == 1
    assert "looser    limits.memory      256M -> 2G, more" in done.stdout
    rows = json.loads(run("diff", "build", "strict", "--json").stdout)
    assert {row["way"] for row in rows} == {"tighter"}


def test_diff_sees_what_a_preset_does(write):
    path = write("java.toml", 'extends = ["strict"]\nruntime = ["java"]\n')
    done = run("diff", "strict", path)
    assert "32 -> 64, more" in done.stdout
    assert "java is a preset in use" in done.stdout


@pytest.mark.parametrize("arguments", [("check",), ("diff", "strict"), ("show",), ("nothere",), ("list", "--no")])
def test_usage(arguments):
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("verb", ["list", "show", "check", "schema", "diff"])
def test_help_has_an_example(verb):
    assert f"jailpy profile {verb}" in run(verb, "--help").stdout
