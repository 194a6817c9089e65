"""The main job: examples/judge-folder, every verdict and its evidence, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from tests.core import PATIENCE

FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "judge-folder")
PROGRAMS = sorted(os.listdir(os.path.join(FOLDER, "programs")))
TOOLS = {".py": "python3", ".sh": "bash", ".pl": "perl", ".js": "node", ".c": "gcc", ".cpp": "g++"}
STATUS = {
    "ok": {0}, "signaled": {139}, "cpu_limit": {124}, "wall_limit": {124}, "memory_limit": {137}, "output_limit": {137},
    "process_limit": {1}, "disk_limit": {1}, "file_size_limit": {137, 153}, "nonzero_exit": {1, 126},
}  # fmt: skip


def expected(name):
    with open(os.path.join(FOLDER, "programs", name), encoding="utf-8") as file:
        return re.search(r"expect: (\w+)", file.read())[1]


def judge(jailpy, *paths):
    times = {"JUDGE_CPU": f"{2 * PATIENCE}s", "JUDGE_WALL": f"{15 * PATIENCE}s"}
    return subprocess.run(
        [sys.executable, os.path.join(FOLDER, "judge"), *paths],
        env={**os.environ, "JAILPY": jailpy, **times},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_verdict(name, jailpy, need_tool, nothing_left):
    need_tool(TOOLS[os.path.splitext(name)[1]])
    done = judge(jailpy, os.path.join(FOLDER, "programs", name))
    columns = done.stdout.splitlines()[1].split()
    assert columns[:2] == [name, expected(name)], done.stdout + done.stderr
    assert int(columns[2]) in STATUS[columns[1]], done.stdout
    assert done.returncode == 0
    assert "1 programs, 1 as expected, 0 skipped, 0 not" in done.stdout
    if columns[1].endswith("_limit"):
        assert len(columns) > 6, f"a limit verdict without evidence: {done.stdout}"


def test_a_wrong_verdict_is_told(jailpy, tmp_path):
    program = tmp_path / "liar.py"
    program.write_text("# expect: memory_limit\nprint('small')\n")
    done = judge(jailpy, str(program))
    assert done.returncode == 1
    assert "expected memory_limit" in done.stderr
    assert "0 as expected, 0 skipped, 1 not as expected" in done.stdout


def test_nosy_finds_much_outside():
    """Positive control for nosy.py: unjailed, it finds at least the secret of its environment."""
    done = subprocess.run(
        [sys.executable, os.path.join(FOLDER, "programs", "nosy.py")],
        env={**os.environ, "JUDGE_SECRET": "the answers"},
        capture_output=True,
    )
    assert done.returncode == 1
    assert b"/proc/self/environ" in done.stdout


def test_daemon_lived_until_the_end(jailpy, nothing_left):
    """Positive control for daemon.py: it did detach itself and run, so that there was something to kill."""
    program = os.path.join(FOLDER, "programs", "daemon.py")
    argv = [jailpy, "exec", "--ro", f"{program}:/work/daemon.py", "--", "python3", "daemon.py"]
    assert subprocess.run(argv, check=True, capture_output=True).stdout == b"still alive: True\n"


def test_report_names_every_layer(jailpy, tmp_path):
    report = tmp_path / "report.json"
    program = os.path.join(FOLDER, "programs", "primes.py")
    subprocess.run(
        [jailpy, "exec", "--ro", f"{program}:/work/primes.py", "--report", report, "--", "python3", "primes.py"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    layers = {layer["name"]: layer for layer in json.loads(report.read_text())["layers"]}
    required = {name for name, layer in layers.items() if layer["required"]}
    assert len(required) == 13
    assert {layers[name]["state"] for name in required} == {"enforced"}
    assert all(layers[name]["verified"] for name in required)
