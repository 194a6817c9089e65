"""verifyproblem, the format's reference, agrees on every package of ours: verdict for verdict, score for score."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

import jailpy
from jailpy.services.grading import examples
from jailpy.services.grading.engine import Judge, Options
from jailpy.services.grading.problem import Problem
from jailpy.services.grading.verify import Verifying
from tests.core import PATIENCE, alive, eventually, token
from tests.grading.conftest import write
from tests.grading.packages import PACKAGES

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(jailpy.__file__)))
OWN = os.path.join(ROOT, "examples", "grading")
PLAIN = """
python3: {compile: 'python3 -m py_compile {files}', run: 'python3 {mainfile}'}
javascript: {compile: 'node --check {mainfile}', run: 'node {mainfile}'}
java:
    compile: 'javac -encoding UTF-8 -sourcepath {path} -d {path} {files}'
    run: 'java -XX:+UseSerialGC -Xmx{memlim}m -cp {path} {mainclass}'
"""
LINE = re.compile(r"^ +(\S+)/(\S+) \(.*\) (?:OK|OK with extra time): (\w+)(?: \((-?\d+)\))?", re.MULTILINE)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def verifyproblem():
    """The command, of the same environment; skip where it is not installed, fail where CI forgot it."""
    found = os.path.join(os.path.dirname(sys.executable), "verifyproblem")
    if os.path.exists(found):
        return found
    if os.environ.get("CI"):
        pytest.fail("problemtools is not installed")
    pytest.skip("problemtools is not installed")


def theirs(command, folder, config, path="/usr/bin:/bin"):
    """Run verifyproblem: (verdict, score) of each submission that did what it promises."""
    environment = {**os.environ, "XDG_CONFIG_HOME": str(config), "PATH": path}
    argv = [command, "-p", "data", "submissions", "validators", "-l", "INFO", str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=500, cwd="/")
    said = done.stdout + done.stderr
    assert re.search(r"tested: 0 errors", said), said
    return {f"{kind}/{name}": (verdict, score and float(score)) for kind, name, verdict, score in LINE.findall(said)}


def ours(folder):
    """Judge the package: (verdict among the format's, score where it is accepted) of each submission."""
    problem = Problem.load(folder)
    with Judge(problem, Options(jobs=1)) as judge:
        verifying = Verifying(judge, problem, judge.limits)
        found = [verifying.judge(example.submission) for example in examples.load(problem)]
    assert {result.name: result.broken for result in found if result.broken} == {}
    return {
        result.name: (examples.class_of(result.verdict), result.score if result.verdict == "AC" else None) for result in found
    }


def agree(said, found):
    assert said.keys() == found.keys()
    assert {name: verdict for name, (verdict, _) in said.items()} == {name: verdict for name, (verdict, _) in found.items()}
    scores = {name: score for name, (_, score) in said.items() if score != ""}
    assert scores == {name: pytest.approx(found[name][1]) for name in scores}


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_of_the_tests(verifyproblem, tmp_path, name):
    folder = write(tmp_path / name, PACKAGES[name]())
    config = write(tmp_path / "config", {"problemtools/languages.yaml": PLAIN})
    agree(theirs(verifyproblem, folder, config), ours(folder))


@pytest.mark.parametrize("name", ["change", "guess"])
def test_packages_of_the_examples(verifyproblem, need_tool, tmp_path, name):
    for tool in ("gcc", "g++", "javac", "node"):
        need_tool(tool)
    config = write(tmp_path / "config", {"problemtools/languages.yaml": PLAIN})
    agree(theirs(verifyproblem, f"{OWN}/{name}", config), ours(f"{OWN}/{name}"))


@pytest.fixture
def jailed(jailpy, tmp_path):
    """A configuration that puts a jail around each program, and the PATH that it needs."""
    tools = tmp_path / "tools"
    tools.mkdir()
    shutil.copy(f"{OWN}/problemtools/jailed", tools)
    os.symlink(jailpy, tools / "jailpy")
    (tmp_path / "jail" / "problemtools").mkdir(parents=True)
    shutil.copy(f"{OWN}/problemtools/languages.yaml", tmp_path / "jail" / "problemtools")
    return tmp_path / "jail", f"{tools}:/usr/bin:/bin"


def test_verifyproblem_with_a_jail_around_each_program(verifyproblem, need_tool, tmp_path, jailed):
    for tool in ("gcc", "g++", "javac", "node"):
        need_tool(tool)
    config, path = jailed
    plain = write(tmp_path / "config", {"problemtools/languages.yaml": PLAIN})
    for name in ("change", "guess"):
        assert theirs(verifyproblem, f"{OWN}/{name}", config, path) == theirs(verifyproblem, f"{OWN}/{name}", plain)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_jail_ends_with_the_script_around_it(jailed, tmp_path, number):
    """verifyproblem's interactive runner kills that at its wall limit, and knows of nothing below."""
    _, path = jailed
    folder, word = tmp_path / "folder", token()
    folder.mkdir()
    command = ["python3", "-c", f"import os, time; os.write(1, b'in'); time.sleep(60)  # {word}"]
    script = f"{path.partition(':')[0]}/jailed"
    environment = {**os.environ, "PATH": path}
    with subprocess.Popen([script, folder, "256", "none", *command], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.read(2) == b"in"
        assert len(alive(word)) > 2, "the script, the launcher, and the program"
        process.send_signal(number)
    assert eventually(lambda: not alive(word), PATIENCE)


def test_the_programs_are_really_in_jails(verifyproblem, tmp_path, jailed):
    """A submission that is accepted only where it finds no file of the host."""
    config, path = jailed
    secret = tmp_path / "secret"
    secret.write_text("x")
    spy = f"import os\nprint(input() if not os.path.exists({os.fspath(secret)!r}) else 'seen')\n"
    files = {**PACKAGES["passing"](), "submissions/accepted/spy.py": spy}
    folder = write(tmp_path / "spied", files)
    assert theirs(verifyproblem, folder, config, path)["accepted/spy.py"][0] == "AC"
    plain = write(tmp_path / "config", {"problemtools/languages.yaml": PLAIN})
    with pytest.raises(AssertionError, match="got WA"):
        theirs(verifyproblem, folder, plain)
