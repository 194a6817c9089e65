"""DMOJ's init.yml: listed tests, batches and their dependencies, pretests, archives, checkers; and what is wrong in one."""

from __future__ import annotations

import zipfile

import pytest

from jailpy.errors import ProblemError
from jailpy.services.grading.compare import compare, settings
from jailpy.services.grading.problem import Problem
from jailpy.services.grading.results import Verdict
from tests.grading.conftest import submission, write

FILES = {f"{name}.{kind}": f"{name}\n" for name in "1234567" for kind in ("in", "out")}
INIT = """
test_cases:
- {in: 1.in, out: 1.out, points: 0}
- {in: 2.in, out: 2.out, points: 10}
- points: 20
  batched:
  - {in: 3.in, out: 3.out}
  - {in: 4.in, out: 4.out}
- points: 30
  batched:
  - {in: 5.in, out: 5.out}
- points: 40
  batched:
  - {in: 6.in, out: 6.out}
  dependencies: [1, 2]
"""


def all_but(*wrong):
    return f"n = input()\nprint('no' if n in {wrong!r} else n)\n"


@pytest.mark.parametrize(
    ("wrong", "verdict", "score", "ran"),
    [
        ((), "AC", 100, ["1", "2", "batch1/3", "batch1/4", "batch2/5", "batch3/6"]),
        (("2",), "WA", 90, ["1", "2", "batch1/3", "batch1/4", "batch2/5", "batch3/6"]),
        (("4",), "WA", 40, ["1", "2", "batch1/3", "batch1/4", "batch2/5"]),
        (("3",), "WA", 40, ["1", "2", "batch1/3", "batch2/5"]),
        (("1",), "WA", 0, ["1"]),
        (("6",), "WA", 60, ["1", "2", "batch1/3", "batch1/4", "batch2/5", "batch3/6"]),
    ],
)
def test_points_batches_and_what_depends_on_them(judge_of, tmp_path, wrong, verdict, score, ran):
    judge = judge_of(write(tmp_path / "p", {"init.yml": INIT, **FILES}))
    found = judge.judge(submission("a.py", all_but(*wrong)))
    assert (found.verdict, found.score, found.max_score) == (verdict, score, 100)
    assert [test.name for test in found.tests] == ran


