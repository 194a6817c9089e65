"""The Python code of the documents runs as it stands; the reference names every public name and option."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys

import pytest

import jailpy
from jailpy.client import options
from tests.core import PATIENCE

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(jailpy.__file__)))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


PAGES = ("docs/how-to/from-python.md", "docs/how-to/grade-submissions.md", "README.md")
EXAMPLES = [
    (path, at, block)
    for path in PAGES
    for at, block in enumerate(re.findall(r"^```python\n(.*?)^```", read(path), re.MULTILINE | re.DOTALL))
]


def test_there_are_examples():
    assert {path for path, _, _ in EXAMPLES} == set(PAGES)
    assert len(EXAMPLES) >= 7


@pytest.mark.parametrize(("path", "at", "block"), EXAMPLES)
@pytest.mark.usefixtures("nothing_left", "no_server_left")
def test_an_example_runs(tmp_path, path, at, block):
    # A slow machine is given more time than the example gives.
    patient = re.sub(r'wall="(\d+)s"', lambda found: f'wall="{float(found[1]) * PATIENCE}s"', block)
    (tmp_path / "example.py").write_text(patient)
    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    for said in re.findall(r"^ *print\(.*\)  # (.*)$", block, re.MULTILINE):
        if "only with" not in said:
            assert said in done.stdout.splitlines()


def test_the_reference_has_every_name():
    words = set(re.findall(r"\w+", read("docs/reference/python.md")))
    assert set(jailpy._NAMES) <= words
    methods = {
        name
        for kind in (jailpy.Launcher, jailpy.Running, jailpy.CompletedRun, jailpy.Profile, jailpy.JailExecutor)
        for name, member in vars(kind).items()
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod))
    }
    assert len(methods) > 20
    assert methods - {"disown"} <= words
    assert {*options.SETTINGS, *options.OTHERS} <= words
    assert {*inspect.signature(jailpy.Launcher.run).parameters} - {"self"} <= words
    assert str(options._MOST_PASSED) in words
