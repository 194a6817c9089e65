"""`jailpy selftest --all`: the programs as a user runs them; and a jail without a filter is found out at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

import pytest

from jailpy.services.escapes.header import programs
from jailpy.services.escapes.scene import Scene
from tests.core import PATIENCE

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The server process makes its plans itself: it has to have the weak filter, too.
WEAK = """
import sys
from jailpy.services.escapes import all as service
real = service.Launcher
def weak(profile, **options):
    return real(profile, **options, **service.without(["seccomp"]))
service.Launcher = weak
from jailpy.cli import main
sys.exit(main(["selftest", "--all", *sys.argv[1:]]))
"""
pytestmark = pytest.mark.usefixtures("nothing_left")


def run(*arguments, code=""):
    start = [sys.executable, "-P", *(("-c", code) if code else ("-m", "jailpy", "selftest", "--all"))]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    return subprocess.run([*start, *arguments], capture_output=True, text=True, env=environment, timeout=100)


@pytest.fixture
def profile(tmp_path):
    """Return the options for the profile strict, with more time on a slow machine."""
    if PATIENCE == 1:
        return []
    limits = f'wall = "{30 * PATIENCE}s"\ncpu = "{15 * PATIENCE}s"\n'
    (tmp_path / "slow.toml").write_text(f'schema = 1\nname = "slow"\nextends = ["strict"]\n[limits]\n{limits}')
    return ["-p", str(tmp_path / "slow.toml")]


@pytest.mark.timeout(120 * PATIENCE)
def test_every_program_holds(need_tool, profile):
    need_tool("gcc")
    done = run("--json", *profile)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["held"]
    assert [answer["program"] for answer in found["programs"]] == list(programs(os.uname().machine))
    assert [answer["program"] for answer in found["programs"] if not answer["held"]] == []
    unproven = {answer["program"] for answer in found["programs"] if not answer["proven"]}
    assert unproven <= ({"d21_priorities.py"} if os.geteuid() else set())


def test_the_first_that_gets_out_ends_it():
    done = run(code=WEAK)
    assert (done.returncode, done.stderr) == (1, "")
    first, last = done.stdout.splitlines()
    assert first.startswith("A1   a01_tiocsti.py                   GOT OUT: TIOCSTI")
    assert last == "strict: 0 of 1 programs held, 1 with a control that got out"
    found = json.loads(run("--json", code=WEAK).stdout)
    assert (found["held"], len(found["programs"]), found["programs"][0]["out"]) == (False, 1, ["TIOCSTI"])


def test_a_scene_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(subprocess.CalledProcessError):
        Scene(sys.executable, "/bin/false")
    assert os.listdir(tmp_path) == []
