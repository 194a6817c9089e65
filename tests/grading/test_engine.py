"""The engine on a plain folder: every verdict with its evidence, what a submission can see, and what is left."""

from __future__ import annotations

import contextlib
import glob
import os
import resource
import tempfile
import threading
import types

import pytest

from jailpy.services.grading import checkers, runs
from jailpy.services.grading.explain import explain, explain_submission
from jailpy.services.grading.results import Limits, Timing, Verdict
from jailpy.services.grading.submission import SourceFile, Submission
from jailpy.services.grading.verdicts import Ending
from jailpy.services.languages import Language
from tests.grading.conftest import submission, write

GOOD = "print(sum(map(int, input().split())))\n"
C = '#include <stdio.h>\nint main(void) { int a, b; scanf("%d %d", &a, &b); printf("%d", a + b); }\n'
PERL = "my ($a, $b) = split ' ', <STDIN>; print $a + $b;\n"


def verdict_of(judge, name, *files, **options):
    return judge.judge(submission(name, *files, **options))


def test_a_right_program_is_accepted_with_what_it_took(judge_of, sums):
    found = verdict_of(judge_of(sums), "a.py", GOOD)
    assert (found.verdict, found.language, found.score, found.message) == (Verdict.AC, "python3", None, "")
    assert [test.name for test in found.tests] == ["0", "1", "2"]
    for test in found.tests:
        assert test.verdict == Verdict.AC
        assert test.output.text == f"{int(test.name) + 1}\n"
        assert 0 < test.cpu_s < 5
        assert 0 < test.memory_bytes < 256 << 20
        assert (test.exit_code, test.signal, test.evidence) == (0, None, None)
        assert (test.timing.quality, test.timing.repeats) == ("alone", 1)


@pytest.mark.parametrize(
    ("text", "verdict", "limit"),
    [
        ("print(7)\n", "WA", None),
        ("while True: pass\n", "TLE", "cpu"),
        ("import time; time.sleep(60)\n", "ITLE", "idle"),
        ("import time\nwhile True: print(1, flush=True); time.sleep(0.1)\n", "WTLE", "wall"),
        ("x = bytearray(10**9)\n", "MLE", "memory"),
        ("while True: print('x' * 65536)\n", "OLE", "output"),
        ("raise SystemExit(3)\n", "RTE", None),
        ("import os; os.abort()\n", "RTE", None),
        ("import socket; socket.socket()\n", "SV", "system calls"),
        ("with open('x', 'wb') as file:\n    for _ in range(99): file.write(bytes(1 << 20))\n", "FLE", "disk"),
    ],
)
def test_verdicts_have_their_evidence(judge_of, sums, text, verdict, limit):
    for number in (1, 2):
        (sums / f"{number}.in").unlink()
    found = verdict_of(judge_of(sums, time_limit=0.5), "a.py", text)
    first = found.tests[0]
    assert (found.verdict, first.verdict) == (verdict, verdict)
    assert (first.evidence.limit if first.evidence else None) == limit
    if limit in ("cpu", "idle", "wall", "memory", "output"):
        assert first.evidence.measured >= first.evidence.configured > 0


@pytest.mark.parametrize(
    ("text", "verdict", "said"),
    [
        ("while True: pass\n", "TLE", "more than 0.5 s of processor time"),
        ("import time; time.sleep(60)\n", "ITLE", "did nothing for 1.5 s"),
        ("x = bytearray(10**9)\n", "MLE", "used more than 64 MB; it was stopped at 64 MB"),
        ("print('x' * (9 << 20))\n", "OLE", "printed more than 8 MB"),
        ("print('x' * ((8 << 20) + 1), end='')\n", "OLE", "printed more than 8 MB"),
        ("import sys\nprint('x' * (9 << 20), file=sys.stderr)\n", "OLE", "printed more than 8 MB"),
    ],
)
def test_texts_name_the_problems_limits(judge_of, sums, text, verdict, said):
    """The jail's own limits are a little beyond them: of output for standard error, of time for what is measured again."""
    judge = judge_of(sums, time_limit=0.5, memory=64 << 20)
    found = verdict_of(judge, "a.py", text)
    test = found.tests[0]
    assert test.verdict == verdict
    assert said in explain(test)
    own = judge.limits
    assert test.evidence.configured in (own.cpu_s, own.idle_s, own.memory_bytes, own.output_bytes)
    assert test.evidence.measured >= test.evidence.configured


