"""Kattis packages: 2025-09's groups, scores, arguments, files, includes and promises; output validators; what is malformed."""

from __future__ import annotations

import contextlib
import os

import pytest

from jailpy.errors import ProblemError
from jailpy.services.grading import compiling, examples, runs, timelimit
from jailpy.services.grading.explain import explain
from jailpy.services.grading.problem import Problem
from jailpy.services.grading.results import Verdict
from jailpy.services.grading.verify import Verifying
from tests.grading.conftest import submission, write
from tests.grading.packages import C_ECHO, ECHO, PACKAGES, SILENT, SPIN, data

NEW = (
    "problem_format_version: 2025-09\nname: Echo\nuuid: 5b0d3f4e-6c1a-4c55-9d44-3c0d4f0f8a11\nlicense: cc0\n"
    "rights_owner: Nobody\n"
)
LIMIT = "limits: {time_limit: 1, memory: 256}\n"
ONE = data(sample_1=("1\n", "1\n"), secret_1=("2\n", "2\n"))


def new(tmp_path, settings=LIMIT, files=None, name="p"):
    return write(tmp_path / name, {"problem.yaml": NEW + settings, **(ONE if files is None else files)})


def verdicts(found):
    return {test.name: test.verdict.value for test in found.tests}


# groups and scores

SCORED = {
    **data(
        sample_1=("0\n", "0\n"),
        secret_a_1=("1\n", "1\n"),
        secret_a_2=("2\n", "2\n"),
        secret_b_1=("10\n", "10\n"),
        secret_b_2=("20\n", "20\n"),
        secret_c_1=("100\n", "100\n"),
    ),
    "data/secret/a/test_group.yaml": "max_score: 30\n",
    "data/secret/b/test_group.yaml": "max_score: 50\nscore_aggregation: sum\n",
    "data/secret/c/test_group.yaml": "max_score: 20\nscore_aggregation: min\nrequire_pass: [secret/a, sample]\n",
}


@pytest.mark.parametrize(
    ("wrong", "score", "groups"),
    [
        ((), 100, {"secret/a": 30, "secret/b": 50, "secret/c": 20}),
        (("2",), 50, {"secret/a": 0, "secret/b": 50, "secret/c": 0}),
        (("20",), 75, {"secret/a": 30, "secret/b": 25, "secret/c": 20}),
        (("100",), 80, {"secret/a": 30, "secret/b": 50, "secret/c": 0}),
        (("0",), 80, {"secret/a": 30, "secret/b": 50, "secret/c": 0}),
        (("1", "10", "20", "100"), 0, {"secret/a": 0, "secret/b": 0, "secret/c": 0}),
    ],
)
def test_scores_of_groups(judge_of, tmp_path, wrong, score, groups):
    judge = judge_of(new(tmp_path, "type: scoring\n" + LIMIT, SCORED))
    assert judge.problem.max_score == 100
    found = judge.judge(submission("a.py", f"n = input()\nprint('no' if n in {wrong!r} else n)\n"))
    assert found.score == score
    assert {group.name: group.score for group in found.groups if group.name in groups} == groups
    assert (found.verdict == "AC") is (score == 100)


def validator(score=None, multiplier=None, exit_code=42):
    lines = ["import sys", "folder = sys.argv[3]"]
    lines += [f"open(folder + 'score.txt', 'w').write({score!r})"] if score is not None else []
    lines += [f"open(folder + 'score_multiplier.txt', 'w').write({multiplier!r})"] if multiplier is not None else []
    return "\n".join([*lines, f"sys.exit({exit_code})\n"])


