"""Judging as root in a plain container, as on Gradescope: with `grade-container`, and refused by `strict`."""

from __future__ import annotations

import json
import os
import re

import pytest

from jailpy.services.grading.contained import ContainedLauncher, launcher
from jailpy.services.grading.results import Verdict
from jailpy.services.languages.build import WORK
from tests import container
from tests.grading.conftest import submission

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
pytestmark = [pytest.mark.root, pytest.mark.usefixtures("nothing_left")]
SCENE = r"""
mkdir -p /tmp/a/sums/data/secret /tmp/a/sums/output_validators/check /tmp/a/subs && cd /tmp/a
echo "2 3" > sums/data/secret/1.in; echo 5 > sums/data/secret/1.ans
printf 'name: Sums\nvalidation: custom\nlimits: {memory: 64}\n' > sums/problem.yaml
cat > sums/output_validators/check/check.py <<'END'
import sys
said, right = sys.stdin.read(), open(sys.argv[2]).read()
open(sys.argv[3] + "judgemessage.txt", "w").write("said " + said)
sys.exit(42 if said == right else 43)
END
echo 'print(sum(map(int, input().split())))' > subs/right.py
echo 'print(7)' > subs/wrong.py
echo 'print(open("/tmp/a/sums/data/secret/1.ans").read())' > subs/thief.py
echo 'while True: pass' > subs/slow.py
echo 'x = bytearray(10**9)' > subs/large.py
cat > subs/right.c <<'END'
#include <stdio.h>
int main(void) { int a, b; scanf("%d%d", &a, &b); printf("%d\n", a + b); }
END
"$@" grade sums -p PROFILE --each subs --time-limit 1s --report out -q >&2; echo "status $?"
"$@" grade sums -p PROFILE --each subs --time-limit 1s --report out -q --resume >&2; cat out/report.json
"""


@pytest.fixture(scope="module")
def contained(need_tool):
    """Return what judges the scene in a container with a profile: exit status, and verdicts by name."""
    for tool in ("crun", "gcc"):
        need_tool(tool)
    if not os.path.exists(container.SHIPPED):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("containers-common is not installed")

    def judge(profile):
        done = container.run(shell=SCENE.replace("PROFILE", profile))
        status, _, report = done.out.partition("\n")
        assert report, done.err
        return status, {entry["name"]: entry for entry in json.loads(report)["submissions"]}

    return judge


def test_a_package_with_a_checker(contained):
    status, found = contained("grade-container")
    assert {name: entry["verdict"] for name, entry in found.items()} == {
        "right.py": "AC", "right.c": "AC", "wrong.py": "WA", "thief.py": "RTE", "slow.py": "TLE", "large.py": "MLE",
    }  # fmt: skip
    assert status == "status 0"
    assert found["wrong.py"]["tests"][0]["message"] == "said 7"


def test_strict_is_refused(contained, tmp_path):
    """Without a checker to build, the problem can be loaded: each submission ends with IE, which costs nobody anything."""
    plain = SCENE.replace("validation: custom", "validation: default")
    done = container.run(shell=plain.replace("PROFILE", "strict"))
    status, _, report = done.out.partition("\n")
    assert status == "status 1"
    assert {entry["verdict"] for entry in json.loads(report)["submissions"]} == {"IE"}


def test_the_recipe_for_gradescope(tmp_path):
    """The documented script, with another folder in place of /autograder and JailPy from this tree."""
    with open(f"{ROOT}/docs/how-to/grade-on-gradescope.md", encoding="utf-8") as file:
        (script,) = re.findall(r"^```sh run_autograder\n(.*?)^```", file.read(), re.MULTILINE | re.DOTALL)
    scene = (
        "mkdir -p /tmp/autograder/source/problem /tmp/autograder/submission /tmp/autograder/results && cd /tmp/autograder\n"
        'echo "2 3" > source/problem/1.in; echo 5 > source/problem/1.ans\n'
        "echo 'print(sum(map(int, input().split())))' > submission/main.py\n"
    )
    called = (
        script.replace("/autograder", "/tmp/autograder").replace("/opt/jailpy/bin/jailpy", '"$@"').replace("#!/bin/sh\n", "")
    )
    done = container.run(shell=f"{scene}({called}) >&2; echo $?; cat results/results.json")
    status, _, results = done.out.partition("\n")
    assert status == "0", done.err
    found = json.loads(results)
    assert [(test["score"], test["visibility"]) for test in found["tests"]] == [(1.0, "hidden")]
    assert found["output"] == "Accepted. All tests passed."


def test_what_is_copied_in_takes_nothing_of_the_disk_limit(tmp_path):
    """A program of 70 MB of static data ended as IE; what a run writes is bounded as ever."""
    (tmp_path / "large").write_bytes(bytes(70 << 20))
    shown = [f"{tmp_path}/large:{WORK}/large"]
    with launcher("grade-container") as made:
        done = made.run(["sh", "-c", "wc -c < large; head -c 30M /dev/zero > more"], ro=shown)
        assert (done.verdict, done.stdout) == ("ok", b"%d\n" % (70 << 20)), done.report()
        full = made.run(["sh", "-c", "for n in 1 2; do head -c 60M /dev/zero > $n; done; sleep 9"], ro=shown)
        assert full.verdict == "disk_limit"


@pytest.mark.parametrize(
    ("tool", "name", "text"),
    [
        ("go", "a.go", 'package main\nimport "fmt"\nfunc main() { var a, b int; fmt.Scan(&a, &b); fmt.Println(a + b) }\n'),
        ("fpc", "a.pas", "var a, b: longint;\nbegin read(a, b); writeln(a + b) end.\n"),
    ],
)
def test_compilers_that_want_more_than_their_source(judge_of, sums, need_tool, tool, name, text):
    """Go has its cache in /tmp, which is not there; Pascal's settings are a link."""
    need_tool(tool)
    found = judge_of(sums, profile="grade-container").judge(submission(name, text))
    assert found.verdict == Verdict.AC, found


def test_strict_has_the_ordinary_launcher():
    with launcher("strict") as made:
        assert type(made).__name__ == "Launcher"
    with launcher("grade-container") as made:
        assert isinstance(made, ContainedLauncher)