def test_the_way_a_program_died_is_told(judge_of, sums):
    judge = judge_of(sums)
    assert verdict_of(judge, "a.py", "raise SystemExit(3)\n").tests[0].exit_code == 3
    assert verdict_of(judge, "a.py", "import os; os.abort()\n").tests[0].signal == 6
    assert "ZeroDivisionError" in verdict_of(judge, "a.py", "1 / 0\n").tests[0].error_output.text


def test_what_does_not_compile_is_told_with_the_compilers_words(judge_of, sums, need_tool):
    need_tool("gcc")
    judge = judge_of(sums)
    for name, text, word in (("a.py", "print(\n", "SyntaxError"), ("a.c", "int main() { return x; }\n", "undeclared")):
        found = verdict_of(judge, name, text)
        assert (found.verdict, found.compile.ok, found.tests) == (Verdict.CE, False, ())
        assert word in found.compile.output.text


def test_a_single_script_is_checked_only_after_it_failed(judge_of, sums):
    """Python parses a file to its end before it runs it: one that ran well is a program."""
    judge, told = judge_of(sums), []
    given = submission("a.py", GOOD), submission("a.py", "print(0)\n"), submission("a.py", f"{GOOD}print(\n")
    right, wrong, broken = (judge.judge(each, lambda _, test: told.append(test)) for each in given)
    assert (right.verdict, right.compile) == (Verdict.AC, None)
    assert (wrong.verdict, wrong.compile.ok) == (Verdict.WA, True)
    assert (broken.verdict, broken.compile.ok, broken.tests) == (Verdict.CE, False, ())
    assert len(told) == len(right.tests) + len(wrong.tests)


def test_several_scripts_are_checked_before_they_run(judge_of, sums):
    """A broken file that is never imported would not be noticed by running the others."""
    judge = judge_of(sums)
    files = (SourceFile(path="main.py", content=GOOD.encode()), SourceFile(path="other.py", content=b"pass\n"))
    right = judge.judge(Submission(name="a", files=files))
    assert (right.verdict, right.compile.ok) == (Verdict.AC, True)
    broken = judge.judge(Submission(name="b", files=(files[0], SourceFile(path="other.py", content=b"print(\n"))))
    assert (broken.verdict, broken.tests) == (Verdict.CE, ())


@pytest.mark.parametrize(
    ("name", "content", "language", "word"),
    [
        ("a.xyz", "1", None, "no file is a program"),
        ("a.py", "", None, None),
        ("a.py", b"\0\xff\xfe", None, None),
        ("a.bin", bytes(range(256)), None, "no file is a program"),
        ("a.py", "# " + "x" * (200 << 10), None, "the problem allows"),
        ("a.py", GOOD, "cobol", "no such language"),
        ("a.py", "print('\xe9')\n".encode("latin-1"), None, None),
    ],
)
def test_odd_submissions_get_a_verdict(judge_of, sums, name, content, language, word):
    judge = judge_of(sums)
    found = judge.judge(submission(name, content, language=language))
    assert found.verdict == (Verdict.WA if content == "" else Verdict.CE)
    if word:
        assert word in found.message
    assert verdict_of(judge, "good.py", GOOD).verdict == Verdict.AC


def test_a_submission_may_have_many_files(judge_of, sums, need_tool):
    """More than a message to the launcher has room for: each is shown by itself. What is compiled has all that are taken."""
    need_tool("gcc")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        judge = judge_of(sums)
        more = [(f"{number}.txt", "") for number in range(990)]
        assert verdict_of(judge, "shown", ("main.pl", PERL), *more[:450]).verdict == Verdict.AC
        assert verdict_of(judge, "compiled", ("main.c", C), *more).verdict == Verdict.AC
        assert "at most 500" in verdict_of(judge, "too many", ("main.pl", PERL), *more).message
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("files", "verdict"), [(20, "AC"), (5000, "CE")])
def test_what_a_compiler_may_leave_is_bounded(judge_of, sums, files, verdict):
    """`perl -c` executes BEGIN. Each file would be a mount of its own: 20,000 took the launcher a minute before IE."""
    made = f"BEGIN {{ for (1..{files}) {{ open my $file, '>', \"/work/$_\" if $^C }} }}\n"
    found = verdict_of(judge_of(sums), "a.pl", made + PERL)
    assert found.verdict == verdict, found
    assert found.compile.ok or "5001 files and folders" in explain_submission(found)