@pytest.mark.parametrize(
    ("options", "group", "score"),
    [
        ({}, "max_score: 10\n", 10),
        ({"multiplier": "0.5"}, "max_score: 10\n", 5),
        ({"score": "3.5"}, "max_score: 10\n", 3.5),
        ({"score": "700"}, "max_score: unbounded\n", 700),
        ({"exit_code": 43}, "max_score: 10\n", 0),
        ({"score": "1e100"}, "max_score: unbounded\n", 1e100),
        ({"score": "1e101"}, "max_score: unbounded\n", None),
        ({"score": "11"}, "max_score: 10\n", None),
        ({"score": "-1"}, "max_score: 10\n", None),
        ({"score": "many"}, "max_score: 10\n", None),
        ({"multiplier": "1.5"}, "max_score: 10\n", None),
        ({"score": "1", "multiplier": "1"}, "max_score: 10\n", None),
        ({"score": "1", "exit_code": 43}, "max_score: 10\n", None),
        ({"multiplier": "1"}, "max_score: unbounded\n", None),
        ({}, "max_score: unbounded\n", None),
        ({"score": "1"}, "max_score: 10\nscore_aggregation: pass-fail\n", None),
    ],
)
def test_scores_of_validators_and_which_are_the_judges_fault(judge_of, tmp_path, options, group, score):
    files = {
        **data(secret_1=("1\n", "")),
        "data/secret/test_group.yaml": group,
        "output_validator/check.py": validator(**options),
    }
    found = judge_of(new(tmp_path, "type: scoring\n" + LIMIT, files)).judge(submission("a.py", ECHO))
    if score is None:
        assert (found.verdict, found.score) == (Verdict.JE, None)
        assert "validator" in found.tests[0].message or "checker" in found.tests[0].message
    else:
        assert (found.verdict, found.score) == (Verdict.AC if options.get("exit_code") != 43 else Verdict.WA, score)


def test_a_score_in_a_pass_fail_problem_is_the_judges_fault(judge_of, tmp_path):
    files = {**ONE, "output_validator/check.py": validator(score="1")}
    assert judge_of(new(tmp_path, files=files)).judge(submission("a.py", ECHO)).verdict == Verdict.JE


# what a test gives to a submission


def test_arguments_and_files(judge_of, tmp_path):
    spy = "import os, sys\nprint(sys.argv[1:], open('word.txt').read() if os.path.exists('word.txt') else None)\n"
    files = {
        **data(sample_1=("", "['x', 'y z'] None\n"), secret_1=("", "['own'] hello\n"), secret_2=("", "['group'] None\n")),
        "data/sample/test_group.yaml": "args: [x, y z]\n",
        "data/secret/test_group.yaml": "args: [group]\n",
        "data/secret/1.yaml": "args: [own]\ndescription: has a file\n",
        "data/secret/1.files/word.txt": "hello",
    }
    judge = judge_of(new(tmp_path, files=files))
    found = judge.judge(submission("a.py", spy))
    assert (found.verdict, len(found.tests)) == (Verdict.AC, 3), found
    look = "print(*[line for line in open('/proc/self/mountinfo') if '/work/word.txt' in line])\n"
    shown = judge_of(judge.problem.folder, all_tests=True).judge(submission("a.py", look))
    assert "/work/word.txt" in shown.tests[1].output.text
    assert "secret" not in shown.tests[1].output.text
    legacy = {
        "problem.yaml": "name: x\n",
        ".timelimit": "1",
        **data(secret_1=("", "a 'b\n")),
        "data/secret/1.args": 'a "\'b"\n',
    }
    echo = submission("a.py", "import sys\nprint(*sys.argv[1:])\n")
    assert judge_of(write(tmp_path / "old", legacy)).judge(echo).verdict == Verdict.AC


def test_included_files_and_constants(judge_of, need_tool, tmp_path):
    need_tool("gcc")
    files = {
        **ONE,
        "include/c/main.c": '#include <stdio.h>\nint answer(int);\nint main(void) { int n; scanf("%d", &n); printf("%d", answer(n) + {{shift}}); }\n',
        "include/default/readme.txt": "for all",
    }
    judge = judge_of(new(tmp_path, "constants: {shift: 3}\n" + LIMIT, files))
    assert judge.judge(submission("answer.c", "int answer(int n) { return n - 3; }\n")).verdict == Verdict.AC
    assert judge.judge(submission("answer.c", "int answer(int n) { return n; }\n")).verdict == Verdict.WA
    assert (
        judge.judge(submission("a.py", "print(input() if open('readme.txt').read() == 'for all' else 0)\n")).verdict
        == Verdict.AC
    )


