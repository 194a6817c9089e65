"""The environment that goes with each request: decoded once, and never an old one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import jailpy
from jailpy.client import options


def test_each_change_is_seen(monkeypatch):
    first = options.environment()
    assert first == dict(os.environ)
    assert options.environment() is first
    monkeypatch.setenv("JAILPY_TEST", "one")
    assert options.environment() == dict(os.environ) == {**first, "JAILPY_TEST": "one"}
    os.environ["JAILPY_TEST"] = "two"
    assert options.environment()["JAILPY_TEST"] == "two"
    os.environb[b"JAILPY_TEST"] = b"\xff"
    assert options.environment()["JAILPY_TEST"] == "\udcff"
    del os.environ["JAILPY_TEST"]
    assert options.environment() == dict(os.environ) == first


def test_another_environment_is_seen(monkeypatch):
    options.environment()
    monkeypatch.setattr(os, "environ", {"ONLY": "this"})
    assert options.environment() == {"ONLY": "this"}
    monkeypatch.setattr(os, "environ", {"ONLY": "that"})
    assert options.environment() == {"ONLY": "that"}


def test_the_server_takes_the_standard_library_first(tmp_path):
    """Beside JailPy may lie what a payload wrote: `get` puts it there where that is the caller's folder."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(jailpy.__file__)))
    shutil.copytree(f"{root}/jailpy", tmp_path / "jailpy")
    for name in ("json", "resource", "select", "traceback"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(77)\n")
    (tmp_path / "beside.py").write_text("print('beside')\n")
    folders = [str(tmp_path), *(path for path in sys.path if path.endswith("-packages"))]
    program = f"import sys; sys.path += {folders}; import beside, jailpy; print(jailpy.__file__, jailpy.run(['true']).verdict)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"beside\n{tmp_path}/jailpy/__init__.py ok\n", done.stderr