@pytest.mark.parametrize(("made", "verdict"), [("/bin/sh", Verdict.AC), (None, Verdict.CE)])
def test_a_folder_in_the_place_of_a_program_shows_nothing_else(judge_of, sums, made, verdict):
    """Go puts the program into such a folder of the submission's; what runs while others compile can make one."""
    judge = judge_of(sums)
    run, compiler = ("./{binary}",), ("sh", "{main}")
    judge.languages["raw"] = Language(name="Raw", code="raw", suffixes=(".raw",), compile=compiler, run=run, package="dash")
    inner = f"printf '#!{made}\\nread a b; echo $((a + b)); ls >&2\\n' > program; chmod +x program" if made else "mkdir program"
    found = verdict_of(judge, "a.raw", f"mkdir program; cd program; for i in 1 2 3; do : > $i; done; {inner}\n")
    assert (found.verdict, found.compile.ok) == (verdict, bool(made)), found
    assert {test.error_output.text for test in found.tests} == ({"program\n"} if made else set())


@pytest.mark.parametrize("name", ["program", "program/program"])
def test_a_program_that_was_handed_in_is_none(judge_of, sums, need_tool, name):
    """A compiler that ends well and makes none, as Pascal's does of a unit, would have what was in its place run."""
    judge = judge_of(sums)
    run, make = ("./{binary}",), ("sh", "-c", "[ -e made ] || exit 0; cp made {binary}")
    judge.languages["raw"] = Language(name="Raw", code="raw", suffixes=(".raw",), compile=make, run=run, package="dash")
    other = "#!/usr/bin/awk -f\n{ print $1 + $2 }\n"
    found = verdict_of(judge, "handed in", ("a.raw", "x"), (name, other))
    assert (found.verdict, "made no program" in found.message) == (Verdict.CE, True), found
    assert verdict_of(judge, "made", ("a.raw", "x"), ("made", other), (name, "")).verdict == Verdict.AC
    need_tool("gcc")
    assert verdict_of(judge, "compiled", ("a.c", C), (name, "")).verdict == Verdict.AC


def test_files_of_a_language_without_a_compiler_are_bounded_too(judge_of, sums):
    judge = judge_of(sums)
    judge.languages["raw"] = Language(name="Raw", code="raw", suffixes=(".raw",), run=("sh", "{main}"), package="dash")
    files = [("a.raw", "read a b; echo $((a + b))\n"), *((f"{number}.txt", "") for number in range(500))]
    assert verdict_of(judge, "few", *files[:-1]).verdict == Verdict.AC
    found = verdict_of(judge, "many", *files)
    assert (found.verdict, "501 files and folders" in explain_submission(found)) == (Verdict.CE, True), found


def test_a_program_that_is_none_is_its_makers_fault(judge_of, sums):
    """A compiler that can be made to leave a file that is no program: that is not the jail's fault."""
    judge = judge_of(sums)
    run, copy = ("./{binary}",), ("cp", "{main}", "{binary}")
    judge.languages["raw"] = Language(name="Raw", code="raw", suffixes=(".raw",), compile=copy, run=run, package="coreutils")
    found = verdict_of(judge, "a.raw", "no program\n")
    assert (found.verdict, found.tests[0].verdict) == (Verdict.RTE, Verdict.RTE), found
    assert "program" in found.tests[0].message


def test_several_files_make_one_program(judge_of, sums, need_tool):
    need_tool("gcc")
    judge = judge_of(sums)
    python = [("main.py", "import helper\nhelper.go()\n"), ("helper.py", "def go(): print(sum(map(int, input().split())))\n")]
    assert verdict_of(judge, "python", *python).verdict == Verdict.AC
    inner = [("inner/main.py", python[0][1]), ("inner/helper.py", python[1][1])]
    assert verdict_of(judge, "inner", *inner).verdict == Verdict.AC
    odd = [("-m.py", "import b\n"), ("b.py", "print(sum(map(int, input().split())))\n")]
    assert verdict_of(judge, "odd names", *odd).verdict == Verdict.AC
    options = [("@a.c", "int unused;\n"), ("a.c", "-DX"), ("main.c", "int main(void) { return X; }\n")]
    assert "undeclared" in verdict_of(judge, "a file of options", *options).compile.output.text, "it is not obeyed"
    c = [
        ("src/main.c", '#include "sum.h"\nint main(void) { int a, b; scanf("%d %d", &a, &b); printf("%d", sum(a, b)); }\n'),
        ("src/sum.h", "#include <stdio.h>\nint sum(int a, int b);\n"),
        ("sum.c", "int sum(int a, int b) { return a + b; }\n"),
    ]
    found = verdict_of(judge, "c", *c)
    assert (found.verdict, found.language) == (Verdict.AC, "c"), found