@pytest.mark.parametrize("name", ["data/secret/1.in", "include/c/a.h", "output_validator/b.py"])
@pytest.mark.parametrize("kind", ["device", "pipe", "file"])
def test_what_is_no_file_is_not_read(tmp_path, name, kind):
    """A link to /dev/zero has no end, a pipe that nobody writes to neither."""
    path = new(tmp_path, LIMIT, {**ONE, "output_validator/v.py": "", "include/c/b.h": "", name: "x"}) / name
    path.unlink()
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("x")
    wanted = pytest.raises(ProblemError, match="regular file") if kind != "file" else contextlib.nullcontext()
    with wanted:
        assert Problem.load(tmp_path / "p").digest


def test_constants_that_name_each_other_do_not_grow(tmp_path):
    constants = {f"a{number}": f"{{{{a{number + 1}}}}}" * 2 for number in range(40)}
    (tmp_path / "main.c").write_text("{{a0}} {{none}} {{x}}")
    assert compiling.read(str(tmp_path / "main.c"), {**constants, "x": "1"}) == {"main.c": b"{{a1}}{{a1}} {{none}} 1"}


def test_a_folder_that_has_the_name_of_an_included_file_is_its_makers_fault(judge_of, need_tool, tmp_path):
    need_tool("gcc")
    judge = judge_of(new(tmp_path, LIMIT, {**ONE, "include/c/judge.h": "#define SHIFT 0\n"}))
    shadowed = judge.judge(submission("a", ("main.c", C_ECHO), ("judge.h/x", "1")))
    assert (shadowed.verdict, "judge.h is a file" in shadowed.message) == (Verdict.CE, True), shadowed
    assert judge.judge(submission("b", ("main.c", C_ECHO), ("judge.h", "#error replaced"))).verdict == Verdict.AC, "control"


def test_languages_and_size_are_limited(judge_of, tmp_path):
    judge = judge_of(new(tmp_path, "languages: [c, python3]\nlimits: {time_limit: 1, code: 1}\n"))
    assert judge.judge(submission("a.sh", "cat\n")).verdict == Verdict.CE
    assert judge.judge(submission("a.py", ECHO)).verdict == Verdict.AC
    assert judge.judge(submission("a.py", ECHO + "#" * 1100)).verdict == Verdict.CE


def test_a_failed_sample_ends_a_pass_fail_problem(judge_of, tmp_path):
    folder = new(tmp_path)
    found = judge_of(folder).judge(submission("a.py", "print(2)\n"))
    assert (found.verdict, verdicts(found)) == (Verdict.WA, {"sample/1": "WA"})
    whole = judge_of(folder, all_tests=True).judge(submission("a.py", "print(2)\n"))
    assert (whole.verdict, verdicts(whole)) == (Verdict.WA, {"sample/1": "WA", "secret/1": "AC"})


# output validators that misbehave: the judge is at fault, and the rest is judged


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("import sys\nsys.exit(0)\n", "exit status 0"),
        ("import sys\nsys.exit(1)\n", "exit status 1"),
        ("import os\nos.abort()\n", "signal 6"),
        ("while True: pass\n", "_limit"),
        ("import time\ntime.sleep(60)\n", "idle_limit"),
        ("while True: print('x' * 65536)\n", "output_limit"),
        ("x = bytearray(1 << 30)\n", "memory_limit"),
        ("import os, sys\nos.mkfifo(sys.argv[3] + 'judgemessage.txt')\nsys.exit(42)\n", None),
        ("import os, sys\nos.symlink('/etc/passwd', sys.argv[3] + 'judgemessage.txt')\nsys.exit(42)\n", None),
        ("import sys\nopen(sys.argv[3] + 'judgemessage.txt', 'wb').write(bytes(range(256)) * 999)\nsys.exit(42)\n", None),
        ("import sys\nopen(sys.argv[3] + 'nextpass.in', 'w').write('1')\nsys.exit(42)\n", "one pass"),
    ],
)
def test_validators_that_misbehave(judge_of, tmp_path, text, word):
    settings = "limits: {time_limit: 1, validation_time: 1, validation_memory: 256, validation_output: 1}\n"
    judge = judge_of(new(tmp_path, settings, {**data(secret_1=("1\n", "")), "output_validator/check.py": text}))
    found = judge.judge(submission("a.py", ECHO))
    if word:
        assert found.verdict == Verdict.JE
        assert word in found.tests[0].message
    else:
        assert found.verdict == Verdict.AC
        assert "root:" not in found.tests[0].message
        assert len(found.tests[0].message) < 10000


