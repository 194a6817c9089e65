"""The names of options: those of the command line, of the profile, and of the types agree; importing stays cheap."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

import jailpy
from jailpy.cli.options import OPTIONS
from jailpy.client import options
from jailpy.profile.schema import KEYS

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(jailpy.__file__)))
PYTHON_ONLY = {"timeout", "cwd", "pass_fds"}
COMMAND_LINE_ONLY = {"workdir", "tty", "report", "verbose", "quiet", "stdin", "stdout", "stderr"}


def test_the_options_are_those_of_the_command_line():
    table = {option.name for option in OPTIONS} - COMMAND_LINE_ONLY
    assert {*options.SETTINGS, *options.OTHERS} - PYTHON_ONLY == table


def test_they_stand_for_the_same_keys():
    keys = {option.name: option.key for option in OPTIONS if option.key}
    mine = {**options.LISTS, **options.SCALARS}
    mine["workdir"] = mine.pop("cwd")
    assert mine == {name: key for name, key in keys.items() if name != "env"}
    assert set(mine.values()) <= set(KEYS)


def fields():
    """Return the fields of each TypedDict, which exist for type checkers alone."""
    with open(options.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    return {
        node.name: [item.target.id for item in node.body if isinstance(item, ast.AnnAssign)]
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }


def test_the_types_have_the_same_names():
    found = fields()
    assert set(found["Settings"]) == set(options.SETTINGS)
    assert {*found["Defaults"], "profile"} == set(options.OTHERS)
    assert set(found["Options"]) == {"profile", "stdin", "stdout", "stderr"}
    assert set(found["RunOptions"]) == {"input", "text", "encoding", "errors", "check", "on_start"}


@pytest.mark.slow
def test_mypy_sees_wrong_names(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "good.py").write_text(
        "import jailpy\n"
        'done = jailpy.run(["true"], wall=1, ro=["a"], env={"A": "b"}, text=True, check=True)\n'
        "code: int | None = done.returncode\n"
        'with jailpy.Launcher("strict", memory="64M") as launcher:\n'
        '    launcher.popen(["true"], stdout=-1, pass_fds=[5]).kill()\n'
        '    verdicts: list[str] = [each.verdict for each in launcher.map([["true"]])]\n'
        'jailpy.Profile.load("strict").replace(memory="64M")\n'
        "with jailpy.JailExecutor(2, modules=['json'], memory='64M') as executor: executor.submit(len, [1]).result()\n"
        "async def main() -> None: await jailpy.run_async(['true'], input=b'x')\n"
    )
    (tmp_path / "bad.py").write_text(
        "import jailpy\n"
        'jailpy.run(["true"], memroy="1M")\n'
        'jailpy.Launcher(input=b"x")\n'
        'jailpy.run("true", wall=[])\n'
        "jailpy.rnu\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "good.py", "bad.py"],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "MYPYPATH": f"{ROOT}:{ROOT}/stubs"},
    )  # fmt: skip
    wrong = [line for line in done.stdout.splitlines() if "error:" in line]
    assert {line.split(":")[0] for line in wrong} == {"bad.py"}, done.stdout + done.stderr
    assert {int(line.split(":")[1]) for line in wrong} == {2, 3, 4, 5}


def test_every_public_name_is_there():
    for name in jailpy._NAMES:
        assert getattr(jailpy, name).__name__ == name
        assert name in dir(jailpy)
    with pytest.raises(AttributeError, match="no attribute 'rnu'"):
        _ = jailpy.rnu


def test_importing_the_package_loads_nothing():
    program = "import sys; before = set(sys.modules); import jailpy; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == ["__future__", "jailpy"]
