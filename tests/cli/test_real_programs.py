"""Real programs must run in a jail as they run outside: the same output, the verdict `ok`."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

PROGRAMS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "programs")
SCRIPTS = [
    ("python3", "py_threads.py", []),
    ("python3", "py_multiprocessing.py", []),
    ("python3", "py_subprocess.py", []),
    ("python3", "py_libraries.py", []),
    ("python3", "py_asyncio.py", []),
    ("bash", "pipeline.sh", []),
    ("perl", "script.pl", []),
    ("node", "script.js", ["--runtime", "node"]),
]
CLEAN = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def source(name):
    return os.path.join(PROGRAMS, name)


def execute(jailpy, folder, options, command):
    """Run one command in a jail; return its standard output and the report."""
    report = folder / "report.json"
    argv = [jailpy, "exec", *options, "--report", str(report), "--", *command]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, cwd=folder, stdin=subprocess.DEVNULL)
    found = json.loads(report.read_text())
    found["stderr"] = done.stderr
    return done.stdout, found


@pytest.mark.parametrize(("tool", "name", "options"), SCRIPTS, ids=[script[1] for script in SCRIPTS])
def test_script_runs_under_strict_as_outside(jailpy, tmp_path, need_tool, tool, name, options):
    path = need_tool(tool)
    outside = subprocess.run(
        [path, source(name)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**CLEAN, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
    )
    assert outside.returncode == 0
    output, report = execute(jailpy, tmp_path, [*options, "--ro", f"{source(name)}:/work/{name}"], [tool, name])
    assert (output, report["verdict"]) == (outside.stdout, "ok"), report["stderr"]


def test_a_manager_needs_unix_sockets_and_the_hint_says_so(jailpy, tmp_path, need_tool):
    need_tool("python3")
    options = ["--ro", f"{source('py_manager.py')}:/work/manager.py"]
    command = ["python3", "manager.py"]
    output, report = execute(jailpy, tmp_path, options, command)
    assert (output, report["verdict"]) == ("", "nonzero_exit")
    assert any("@unix" in violation["allow_with"] for violation in report["violations"])
    assert "@unix" in report["stderr"]
    output, report = execute(jailpy, tmp_path, [*options, "--set", 'seccomp.allow=["@unix"]'], command)
    assert (output, report["verdict"]) == ("{'answer': 42}\n", "ok"), report["stderr"]
    assert any("seccomp.allow" in key for key in report["loosened"])


@pytest.mark.parametrize(
    ("compiler", "name", "flags", "printed"),
    [
        ("gcc", "hello.c", ["-O1", "-pthread", "-o", "prog", "hello.c", "-lm"], "42 1.414 1 1 1\nargument\n"),
        ("g++", "hello.cpp", ["-O1", "-std=c++17", "-pthread", "-o", "prog", "hello.cpp"], "500500\nthrown\n7 1\n"),
        ("rustc", "hello.rs", ["-O", "-o", "prog", "hello.rs"], '14\n{"a": 3, "b": 1, "c": 1}\nwritten\n'),
    ],
    ids=["gcc", "g++", "rustc"],
)
def test_compile_under_build_and_run_under_grade(jailpy, tmp_path, need_tool, compiler, name, flags, printed):
    need_tool(compiler)
    options = ["-p", "build", "--put", source(name), "--get", "prog:prog"]
    _, report = execute(jailpy, tmp_path, options, [compiler, *flags])
    assert report["verdict"] == "ok", report["stderr"]
    output, report = execute(jailpy, tmp_path, ["-p", "grade", "--put", "prog"], ["./prog", "argument"])
    assert (output, report["verdict"]) == (printed, "ok"), report["stderr"]


@pytest.mark.parametrize(
    ("name", "printed"),
    [("Hello", "500500\n140 Point[x=1, y=2]\nwritten\n"), ("Hungry", "refused after more than 30 MB\n")],
)
def test_java_keeps_to_the_memory_it_is_given(jailpy, tmp_path, need_tool, name, printed):
    need_tool("javac")
    options = ["-p", "build", "--runtime", "java", "--put", source(f"{name}.java"), "--get", "prog.jar:prog.jar"]
    build = f"javac {name}.java && jar cfe prog.jar {name} *.class"
    _, report = execute(jailpy, tmp_path, options, ["bash", "-c", build])
    assert report["verdict"] == "ok", report["stderr"]
    options = ["-p", "grade", "--runtime", "java", "--put", "prog.jar"]
    output, report = execute(jailpy, tmp_path, options, ["java", "-jar", "prog.jar"])
    assert (output, report["verdict"]) == (printed, "ok"), report["stderr"]


def test_the_callers_own_interpreter(jailpy, tmp_path):
    """`--runtime caller-python` shows the interpreter that runs JailPy, wherever it is installed."""
    command = ["python3", "-c", "import sys; print(sys.version_info[:2])"]
    output, report = execute(jailpy, tmp_path, ["--runtime", "caller-python"], command)
    assert report["verdict"] == "ok", report["stderr"]
    assert output.startswith("(3, ")