SPY = """
import os, sys
seen = []
for top in sys.argv[1:] or ("/",):
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/dev", "/usr")]
        seen += [os.path.join(folder, name) for name in names]
print(*[path for path in seen if path.endswith((".ans", ".in"))], os.environ.get("SECRET"), os.listdir("."))
"""


def test_a_submission_sees_its_program_and_nothing_of_the_problem(judge_of, sums, monkeypatch):
    monkeypatch.setenv("SECRET", "answers")
    found = verdict_of(judge_of(sums), "a.py", SPY).tests[0]
    assert found.output.text == "None ['a.py']\n"
    control = {}
    exec(
        compile(SPY.replace("sys.argv[1:]", f"[{os.fspath(sums)!r}]").replace("print(*", "found = (*"), "spy", "exec"), control
    )
    assert str(sums / "0.ans") in control["found"]  # it would find them if they were there


def test_the_input_has_no_name(judge_of, sums):
    """Names of tests say what they try: a program learns none of its own input."""
    (sums / "0.in").rename(sums / "empty-list.in")
    (sums / "0.ans").rename(sums / "empty-list.ans")
    text = "import os\nprint([os.readlink(f'/proc/self/fd/{n}') for n in range(3)], open('/proc/self/mountinfo').read())\n"
    shown = {test.output.text.split("]")[0] for test in verdict_of(judge_of(sums), "a.py", text).tests}
    assert shown
    assert not any("empty" in line or "sums" in line for line in shown)


def test_what_one_test_writes_is_gone_for_the_next(judge_of, sums):
    text = "import os\nprint(os.path.exists('left'), os.path.exists('/tmp/left'))\nopen('left', 'w'); open('/tmp/left', 'w')\n"
    found = verdict_of(judge_of(sums), "a.py", text)
    assert {test.output.text for test in found.tests} == {"False False\n"}


def test_a_failed_test_does_not_end_a_plain_folder(judge_of, sums):
    found = verdict_of(judge_of(sums), "a.py", "print(1)\n")
    assert [test.verdict for test in found.tests] == ["AC", "WA", "WA"]


def test_a_test_without_answer_is_the_judges_fault_and_the_rest_is_judged(judge_of, sums):
    (sums / "1.ans").unlink()
    judge = judge_of(sums)
    assert judge.problem.warnings == (f"{sums}/1.in: no answer: expected 1.ans or 1.out beside it",)
    found = verdict_of(judge, "a.py", GOOD)
    assert [test.verdict for test in found.tests] == ["AC", "JE", "AC"]
    assert found.verdict == Verdict.JE


def test_results_come_while_it_goes_on(judge_of, sums):
    seen = []
    judge = judge_of(sums)
    given = submission("a.py", GOOD)
    found = judge.judge(given, on_test=lambda which, test: seen.append((which.name, test)))
    assert seen == [("a.py", test) for test in found.tests]


def test_many_at_a_time_give_what_one_at_a_time_gives(judge_of, sums):
    judge = judge_of(sums, jobs=2)
    assert judge.jobs == 2
    names = {f"{number}.py": GOOD if number % 2 else "print(1)\n" for number in range(8)}
    found = {done.name: done for done in judge.judge_all([submission(name, text) for name, text in names.items()])}
    assert {name: done.verdict for name, done in found.items()} == {
        name: Verdict.AC if text == GOOD else Verdict.WA for name, text in names.items()
    }
    assert {test.timing.quality for done in found.values() for test in done.tests} <= {"own-core", "shared"}


