"""Toolchains as data: the file itself, which language files speak, where a program begins, how commands are filled in."""

from __future__ import annotations

import os
import tomllib

import pytest

from jailpy.errors import HostError, UsageError
from jailpy.services import languages
from jailpy.services.languages import Names, detect, main_file

KNOWN = languages.load()


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"a.py": b""}, "python3"),
        ({"a.C": b""}, "cpp"),
        ({"a.c": b"", "b.c": b"", "c.py": b""}, "c"),
        ({"a.h": b"", "a.cpp": b""}, "cpp"),
        ({"run": b"#!/usr/bin/env python3.12\n"}, "python3"),
        ({"run": b"#!/bin/bash\n"}, "bash"),
        ({"run": b"#!/bin/sh -e\n"}, "bash"),
        ({"run": b"#!/usr/bin/node\n"}, "javascript"),
        ({"run": b"# python3\n"}, None),
        ({"a.py": b"#!/usr/bin/perl\n"}, "python3"),
        ({"notes.txt": b"#!/bin/sh\n"}, None),
        ({"a.py": b"", "a.c": b""}, "python3"),
        ({}, None),
    ],
)
def test_the_language_that_most_files_speak(files, code):
    found = detect(files, KNOWN)
    assert (found.code if found else None) == code


@pytest.mark.parametrize(
    ("code", "files", "main"),
    [
        ("python3", {"x.py": b""}, "x.py"),
        ("python3", {"a.py": b"", "main.py": b""}, "main.py"),
        ("python3", {"a.py": b"", "__main__.py": b""}, "__main__.py"),
        ("python3", {"b.py": b"", "a.py": b"", "z.txt": b""}, "a.py"),
        ("java", {"A.java": b"", "B.java": b"public static  void main(String[] a)"}, "B.java"),
        ("bash", {"run": b"#!/bin/sh\n"}, "run"),
        ("c", {"a.h": b""}, ""),
    ],
)
def test_where_a_program_begins(code, files, main):
    assert main_file(KNOWN[code], files) == main


def test_commands_are_filled_in():
    names = Names(files=("a b.kt", "-c.kt"), main="dir/hello.kt", memory_mib=64)
    words = KNOWN["kotlin"].command(
        ("x", "{files}", "{main}", "{mainclass}", "{Mainclass}Kt", "-m{memory_mib}", "{odd}"), names
    )
    assert words == ["x", "a b.kt", "-c.kt", "dir/hello.kt", "dir.hello", "dir.HelloKt", "-m64", "{odd}"]


def test_every_table_is_whole():
    with open(os.path.join(os.path.dirname(languages.__file__), "languages.toml"), "rb") as file:
        tables = tomllib.load(file)
    assert len(tables) == 15
    suffixes = [suffix for language in KNOWN.values() for suffix in language.suffixes]
    assert len(suffixes) == len(set(suffixes))
    for code, language in KNOWN.items():
        assert language.code == code
        assert language.package
        assert (language.keeps == "binary") is any("{binary}" in word for word in language.run), code


@pytest.mark.parametrize(
    "text", ["[x]\nname = 1\n", "x = 1\n", "[x\n", "[x]\nname='x'\nsuffixes=['.x']\nrun=['x']\npackage='x'\nshebang='('\n"]
)
def test_a_file_of_ones_own_that_is_wrong(monkeypatch, tmp_path, text):
    (tmp_path / "jailpy").mkdir()
    (tmp_path / "jailpy" / "languages.toml").write_text(text)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"languages\.toml: "):
        languages.load()


def test_a_tool_is_looked_for_where_the_jail_looks(monkeypatch, tmp_path):
    tool = tmp_path / "no-such-tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert languages.find_tool("no-such-tool") == ""
    assert languages.find_tool("sh") in ("/usr/bin/sh", "/bin/sh")
    language = languages.Language(name="Odd", suffixes=(".o",), run=("no-such-tool",), package="odd")
    with pytest.raises(HostError, match="Odd: no no-such-tool here: apt install odd"):
        language.require()