def test_a_validator_sees_its_test_and_nothing_else(judge_of, tmp_path):
    spy = (
        "import os, sys\n"
        "seen = [os.path.join(f, n) for top in ('/work', '/judge', '/tmp', '/home', '/root') for f, _, ns in os.walk(top) for n in ns]\n"
        "open(sys.argv[3] + 'judgemessage.txt', 'w').write(' '.join(sorted(seen)))\n"
        "sys.exit(42)\n"
    )
    judge = judge_of(new(tmp_path, files={**ONE, "output_validator/check.py": spy}))
    found = judge.judge(submission("a.py", ECHO))
    assert found.tests[0].message == "/judge/answer.ans /judge/input.in /work/check.py"


@pytest.mark.parametrize("content", ["print(\n", b"\x7fELF nonsense"])
def test_a_validator_that_cannot_be_built_is_named(judge_of, tmp_path, content):
    folder = new(tmp_path, files={**ONE, "output_validator/check.py": content})
    with pytest.raises(ProblemError, match=r"output_validator/check\.py: "):
        judge_of(folder)


def test_a_validator_made_by_a_build_script(judge_of, tmp_path):
    files = {
        **ONE,
        "output_validator/build": '#!/bin/sh\nprintf \'#!/bin/sh\\nread x; [ "$x" = "$(cat $2)" ] && exit 42; exit 43\\n\' > run\nchmod +x run\n',
        "output_validator/notes.txt": "two files: the folder is the program",
    }
    judge = judge_of(new(tmp_path, files=files))
    assert judge.judge(submission("a.py", ECHO)).verdict == Verdict.AC
    assert judge.judge(submission("a.py", SILENT)).verdict == Verdict.WA


@pytest.mark.parametrize("kind", ["", "type: interactive\n"])
def test_a_validator_that_cannot_be_executed(judge_of, tmp_path, kind):
    files = {**ONE, "output_validator/run": "no program", "output_validator/notes.txt": ""}
    found = judge_of(new(tmp_path, kind + LIMIT, files)).judge(submission("a.py", ECHO))
    assert (found.verdict, "cannot be executed" in found.tests[0].message) == (Verdict.JE, True), found


def test_messages_of_a_validator_are_kept_apart(judge_of, tmp_path):
    text = (
        "import sys\nfor n in ('judge', 'team'): open(sys.argv[3] + n + 'message.txt', 'w').write('for ' + n)\nsys.exit(43)\n"
    )
    found = judge_of(new(tmp_path, files={**ONE, "output_validator/check.py": text})).judge(submission("a.py", ECHO))
    assert (found.tests[0].message, found.tests[0].team_message) == ("for judge", "for team")


# interactive