def test_a_run_near_its_limit_is_repeated_alone(judge_of, sums):
    """It ends by itself a little over the limit each time: the second run, alone, stands."""
    text = "import time\nwhile time.process_time() < 0.53: pass\nprint(sum(map(int, input().split())))\n"
    judge = judge_of(sums, jobs=2, time_limit=0.5, rejudge_near=0.4)
    first = verdict_of(judge, "a.py", text).tests[0]
    assert (first.verdict, first.timing.repeats, first.timing.quality) == (Verdict.TLE, 2, "alone")
    assert 0.5 < first.cpu_s < 0.7


@pytest.mark.parametrize(
    ("verdict", "cpu", "by", "near"),
    [
        ("TLE", 1.1, "ok", True),
        ("TLE", 1.1, "wall_limit", True),
        ("TLE", 1.2, "cpu_limit", False),
        ("TLE", 1.3, "ok", False),
        ("WTLE", 0.9, "wall_limit", True),
        ("WTLE", 0.5, "wall_limit", False),
        ("ITLE", 0.0, "idle_limit", False),
        ("MLE", 1.0, "memory_limit", False),
        (None, 0.95, "ok", False),
    ],
)
def test_what_is_near(verdict, cpu, by, near):
    """At a limit of 1 s and a margin of a fifth: only a run that time ended, and whose CPU time says little for sure."""
    run = types.SimpleNamespace(usage={"cpu_s": cpu}, verdict=by)
    ending = Ending(verdict=None if verdict is None else Verdict(verdict))
    attempt = runs.Attempt(run=run, ending=ending, timing=Timing())
    assert runs.is_near(attempt, Limits(cpu_s=1.0), 0.2) is near


def test_a_jail_that_cannot_be_had_costs_nobody(judge_of, sums, monkeypatch):
    judge = judge_of(sums)
    monkeypatch.setattr("jailpy.services.languages.build.WORK", "/proc/nowhere")
    found = verdict_of(judge, "a.py", ("a.py", "import b\n"), ("b.py", ""))
    assert found.verdict == Verdict.IE
    assert found.message


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("import time\ntime.sleep(600)\n", "JE"),
        ("import sys, time\nwhile time.process_time() < 2: pass\nsys.exit(42)\n", "AC"),
        ("import sys\nsys.exit(42)\n", "AC"),
    ],
)
def test_a_checker_that_hangs_is_not_waited_for_until_its_whole_time_is_over(judge_of, sums, monkeypatch, text, verdict):
    monkeypatch.setattr(checkers, "_IDLE_S", 1.0)
    judge = judge_of(write(sums, {"checker.py": text}))
    found = verdict_of(judge, "a.py", GOOD)
    assert found.verdict == verdict, found
    if verdict == "JE":
        assert "idle_limit" in found.tests[0].message


def own_folders():
    """List the private folders of this account's gradings: another one's suite may make some meanwhile."""
    found = set()
    for path in glob.glob(f"{tempfile.gettempdir()}/jailpy-grading-*"):
        with contextlib.suppress(FileNotFoundError):
            if os.lstat(path).st_uid == os.geteuid():
                found.add(path)
    return found


def test_nothing_is_left(judge_of, sums):
    before = own_folders()
    judge = judge_of(sums)
    assert own_folders() - before
    verdict_of(judge, "a.py", GOOD)
    judge.close()
    assert own_folders() - before == set()


def test_runs_stay_on_the_cores_of_their_slot(judge_of, sums):
    judge = judge_of(sums, jobs=2)
    found = {}

    def look(number):
        done = verdict_of(judge, f"{number}.py", "import os\nprint(sorted(os.sched_getaffinity(0)))\n")
        found[number] = {test.output.text for test in done.tests}

    threads = [threading.Thread(target=look, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(texts) == 1 for texts in found.values())
    if len(os.sched_getaffinity(0)) > 1:
        assert len({text for texts in found.values() for text in texts}) == 2


def test_a_checker_that_is_a_program_decides(judge_of, tmp_path):
    checker = "import sys\nwant = int(open(sys.argv[1]).read())\nsys.exit(42 if int(input()) == 2 * want else 43)\n"
    folder = write(tmp_path / "double", {"1.in": "4\n", "2.in": "5\n", "checker.py": checker})
    judge = judge_of(folder)
    assert judge.problem.warnings == ()
    assert verdict_of(judge, "a.py", "print(2 * int(input()))\n").verdict == Verdict.AC
    assert verdict_of(judge, "a.py", "print(8)\n").verdict == Verdict.WA
