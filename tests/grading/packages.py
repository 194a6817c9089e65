"""Kattis packages that tests make: each as files by path, with the submissions and what they must come to."""

from __future__ import annotations

VALIDATE = "import sys\nsys.stdin.read()\nsys.exit(42)\n"
ECHO = "print(input())\n"
C_ECHO = "#include <stdio.h>\nint main(void) { char line[99]; if (fgets(line, 99, stdin)) fputs(line, stdout); }\n"
SILENT = "input()\n"
CRASH = "raise SystemExit(1)\n"
SPIN = "while True: pass\n"


def base(settings, *, new=False):
    """A package without data: `settings` are lines of problem.yaml."""
    version = "problem_format_version: 2023-07-draft\n" if new else ""
    name = "name: {en: Echo}\n" if new else "name: Echo\n"
    statement = "statement/problem.en.md" if new else "problem_statement/problem.en.tex"
    return {
        "problem.yaml": f"{version}{name}uuid: 5b0d3f4e-6c1a-4c55-9d44-3c0d4f0f8a1{len(settings) % 10}\nlicense: cc0\n"
        f"{'credits' if new else 'author'}: Nobody\nlimits: {{memory: 1024}}\n{settings}",
        statement: "Say what you hear.\n" if new else "\\problemname{Echo}\nSay what you hear.\n",
        "input_validators/validate.py": VALIDATE,
    }


def data(**tests):
    """Tests: `sample_1=("in", "ans")` is data/sample/1, `secret_group_1` is data/secret/group/1."""
    files = {}
    for name, (given, answer) in tests.items():
        path = "data/" + name.replace("_", "/")
        files |= {f"{path}.in": given, f"{path}.ans": answer}
    return files


def passing():
    """Pass-fail, default validator, tolerance and flags."""
    return {
        **base("validator_flags: float_tolerance 1e-3\n"),
        **data(sample_1=("1.5\n", "1.5\n"), secret_1=("2\n", "2\n"), secret_2=("3.25\n", "3.25\n")),
        "submissions/accepted/echo.py": ECHO,
        "submissions/accepted/echo.c": C_ECHO,
        "submissions/accepted/near.py": "print(float(input()) * 1.0001)\n",
        "submissions/wrong_answer/far.py": "print(float(input()) * 1.01)\n",
        "submissions/wrong_answer/silent.py": SILENT,
        "submissions/wrong_answer/more.py": "print(input(), 1)\n",
        "submissions/run_time_error/crash.py": CRASH,
        "submissions/time_limit_exceeded/spin.py": SPIN,
    }


def groups(*, new=False):
    """Scoring: two groups of which the first is worth 40, the second 60; the samples do not count."""
    return {
        **base("type: scoring\n" if new else "type: scoring\ngrading: {show_test_data_groups: true}\n", new=new),
        **data(
            sample_1=("0\n", "0\n"),
            secret_a_1=("1\n", "1\n"),
            secret_a_2=("2\n", "2\n"),
            secret_b_1=("10\n", "10\n"),
            secret_b_2=("20\n", "20\n"),
        ),
        "data/testdata.yaml": "on_reject: continue\ngrader_flags: ignore_sample\nrange: 0 100\n",
        "data/sample/testdata.yaml": "accept_score: 0\ngrader_flags: first_error\nrange: 0 0\n",
        "data/secret/testdata.yaml": "grader_flags: first_error accept_if_any_accepted\nrange: 0 100\n",
        "data/secret/a/testdata.yaml": "on_reject: break\naccept_score: 40\ngrader_flags: first_error min\nrange: 0 40\n",
        "data/secret/b/testdata.yaml": "on_reject: break\naccept_score: 60\ngrader_flags: first_error min\nrange: 0 60\n",
        "submissions/accepted/echo.py": ECHO,
        "submissions/partially_accepted/small.py": "n = int(input())\nprint(n if n < 10 else 0)\n",
        "submissions/partially_accepted/large.py": "n = int(input())\nprint(n if n != 1 else 0)\n",
        "submissions/wrong_answer/silent.py": SILENT,
        "submissions/run_time_error/crash.py": CRASH,
    }


