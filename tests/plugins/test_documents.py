"""The Python code of the documents on plugins runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import jailpy

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(jailpy.__file__)))
with open(f"{ROOT}/docs/how-to/plugins.md", encoding="utf-8") as page:
    BLOCKS = re.findall(r"^```python\n(.*?)^```", page.read(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_runs(tmp_path, block):
    (tmp_path / "example.py").write_text(block)
    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    said = re.findall(r"^ *print\(.*\)  # (.*)$", block, re.MULTILINE)
    assert said == done.stdout.splitlines()
