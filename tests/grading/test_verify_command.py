"""`jailpy grade --verify`: the table, what is not as promised, the exit status, the report."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.grading.conftest import write
from tests.grading.packages import ECHO, PACKAGES, SPIN


def verify(jailpy, folder, *words):
    argv = [jailpy, "grade", str(folder), "--verify", "-q", "--report", str(folder.parent / "out"), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    path = folder.parent / "out" / "report.json"
    found = json.loads(path.read_text()) if path.exists() else {"submissions": []}
    return done, {entry["name"]: entry for entry in found["submissions"]}


def test_a_package_that_keeps_its_promises(jailpy, tmp_path):
    done, found = verify(jailpy, write(tmp_path / "p", PACKAGES["groups"]()))
    assert done.returncode == 0, done.stderr
    assert "5 of 5 as promised" in done.stderr
    assert found["accepted/echo.py"]["score"] == 100
    assert found["wrong_answer/silent.py"]["expected"] == ["WA", "PE"]


def test_broken_promises_are_named_and_fail(jailpy, tmp_path):
    files = {
        **PACKAGES["passing"](),
        "submissions/accepted/wrong.py": "print(0)\n",
        "submissions/time_limit_exceeded/fast.py": ECHO,
        "submissions/wrong_answer/odd.py": "print(\n",
    }
    done, found = verify(jailpy, write(tmp_path / "p", files), "--time-limit", "0.5")
    assert done.returncode == 1
    for line in (
        "not as promised: accepted/wrong.py: WA, expected AC",
        "not as promised: time_limit_exceeded/fast.py: AC, expected TLE or WTLE or ITLE",
        "not as promised: wrong_answer/odd.py: was not run: compile error",
    ):
        assert line in done.stderr
    assert found["accepted/echo.py"]["broken"] == []


def test_times_within_the_margins_are_a_warning(jailpy, tmp_path):
    spend = "import time\nwhile time.process_time() < {}: pass\nprint(input())\n"
    files = {
        **PACKAGES["passing"](),
        ".timelimit": "1",
        "submissions/accepted/slow.py": spend.format(0.5),
        "submissions/time_limit_exceeded/nearly.py": spend.format(1.3),
    }
    done, _ = verify(jailpy, write(tmp_path / "p", files))
    assert "warning: accepted/slow.py: took 0.5" in done.stderr
    assert "warning: time_limit_exceeded/nearly.py: took 1.3" in done.stderr
    assert "warning: time_limit_exceeded/spin.py" not in done.stderr
    assert "warning: accepted/echo.py" not in done.stderr
    assert done.returncode == 0, done.stderr


def test_promises_about_tests_are_looked_at_test_by_test(jailpy, tmp_path):
    """A submission that fails the first test in one way and a later one in another, as submissions.yaml says."""
    files = {
        "problem.yaml": "problem_format_version: 2025-09\nname: Echo\nuuid: 5b0d3f4e-6c1a-4c55-9d44-3c0d4f0f8a11\nlimits: {time_limit: 0.5}\n",
        **{f"data/secret/{number}.{kind}": f"{number}\n" for number in (1, 2) for kind in ("in", "ans")},
        "submissions/accepted/echo.py": ECHO,
        "submissions/mixed/both.py": f"if input() == '2':\n    {SPIN}else:\n    print(0)\n",
        "submissions/submissions.yaml": "mixed: {permitted: [WA, TLE], required: [TLE]}\n",
    }
    done, found = verify(jailpy, write(tmp_path / "p", files))
    assert done.returncode == 0, done.stderr
    assert [test["verdict"] for test in found["mixed/both.py"]["tests"]] == ["WA", "TLE"]


@pytest.mark.parametrize(
    ("files", "words", "said"),
    [
        ({"1.in": "1", "1.ans": "1"}, [], "there is no submission to verify the problem with"),
        ({"1.in": "1", "1.ans": "1"}, ["a.py"], "option --verify: judges the problem's own submissions"),
    ],
)
def test_wrong_use(jailpy, tmp_path, files, words, said):
    done, _ = verify(jailpy, write(tmp_path / "p", files), *words)
    assert done.returncode == 2
    assert said in done.stderr