def scored(*, new=False):
    """Scoring by the validator: as many points as the output has letters a, at most 5; averages and sums."""
    validator = (
        "import sys\n"
        "text = sys.stdin.read().strip()\n"
        "open(sys.argv[3] + 'judgemessage.txt', 'w').write('letters: %d' % len(text))\n"
        "if not text or set(text) != {'a'} or len(text) > 5: sys.exit(43)\n"
        "open(sys.argv[3] + 'score.txt', 'w').write(str(float(len(text))))\n"
        "sys.exit(42)\n"
    )
    folder = "output_validator" if new else "output_validators"
    return {
        **base("type: scoring\n" if new else "type: scoring\nvalidation: custom score\n", new=new),
        **data(sample_1=("x\n", "a\n"), secret_1=("1\n", "a\n"), secret_2=("2\n", "a\n"), secret_3=("3\n", "a\n")),
        "data/testdata.yaml": "on_reject: continue\ngrader_flags: ignore_sample\nrange: 0 15\n",
        "data/sample/testdata.yaml": "grader_flags: first_error\n",
        "data/secret/testdata.yaml": "grader_flags: first_error\non_reject: continue\nrange: 0 15\n",
        f"{folder}/letters.py": validator,
        "submissions/accepted/five.py": "print('aaaaa')\n",
        "submissions/partially_accepted/as_told.py": "x = input()\nprint('a' * (int(x) if x.isdigit() else 1))\n",
        "submissions/wrong_answer/b.py": "print('b')\n",
    }


def multipass():
    """Multi-pass: the second pass gets the first one's output, and must double it."""
    validator = (
        "import os, sys\n"
        "given, said = int(open(sys.argv[1]).read()), sys.stdin.read().split()\n"
        "note = sys.argv[3] + 'judgemessage.txt'\n"
        "again = os.path.exists(note)\n"
        "open(note, 'a').write('pass with %d\\n' % given)\n"
        "if said != [str(2 * given)]: sys.exit(43)\n"
        "if not again: open(sys.argv[3] + 'nextpass.in', 'w').write(said[0] + '\\n')\n"
        "sys.exit(42)\n"
    )
    return {
        **base("type: multi-pass\n", new=True),
        **data(sample_1=("1\n", ""), secret_1=("3\n", ""), secret_2=("50\n", "")),
        "output_validator/twice.py": validator,
        "submissions/accepted/double.py": "print(2 * int(input()))\n",
        "submissions/wrong_answer/only_small.py": "n = int(input())\nprint(2 * n if n < 100 else n)\n",
        "submissions/run_time_error/second.py": "n = int(input())\nassert n != 6\nprint(2 * n)\n",
    }


def interactive():
    """Interactive: the validator tells a number and wants the next one, three times."""
    validator = (
        "import sys\n"
        "first = int(open(sys.argv[1]).read())\n"
        "for number in range(first, first + 3):\n"
        "    print(number, flush=True)\n"
        "    if sys.stdin.readline().strip() != str(number + 1): sys.exit(43)\n"
        "sys.exit(42)\n"
    )
    return {
        **base("validation: custom interactive\n"),
        **data(sample_1=("1\n", ""), secret_1=("7\n", ""), secret_2=("99\n", "")),
        "data/sample/1.interaction": "<1\n>2\n",
        "output_validators/next.py": validator,
        "submissions/accepted/next.py": "for _ in range(3): print(int(input()) + 1, flush=True)\n",
        "submissions/wrong_answer/same.py": "for _ in range(3): print(input(), flush=True)\n",
        "submissions/run_time_error/late.py": "for _ in range(3): print(int(input()) + 1, flush=True)\nraise SystemExit(7)\n",
        "submissions/run_time_error/early.py": "print(int(input()) + 1, flush=True)\ninput()\nraise SystemExit(7)\n",
        "submissions/time_limit_exceeded/spin.py": "input()\nwhile True: pass\n",
    }


PACKAGES = {
    "passing": passing,
    "groups": groups,
    "newgroups": lambda: groups(new=True),
    "scored": scored,
    "newscored": lambda: scored(new=True),
    "multipass": multipass,
    "interactive": interactive,
}
