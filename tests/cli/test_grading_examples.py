"""examples/grading: a class of hand-ins in five languages and more, every verdict among them, judged as expected."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import jailpy as package
from jailpy.services.grading.results import Verdict

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(package.__file__)))
TOOLS = ("gcc", "g++", "javac", "node", "python3")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_class_is_judged_as_expected(jailpy, need_tool):
    for tool in TOOLS:
        need_tool(tool)
    done = subprocess.run(
        [sys.executable, f"{ROOT}/examples/grading/judge"],
        capture_output=True,
        text=True,
        env={**os.environ, "JAILPY": jailpy},
        timeout=380,
    )
    assert done.stdout.endswith("\n0 not as expected\n"), done.stdout + done.stderr
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    judged = {
        (problem, name): verdict for problem, name, verdict, *_ in rows if name != "--verify" and problem in ("change", "guess")
    }
    assert len(judged) >= 24
    assert set(judged.values()) == {verdict.value for verdict in Verdict}
    assert {os.path.splitext(name)[1] for _, name in judged} >= {".py", ".c", ".cpp", ".js", ".bf", ""}