def test_an_archive_is_read(judge_of, tmp_path):
    folder = write(tmp_path / "p", {"init.yml": "archive: data.zip\n" + INIT})
    with zipfile.ZipFile(folder / "data.zip", "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    judge = judge_of(folder)
    assert judge.judge(submission("a.py", all_but())).score == 100
    assert Problem.load(folder).digest == judge.problem.digest
    plain = Problem.load(write(tmp_path / "q", {"init.yml": INIT, **FILES}))
    assert plain.digest == Problem.load(plain.folder).digest


@pytest.mark.parametrize(
    ("checker", "output", "answer", "accepted"),
    [
        ("standard", b"1  2\n\n3\n", b"1 2\n3", True),
        ("standard", b"1 2 3", b"1 2\n3", False),
        ("standard", b"a", b"A", False),
        ("identical", b"1 2\n", b"1 2\n", True),
        ("identical", b"1  2\n", b"1 2\n", False),
        ("easy", b"b A", b"ab", True),
        ("easy", b"bb", b"ab", False),
        ("unordered", b"2 1", b"1\n2", True),
        ("unordered", b"2 2", b"1\n2", False),
        ("sorted", b"b c\na\n", b"a\nb c", True),
        ("sorted", b"c b\na\n", b"a\nb c", False),
        ("{name: sorted, args: {split_on: whitespace}}", b"c b\na\n", b"a\nb c", True),
        ("floats", b"1.0000001 x", b"1 x", True),
        ("floats", b"1.00001", b"1", False),
        ("floats", b"X", b"x", False),
        ("{name: floats, args: {precision: 2}}", b"1.001", b"1", True),
        ("{name: floats, args: {precision: 2, error_mode: absolute}}", b"1000.5", b"1000", False),
        ("floatsrel", b"1000.0005", b"1000", True),
        ("floatsabs", b"1000.0005", b"1000", False),
    ],
)
def test_built_in_checkers(tmp_path, checker, output, answer, accepted):
    problem = Problem.load(write(tmp_path / "p", {"init.yml": f"checker: {checker}\n{INIT}", **FILES}))
    assert (compare(output, answer, settings(problem.checkers[0].flags)) is None) is accepted


def test_the_digest_is_of_every_file_of_a_checker(tmp_path):
    checker = "checker: {name: bridged, args: {files: [check.c, more.h]}}\n"
    files = {"init.yml": checker + INIT, "check.c": '#include "more.h"\n', **FILES}
    digests = [Problem.load(write(tmp_path / more, {**files, "more.h": more})).digest for more in ("one", "two")]
    assert digests[0] != digests[1]
    assert digests[0] == Problem.load(tmp_path / "one").digest


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("checker: {name: bridged, args: {files: [../outside.c]}}", "checker.args.files: ../outside.c: no such file"),
        ("checker: {name: bridged, args: {files: [check.c, ../outside.c]}}", "checker.args.files: ../outside.c: no such file"),
        ("checker: {name: bridged, args: {files: []}}", "checker.args.files: expected a file"),
        ("checker: {name: bridged}", "checker: files: is missing"),
        (
            "checker: {name: floats, args: {precision: -400}}",
            "checker.args.precision: expected a number of at least 0, got -400",
        ),
        ("archive: ../outside.zip", "archive: ../outside.zip: ../outside.zip: no such file"),
    ],
)
def test_a_problem_names_only_files_of_its_own(tmp_path, given, why):
    with zipfile.ZipFile(tmp_path / "outside.zip", "w") as archive:
        archive.writestr("1.in", "")
    write(tmp_path, {"outside.c": "", "p/check.c": "", "p/init.yml": f"{given}\n{INIT}"})
    with pytest.raises(ProblemError) as caught:
        Problem.load(tmp_path / "p")
    assert any(problem.endswith(why) for problem in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(
    ("kind", "status", "verdict", "score"),
    [
        ("default", 0, "AC", 100),
        ("default", 1, "WA", 0),
        ("default", 2, "JE", None),
        ("testlib", 0, "AC", 100),
        ("testlib", 1, "WA", 0),
        ("testlib", 2, "PE", 0),
        ("testlib", 3, "JE", None),
    ],
)
def test_bridged_checkers_answer_by_their_status(judge_of, need_tool, tmp_path, kind, status, verdict, score):
    need_tool("gcc")
    checker = f'#include "helper.h"\nint main(int count, char **args) {{ return count == 4 && fopen(args[2], "r") ? {status} : 9; }}\n'
    init = f"checker: {{name: bridged, args: {{files: [check.c, helper.h], type: {kind}, lang: C}}}}\n{INIT}"
    judge = judge_of(write(tmp_path / "p", {"init.yml": init, "check.c": checker, "helper.h": "#include <stdio.h>\n", **FILES}))
    found = judge.judge(submission("a.py", all_but()))
    assert (found.verdict, found.score) == (verdict, score)


def test_a_testlib_checker_gives_points(judge_of, need_tool, tmp_path):
    need_tool("gcc")
    checker = '#include <stdio.h>\nint main(int n, char **a) { fprintf(stderr, "points 2.5 of some"); return 7; }\n'
    init = "checker: {name: bridged, args: {files: check.c, type: testlib}}\npoints: 10\ntest_cases:\n"
    init += "- {in: 1.in, out: 1.out}\n- {in: 2.in, out: 2.out, points: 1}\n"
    judge = judge_of(write(tmp_path / "p", {"init.yml": init, "check.c": checker, **FILES}))
    found = judge.judge(submission("a.py", all_but()))
    assert (found.verdict, [test.score for test in found.tests], found.score) == ("AC", [2.5, 1.0], 3.5)


def test_everything_wrong_is_told_at_once(tmp_path):
    init = """checker: {name: magic}
interactive: {files: a.cpp}
test_cases:
- {in: 1.in, out: 1.out, points: -1}
- {in: gone.in, out: 2.out, points: 10}
- points: 20
  batched:
  - {out: 3.out}
  dependencies: [4]
- {in: ../outside, out: 1.out, extra: 1}
nonsense: 1
"""
    folder = write(tmp_path / "p", {"init.yml": init, **FILES})
    write(tmp_path, {"outside": "x"})
    with pytest.raises(ProblemError) as caught:
        Problem.load(folder)
    said = [line.removeprefix(f"{folder}/init.yml:") for line in caught.value.problems]
    for expected in (
        "1: checker: magic: expected one of",
        "2: interactive: cannot be judged here",
        "4: test_cases[1].points: expected a number of at least 0",
        "5: test_cases[2].in: gone.in: no such file",
        "8: in: is missing",
        "9: test_cases[3].dependencies: expected numbers of earlier batches",
        "10: test_cases[4].in: ../outside: no such file",
        "10: test_cases[4].extra: unknown key",
        "11: nonsense: unknown key",
    ):
        assert any(line.startswith(expected) for line in said), (expected, said)
    assert len(said) == 9, said


@pytest.mark.parametrize("content", [b"no zip", b""])
def test_a_broken_archive_is_named(tmp_path, content):
    folder = write(tmp_path / "p", {"init.yml": "archive: data.zip\n" + INIT, "data.zip": content})
    with pytest.raises(ProblemError) as caught:
        Problem.load(folder)
    assert any("archive: data.zip: " in line for line in caught.value.problems)


def test_a_test_without_output_is_the_judges_fault(judge_of, tmp_path):
    judge = judge_of(write(tmp_path / "p", {"init.yml": "test_cases:\n- {in: 1.in}\n- {in: 2.in, out: 2.out}\n", **FILES}))
    found = judge.judge(submission("a.py", all_but()))
    assert [test.verdict for test in found.tests] == [Verdict.JE, Verdict.AC]
