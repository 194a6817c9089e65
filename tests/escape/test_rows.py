"""Every row of the list of attacks is answered: by a program, by tests from outside, or by a reason that the user can read."""

from __future__ import annotations

import ast
import os
import re
import tomllib

import pytest

from jailpy.services.escapes.header import parse, programs

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SIZES = {"A": 20, "B": 20, "C": 20, "D": 23, "E": 18, "F": 12}
HEADERS = programs()
with open(f"{HERE}/rows.toml", "rb") as file:
    ROWS = tomllib.load(file)


def test_the_list_is_whole():
    assert list(ROWS) == [f"{letter}{number}" for letter, size in SIZES.items() for number in range(1, size + 1)]


def test_every_row_is_answered_in_one_way():
    by_programs = {header.row for header in HEADERS.values()}
    answers = {row: [row in by_programs, "tests" in found, "reason" in found].count(True) for row, found in ROWS.items()}
    assert {row: count for row, count in answers.items() if count != 1} == {}
    assert by_programs <= set(ROWS)


def test_a_program_has_the_name_of_its_row():
    assert [name for name, header in HEADERS.items() if f"{header.row[0].lower()}{int(header.row[1:]):02}_" != name[:4]] == []


@pytest.mark.parametrize("row", [row for row, found in ROWS.items() if "tests" in found])
def test_the_tests_of_a_row_exist(row):
    for test in ROWS[row]["tests"]:
        path, _, name = test.partition("::")
        with open(f"{ROOT}/{path}", encoding="utf-8") as file:
            names = {node.name for node in ast.walk(ast.parse(file.read())) if isinstance(node, ast.FunctionDef)}
        assert name.rpartition("::")[2] in names, test


def test_what_cannot_apply_is_told_to_users_with_the_reason():
    with open(f"{ROOT}/docs/explanation/threat-model.md", encoding="utf-8") as file:
        told = re.findall(r"^\| ([A-F]\d+): (.+?) \| (.+) \|$", file.read(), re.MULTILINE)
    assert told == [(row, found["what"], found["reason"]) for row, found in ROWS.items() if "reason" in found]


def test_a_bad_header_is_noticed():
    with pytest.raises(ValueError, match="endings"):
        parse('# row = "A1"\n# boundary = ""\n# endings = "ok"\n# layers = []\n# control = "outside"\n', "#")
    with pytest.raises(ValueError, match="nowhere"):
        parse('# row = "A1"\n# boundary = ""\n# ending = "ok"\n# layers = []\n# control = "nowhere"\n', "#")


def test_a_program_is_left_out_where_the_architecture_has_nothing_to_attack():
    assert {*programs("x86_64")} == {*HEADERS}
    assert {*HEADERS} - {*programs("aarch64")} == {"a04_int_80.c", "a05_x32.py"}