TALK = PACKAGES["interactive"]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("for _ in range(3): print(int(input()) + 1, flush=True)\n", "AC"),
        ("import sys\nfor _ in range(3): print(int(sys.stdin.readline()) + 1)\n", "ITLE"),
        ("print(int(input()) + 1, flush=True)\n", "WA"),
        ("print('x' * 10, flush=True)\nwhile True: pass\n", "WA"),
        ("input()\nraise SystemExit(3)\n", "RTE"),
        ("input()\nwhile True: pass\n", "TLE"),
        ("x = bytearray(1 << 30)\n", "MLE"),
        ("import os\nos.close(1)\nimport time\ntime.sleep(60)\n", "ITLE"),
        ("print('9' * (1 << 22), flush=True)\n", "WA"),
        ("print(int(input()) + 1, end='', flush=True)\nimport time\ntime.sleep(60)\n", "ITLE"),
    ],
)
def test_who_is_to_blame_in_a_conversation(judge_of, tmp_path, text, verdict):
    files = {name: content for name, content in TALK().items() if not name.startswith("submissions")}
    files["problem.yaml"] = files["problem.yaml"].replace("memory: 1024", "memory: 256")
    judge = judge_of(write(tmp_path / "talk", files), time_limit=1.0)
    found = judge.judge(submission("a.py", text))
    assert (found.verdict, found.tests[-1].verdict) == (verdict, verdict), found
    assert found.tests[-1].output.total_bytes is None, "what it said went to the validator"
    assert "printed nothing" not in explain(found.tests[-1])


_WRITES = {
    "v.py": "import sys\nfor _ in range(99): print('x' * 9999, flush=True)\nsys.exit(42 if sys.stdin.readline() else 43)\n",
    "v.c": '#include <stdio.h>\nint main(void) { for (int n = 0; n < 99; n++) { printf("%9999s\\n", "x"); fflush(stdout); }\n'
    "return getchar() == EOF ? 43 : 42; }\n",
    "fails.py": "import sys\nfor _ in range(99): print('x' * 9999, flush=True)\nsys.stdin.readline()\nsys.exit(1)\n",
}


@pytest.mark.parametrize(
    ("validator", "text", "verdict"),
    [
        ("v.py", "print(1)\n", "WA"),
        ("v.c", "print(1)\n", "WA"),
        ("v.py", "import os, time\nos.close(0)\ntime.sleep(60)\n", "ITLE"),
        ("v.py", "raise SystemExit(3)\n", "RTE"),
        ("v.py", "for _ in range(99): input()\nprint(1)\n", "AC"),
        ("fails.py", "for _ in range(99): input()\nprint(1)\n", "JE"),
    ],
)
def test_leaving_a_validator_that_writes_is_no_way_to_a_judge_error(judge_of, need_tool, tmp_path, validator, text, verdict):
    """In C it dies of SIGPIPE, unless its runtime makes an error of that, as Python's does."""
    need_tool("gcc")
    files = {**ONE, f"output_validator/{validator}": _WRITES[validator]}
    found = judge_of(new(tmp_path, "type: interactive\n" + LIMIT, files)).judge(submission("a.py", text))
    assert found.verdict == verdict, found.tests


def test_a_conversation_in_which_both_only_talk_ends(judge_of, tmp_path):
    """Both pipes are full; what each said last waited for the other one's death, which waited for that."""
    files = {**ONE, "output_validator/v.py": _WRITES["v.py"]}
    text = "while True: print('x' * 9999, flush=True)\n"
    found = judge_of(new(tmp_path, "type: interactive\n" + LIMIT, files)).judge(submission("a.py", text))
    assert found.verdict == "ITLE", found.tests


def test_a_program_that_takes_longer_than_its_validator_may_is_to_blame_for_it(judge_of, tmp_path):
    files = {**ONE, "output_validator/v.py": "import sys\nsys.exit(42 if sys.stdin.readline() else 43)\n"}
    settings = "type: interactive\nlimits: {time_limit: 1, memory: 256, validation_time: 1}\n"
    text = "import time\nwhile True:\n    time.sleep(0.02)\n    sum(range(9999))\n"
    found = judge_of(new(tmp_path, settings, files)).judge(submission("a.py", text))
    assert found.verdict == "WTLE", found.tests


@pytest.mark.parametrize(("status", "verdict"), [(43, "WA"), (42, "ITLE"), (1, "JE")])
def test_a_validator_that_decides_before_the_program_has_started(judge_of, tmp_path, status, verdict):
    files = {**ONE, "output_validator/at_once.c": f"int main(void) {{ return {status}; }}\n"}
    judge = judge_of(new(tmp_path, "type: interactive\n" + LIMIT, files))
    for _ in range(3):
        assert judge.judge(submission("a.py", "import time\ntime.sleep(60)\n")).verdict == verdict


