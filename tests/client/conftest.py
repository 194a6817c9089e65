"""Launchers for tests of the Python API, scripts that use it, and a look at the servers that are left."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import textwrap

import pytest

import jailpy
from tests.core import eventually

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(jailpy.__file__)))
MARK = f"JAILPY_TEST_{secrets.token_hex(8)}"


def servers(mark=MARK):
    """List the server and worker processes of this test session, or of one script of it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read()
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = file.read()
        except OSError:
            continue  # ended since the listing, or somebody else's
        if b"from jailpy.server import main" in words and mark.encode() in environment:
            found.append(int(pid))
    return found


@pytest.fixture(scope="session", autouse=True)
def marked():
    """Mark what this session starts."""
    os.environ[MARK] = "1"
    yield
    del os.environ[MARK]


@pytest.fixture
def no_server_left():
    """See that a test leaves no server or worker."""
    before = set(servers())
    yield
    assert eventually(lambda: set(servers()) <= before), "servers are left"


@pytest.fixture(scope="module")
def launcher():
    """One launcher for the tests of a module."""
    with jailpy.Launcher() as launcher:
        yield launcher
        processes = launcher._server._process.pid if launcher._server._process else 0
    assert not processes or not os.path.exists(f"/proc/{processes}")


@pytest.fixture
def script(tmp_path):
    """Return a function that starts a Python script which uses the package under test; all are dead after the test."""
    started = []

    def start(source, *args, **options):
        mark = f"JAILPY_TEST_{secrets.token_hex(8)}"
        path = tmp_path / f"script{len(started)}.py"
        path.write_text(textwrap.dedent(source))
        defaults = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environment = {**os.environ, "PYTHONPATH": ROOT, mark: "1"}
        process = subprocess.Popen(
            [sys.executable, "-W", "error", str(path), *map(str, args)], **{"env": environment, **defaults, **options}
        )
        process.mark = mark
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
    for process in started:
        assert eventually(lambda process=process: not servers(process.mark)), "a script left its server"


@pytest.fixture
def run_script(script):
    """Return a function that runs a script to its end and returns what it wrote; the script must end with 0."""

    def run(source, *args, **options):
        process = script(source, *args, **options)
        out, err = process.communicate(timeout=90)
        assert (process.returncode, err) == (0, ""), err
        return out

    return run
