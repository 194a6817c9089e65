"""Grading from Python: the public names, lazily, and what they do."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

import jailpy
from jailpy import grading
from tests.grading.conftest import write

GOOD = "print(sum(map(int, input().split())))\n"


def test_names_are_loaded_lazily():
    code = (
        "import sys, jailpy\n"
        "print('jailpy.grading' in sys.modules)\n"
        "jailpy.grading\n"
        "print('msgspec' in sys.modules)\n"
        "jailpy.grading.Verdict\n"
        "print('msgspec' in sys.modules, 'yaml' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\nFalse\nTrue False\n"


def test_every_name_is_there():
    for name in dir(grading):
        getattr(grading, name)
    assert {"Problem", "Judge", "grade", "read", "Verdict"} <= set(dir(grading))
    assert "grading" in dir(jailpy)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = grading.nothing


def test_one_submission(sums, tmp_path):
    write(tmp_path, {"a.py": GOOD})
    problem = grading.Problem.load(sums)
    assert problem.judge(tmp_path / "a.py").verdict == grading.Verdict.AC
    submission = grading.Submission(name="b", files=(grading.SourceFile(path="b.py", content=b"print(7)\n"),))
    result = problem.judge(submission, all_tests=True)
    assert [test.verdict.value for test in result.tests] == ["WA"] * 3
    assert grading.explain_submission(result).startswith("Test 0: Your program ran to its end")


def test_one_that_is_refused(sums, tmp_path):
    write(tmp_path, {"a.py": ""})
    with pytest.raises(grading.RefusedError, match="it is empty"):
        grading.Problem.load(sums).judge(tmp_path / "a.py")


@pytest.mark.parametrize(
    "options", [{"jobs": 0}, {"memory": 10}, {"memory": "64M"}, {"time_limit": 0}, {"time_limit": 1e9}, {"rejudge_near": 2}]
)
def test_options_that_no_run_could_have(options):
    with pytest.raises(jailpy.UsageError, match=f"^option {next(iter(options))}: expected"):
        grading.Options(**options)


def test_a_problem_that_cannot_be_read(tmp_path, monkeypatch):
    def refused(folder):
        raise PermissionError(errno.EACCES, "Permission denied", folder)

    monkeypatch.setattr(os, "listdir", refused)
    with pytest.raises(jailpy.ProblemError, match=f"^{tmp_path}: Permission denied$"):
        grading.Problem.load(tmp_path)


def test_one_path_and_one_format_are_a_list_of_one(sums, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"a.py": GOOD})
    problem = grading.Problem.load(sums)
    found = grading.grade(problem, "a.py", "out", formats="json")
    assert [entry.name for entry in found.submissions] == ["a.py"]
    with pytest.raises(jailpy.UsageError, match="--format: pdf: there is none of this name"):
        grading.grade(problem, ["a.py"], "out", formats=("json", "pdf"))


def test_many_with_reports(sums, tmp_path):
    write(tmp_path, {"a.py": GOOD, "b.py": "print(7)\n", "c.py": ""})
    paths = [tmp_path / name for name in ("a.py", "b.py", "c.py")]
    found = grading.grade(grading.Problem.load(sums), paths, tmp_path / "out", formats=("html",))
    assert [entry.verdict.value for entry in found.submissions] == ["AC", "WA", "CE"]
    assert found.problem.limits.memory_bytes
    assert (tmp_path / "out" / "report.html").exists()
    assert not (tmp_path / "out" / "report.json").exists()