# several passes

_STATE = """
import os, sys
old, new, following = (os.path.join(sys.argv[3], name) for name in ("old", "new", "nextpass.in"))
given = sys.stdin.readline()
if os.path.exists(old):
    os.unlink(old)
    open(new, "w").close()
elif os.path.exists(new):
    sys.exit(42)
else:
    open(old, "w").close()
open(following, "w").write("next")
sys.exit(42)
"""


@pytest.mark.parametrize("kind", ["multi-pass", "[interactive, multi-pass]"])
def test_a_pass_begins_with_what_the_one_before_left(judge_of, tmp_path, monkeypatch, kind):
    """What a validator has removed is gone; a run that is made again, as it was near the limit, has the same beginning."""
    monkeypatch.setattr(runs, "is_near", lambda attempt, limits, near: attempt.timing.repeats == 1)
    settings = f"type: {kind}\nlimits: {{time_limit: 1, memory: 256, validation_passes: 3}}\n"
    found = judge_of(new(tmp_path, settings, {**ONE, "output_validator/v.py": _STATE})).judge(submission("a.py", "print(1)\n"))
    assert (found.verdict, [test.timing.repeats for test in found.tests]) == (Verdict.AC, [2, 2]), found.tests


# promises


def test_promises_are_kept_or_named(judge_of, tmp_path):
    files = {
        **ONE,
        "submissions/accepted/good.py": ECHO,
        "submissions/accepted/bad.py": "print(1)\n",
        "submissions/wrong_answer/silent.py": SILENT,
        "submissions/wrong_answer/good.c": C_ECHO,
        "submissions/mine/half.py": "n = input()\nprint(n if n == '1' else 0)\n",
        "submissions/submissions.yaml": "mine/{half,other}.py:\n  sample: {permitted: [AC]}\n  secret/*: {permitted: [WA], message: expected}\n"
        "wrong_answer/silent.py: {permitted: [WA]}\n",
    }
    judge = judge_of(new(tmp_path, files=files), all_tests=True)
    verifying = Verifying(judge, judge.problem, judge.limits)
    found = {example.path: verifying.judge(example.submission).broken for example in examples.load(judge.problem)}
    assert found == {
        "accepted/good.py": (),
        "accepted/bad.py": ("secret/1: WA, permitted AC",),
        "wrong_answer/silent.py": (),
        "wrong_answer/good.c": ("no test with WA",),
        "mine/half.py": (),
    }


def test_a_time_limit_is_measured_with_the_formats_margins(judge_of, tmp_path):
    slow = "import time\nwhile time.process_time() < 0.3: pass\nprint(input())\n"
    files = {
        **ONE,
        "submissions/accepted/slow.py": slow,
        "submissions/accepted/fast.py": ECHO,
        "submissions/time_limit_exceeded/spin.py": SPIN,
    }
    settings = "limits: {time_resolution: 0.1, time_multipliers: {ac_to_time_limit: 3}}\n"
    judge = judge_of(new(tmp_path, settings, files))
    assert 0.9 <= judge.limits.cpu_s < 2
    assert round(judge.limits.cpu_s * 10) == pytest.approx(judge.limits.cpu_s * 10)
    assert timelimit.limit_for(judge.problem, 0.301) == pytest.approx(1.0)
    assert timelimit.limit_for(judge.problem, 0.0) == pytest.approx(0.1)


def test_without_an_accepted_submission_there_is_no_limit_to_measure(judge_of, tmp_path):
    folder = new(tmp_path, "", ONE)
    with pytest.raises(ProblemError, match="no time limit, and no accepted submission"):
        judge_of(folder)
    assert judge_of(folder, time_limit=2.0).limits.cpu_s == 2.0


# what is wrong in a package


def problems_of(folder):
    with pytest.raises(ProblemError) as caught:
        Problem.load(folder)
    return [line.removeprefix(f"{folder}/") for line in caught.value.problems]


def test_everything_wrong_is_told_at_once(tmp_path):
    settings = """type: [scoring, pass-fail, odd]
limits:
  time_limit: -1
  memory: lots
  tempo: 1
  time_multipliers: {ac_to_time_limit: 0.5}
languages: {c: 1}
colour: red
keywords: [a]
keywords: [b]
"""
    files = {
        **data(secret_1=("1\n", "1\n"), secret_a_1=("1\n", "1\n"), sample_1=("1\n", "1\n")),
        "data/sample/test_group.yaml": "max_score: 3\n",
        "data/secret/test_group.yaml": "score_aggregation: most\noutput_validator_args: [no_such_flag]\n",
        "data/secret/a/test_group.yaml": "args: [",
        "data/secret/1.yaml": "hint: x\nhurt: y\n",
    }
    said = problems_of(new(tmp_path, settings, files))
    for expected in (
        "problem.yaml:6: type: expected some of",
        "problem.yaml:8: limits.time_limit: expected a number above 0, got -1",
        "problem.yaml:9: limits.memory: expected a number, got 'lots'",
        "problem.yaml:10: limits.tempo: unknown key",
        "problem.yaml:11: limits.time_multipliers.ac_to_time_limit: expected a number of at least 1",
        "problem.yaml:12: languages: expected a list of texts",
        "problem.yaml:13: colour: unknown key",
        "problem.yaml:15: keywords: given twice",
        "data/sample/test_group.yaml:1: max_score: not allowed in sample",
        "data/secret/test_group.yaml:1: score_aggregation: expected one of pass-fail, sum, min",
        "data/secret/a/test_group.yaml:1: ",
        "data/secret/1.yaml:2: hurt: unknown key",
        "data/secret:1: holds tests and groups",
        "data/secret:1: output validator flags: no_such_flag",
    ):
        assert any(line.startswith(expected) for line in said), (expected, said)
    assert len(said) == 15, said
    assert said == sorted(said, key=lambda line: (line.split(":")[0], int(line.split(":")[1])))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"problem.yaml": NEW}, "data/secret:1: is missing"),
        ({"data/secret/1.in": "1"}, "problem.yaml:1: is missing"),
        ({"problem.yaml": "- a\n", **ONE}, "problem.yaml:1: expected a map"),
        ({"problem.yaml": b"\xff\xfe", **ONE}, "problem.yaml:1: "),
        ({"problem.yaml": "a: &x [*x]\n" * 2, **ONE}, "problem.yaml:"),
        ({"problem.yaml": "x: !!python/object/apply:os.system [id]\n", **ONE}, "problem.yaml:1: x: unknown key"),
        (
            {"problem.yaml": "name: !!python/object/apply:os.system [id]\ntype: !!python/name:os.system\n", **ONE},
            "problem.yaml:2: type: cannot be read",
        ),
        ({"problem.yaml": "problem_format_version: 1999\n", **ONE}, "problem.yaml:1: problem_format_version: expected one of"),
        ({"problem.yaml": NEW + "type: interactive\n", **ONE}, "output_validator:1: is missing"),
        ({"problem.yaml": NEW + "type: submit-answer\n", **ONE}, "problem.yaml:1: type: submit-answer"),
        (
            {"problem.yaml": NEW, **ONE, "data/secret/test_group.yaml": "static_validation_score: 5\n"},
            "data/secret/test_group.yaml:1: static_validation_score: static validators",
        ),
        ({"problem.yaml": "validation: custom\n", **ONE}, "output_validators:1: is missing"),
        (
            {"problem.yaml": "validation: custom score\n", "output_validators/a.py": "", **ONE},
            "problem.yaml:1: validation: custom score",
        ),
        ({"problem.yaml": "validation: magic\n", **ONE}, "problem.yaml:1: validation: expected default"),
        ({"problem.yaml": "validator_flags: float_tolerance\n", **ONE}, "data/sample:1: output validator flags"),
        ({"problem.yaml": "name: a\n", ".timelimit": "soon", **ONE}, ".timelimit:1: expected seconds from 0.001 to 8640000"),
        ({"problem.yaml": "name: a\n", ".timelimit": "1e9", **ONE}, ".timelimit:1: expected seconds from 0.001 to 8640000"),
        (
            {"problem.yaml": NEW + "limits: {time_limit: 0.0001}\n", **ONE},
            "problem.yaml:6: limits.time_limit: expected seconds from 0.001 to 8640000, got 0.0001",
        ),
        (
            {"problem.yaml": NEW + "limits: {memory: .inf}\n", **ONE},
            "problem.yaml:6: limits.memory: expected a number, got inf",
        ),
        ({"problem.yaml": NEW + f"limits: {{code: {10**400}}}\n", **ONE}, "problem.yaml:6: limits.code: expected a number"),
        (
            {"problem.yaml": NEW + "type: scoring\n", **ONE, "data/secret/test_group.yaml": "max_score: .nan\n"},
            "data/secret/test_group.yaml:1: max_score: expected a number, got nan",
        ),
        (
            {"problem.yaml": NEW + "limits: {memory: 1073741825}\n", **ONE},
            "problem.yaml:6: limits.memory: expected at most 1073741824, got 1073741825",
        ),
        ({"problem.yaml": "name: a\n", "data/testdata.yaml": "on_reject: stop\n", **ONE}, "data/testdata.yaml:1: on_reject"),
        (
            {"problem.yaml": "name: a\n", "data/testdata.yaml": "range: 0 1\n", **ONE},
            "data/testdata.yaml:1: range: the type is not scoring",
        ),
        (
            {"problem.yaml": "type: scoring\n", "data/testdata.yaml": "range: 2 1\n", **ONE},
            "data/testdata.yaml:1: range: expected the smaller",
        ),
        (
            {"problem.yaml": "type: scoring\n", "data/testdata.yaml": "grading: custom\n", **ONE},
            "data/testdata.yaml:1: grading: custom",
        ),
        (
            {"problem.yaml": "name: a\n", "data/testdata.yaml": "grader_flags: odd\n", **ONE},
            "data/testdata.yaml:1: grader_flags: odd",
        ),
        (
            {"problem.yaml": NEW + "type: scoring\n", **SCORED, "data/secret/b/test_group.yaml": "require_pass: secret/c\n"},
            "data/secret/b/test_group.yaml:1: require_pass: secret/c: no group before",
        ),
        (
            {"problem.yaml": NEW + "type: scoring\n", **SCORED, "data/secret/b/test_group.yaml": "score_aggregation: sum\n"},
            "data/secret/b/test_group.yaml:1: max_score: is missing",
        ),
    ],
)
def test_each_wrong_part_has_its_file_and_line(tmp_path, files, expected):
    said = problems_of(write(tmp_path / "p", files))
    assert any(line.startswith(expected) for line in said), said


def test_what_judging_can_do_without_is_a_warning(tmp_path):
    folder = new(tmp_path, files={**ONE, "data/secret/2.in": "", "data/secret/3.ans": "", "data/secret/.hidden": ""})
    said = [line.removeprefix(f"{folder}/") for line in Problem.load(folder).warnings]
    assert said == [
        "statement:1: is missing",
        "input_validators:1: is missing",
        "submissions/accepted:1: is missing",
        "data/secret/3.ans:1: belongs to no test: there is no 3.in",
        "data/secret/2.in:1: no answer: there is no 2.ans",
    ]


def test_the_digest_is_of_what_can_change_a_verdict(tmp_path):
    def digest(name, settings=LIMIT, **files):
        return Problem.load(new(tmp_path, settings, {**ONE, **files}, name)).digest

    same = digest("a")
    assert digest("b") == same
    assert digest("c", **{"statement/problem.en.md": "text"}) == same
    assert digest("d", **{"data/secret/1.ans": "3\n"}) != same
    assert digest("e", settings="limits: {time_limit: 2, memory: 256}\n") != same
    assert digest("f", **{"include/c/a.h": "x"}) != same
    assert digest("g", **{"output_validator/a.py": "x"}) != same
