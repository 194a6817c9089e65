"""The processes that make the calls, and what is measured in them."""

import os
import subprocess
import sys
import time

import pytest

from benchmarks import accuracy, alive, calls, contestants, payloads, processes, processor, remote, tables, throughput
from benchmarks.common import FailedError, UnavailableError
from jailpy.client import launcher

TRUE = {"way": "subprocess", "commands": [["/usr/bin/true"]]}
FALSE = {"way": "subprocess", "commands": [["/usr/bin/false"]]}


@pytest.fixture(autouse=True)
def alone():
    """End the launcher that other tests of this process share: what is below this process is measured here."""
    while launcher._shared:
        launcher._shared.pop().close()


@pytest.fixture
def caller():
    with remote.Remote(sys.executable, dict(os.environ)) as found:
        yield found


def test_a_failure_crosses_and_the_caller_goes_on(caller):
    with pytest.raises(FailedError, match="/usr/bin/false: status 1"):
        caller.call("calls:ready", name="false", call=FALSE)
    caller.call("calls:ready", name="true", call=TRUE)
    assert caller.call("calls:once", name="true") > 0


def test_what_is_unavailable_crosses(monkeypatch):
    def unavailable(name):
        raise UnavailableError(f"no {name}")

    monkeypatch.setattr(calls, "once", unavailable)
    assert remote._answer("calls:once", {"name": "x"}) == ("unavailable", "no x")
    assert remote._ERRORS["unavailable"] is UnavailableError


def test_what_a_program_prints_is_no_answer(caller):
    noisy = {"way": "subprocess", "commands": [["/bin/sh", "-c", "echo '[\"result\", 1]'; echo noise >&2"]]}
    assert caller.call("calls:output", call=noisy) == '["result", 1]\n'
    assert caller.call("calls:hello") is None


def test_a_caller_that_dies_is_noticed(caller):
    caller._process.kill()
    with pytest.raises(FailedError, match="has ended"):
        caller.call("calls:hello")


class Done:
    """A run that ended well."""

    verdict, returncode, stderr = "ok", 0, b""

    def __init__(self, words):
        self.stdout = " ".join(words).encode()


class Launcher:
    """A launcher whose pool is so many processes that sleep, each with more memory than this process may lose meanwhile."""

    SLEEPER = ("/usr/bin/python3", "-I", "-S", "-c", "import time; held = b'x' * 20_000_000; print(flush=True); time.sleep(60)")

    def __init__(self, pool=0):
        self.sleepers = [subprocess.Popen(self.SLEEPER, stdout=subprocess.PIPE) for _ in range(pool)]
        for sleeper in self.sleepers:
            sleeper.stdout.readline()

    def run(self, argv, **options):
        return Done([*argv, *options])

    def python(self, script, preload):
        return Done([script, *preload])

    def close(self):
        for sleeper in self.sleepers:
            sleeper.kill()
            sleeper.wait()
            sleeper.stdout.close()


@pytest.fixture
def made_up(monkeypatch):
    """A JailPy that has everything."""
    import jailpy

    monkeypatch.setattr(jailpy, "Launcher", Launcher)
    monkeypatch.setattr(calls, "_launchers", {})
    yield
    for made in calls._launchers.values():
        made.close()


def test_a_pool_and_a_warm_python_are_used_where_they_are(made_up):
    pooled = contestants.jailpy(contestants.POOLED, ["x"], wall="1s").call
    assert calls.output(pooled) == "x wall"
    assert len(calls.launcher({"pool": contestants.POOL}).sleepers) == contestants.POOL
    warm = {"way": "python", "launcher_options": {}, "script": "s.py", "options": {"preload": ["numpy"]}}
    assert calls.output(warm) == "s.py numpy"


def test_a_jail_in_a_pool_is_measured(made_up):
    found = alive.in_pool(1, 4)
    assert found["processes"] == 1
    assert 20 < found["pss_mb"] < 30


def test_an_option_that_this_jailpy_has_not_is_unavailable():
    with pytest.raises(UnavailableError, match="no_such_option"):
        calls.launcher({"no_such_option": 1})


def test_a_method_that_this_jailpy_has_not_is_unavailable(monkeypatch):
    monkeypatch.setattr(calls, "_launchers", {"{}": object()})
    with pytest.raises(UnavailableError, match=r"Launcher\.python"):
        calls.make({"way": "python", "launcher_options": {}, "script": "s.py", "options": {}})


def test_an_option_that_cannot_be_used_is_a_failure():
    with pytest.raises(FailedError, match="wall and timeout"):
        calls.launcher({"wall": 1, "timeout": 1})


def test_another_output_than_expected_is_no_result():
    echo = {"way": "subprocess", "commands": [["/bin/echo", "7"]]}
    calls.ready("echo", echo, "7\n")
    with pytest.raises(FailedError, match="expected '8"):
        calls.ready("echo", echo, "8\n")


def test_variables_are_added():
    call = {"way": "subprocess", "commands": [["/bin/sh", "-c", 'echo "$ADDED $HOME"']], "environment": {"ADDED": "x"}}
    assert calls.output(call) == f"x {os.environ.get('HOME', '')}\n"


def test_a_call_is_timed():
    calls.ready("sleep", {"way": "subprocess", "commands": [["/bin/sleep", "0.02"], ["/bin/sleep", "0.03"]]})
    assert min(calls.times("sleep", 2)) >= 50


def test_throughput_counts_runs():
    sleeper = {"way": "subprocess", "commands": [["/bin/sleep", "0.1"]]}
    one, four = (throughput.parallel(sleeper, workers, 0.5) for workers in (1, 4))
    assert 2 < one <= 10
    assert four > 2 * one
    with pytest.raises(FailedError, match="status 1"):
        throughput.parallel(FALSE, 2, 0.2)


def test_a_family():
    before = processes.held()
    child = subprocess.Popen(["/bin/sh", "-c", "sleep 60 & wait"], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 5
    while len(processes.family(child.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    family = processes.family(child.pid)
    try:
        held = processes.held()
        assert len(family) == 2
        assert held["processes"] >= before["processes"] + 2
        assert held["descriptors"] > before["descriptors"]
        assert held["memory_bytes"] > before["memory_bytes"]
        assert 0 < processes.pss(child.pid) <= processes.rss(child.pid)
    finally:
        for pid in family:
            os.kill(pid, 9)
        child.wait()
        child.stdout.close()
    assert processes.pss(child.pid) == 0


def test_cgroups_of_a_family_also_of_those_that_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "CGROUPS", str(tmp_path))
    monkeypatch.setattr(processes, "_seen", set())
    child = subprocess.Popen(["/bin/sleep", "60"])
    for name in (
        f"jailpy-{child.pid}-1-2-3",
        f"jailpy-{os.getpid()}-1-2-3",
        f"jailpy-{os.getppid()}-1-2-3",
        "jailpy-1000",
        "other",
    ):
        (tmp_path / "memory" / name).mkdir(parents=True)
    try:
        assert processes.held()["cgroups"] == 2
    finally:
        child.kill()
        child.wait()
    assert processes.held()["cgroups"] == 2


def test_a_crowd_is_measured_and_killed():
    call = contestants.program("sh", [alive.SLEEPER], "sh").call
    found = alive.crowd(call, 3)
    assert found["processes"] == 1
    assert 0 < found["pss_mb"] < 10
    assert 0 < found["seconds"] < 10
    with pytest.raises(FailedError, match="before it wrote"):
        alive.crowd(TRUE, 1)


def test_errors_in_per_cent():
    assert accuracy.off(1.03, 1.0) == pytest.approx(3.0)
    assert accuracy.off(0.5, 1.0) == -50
    assert accuracy._row([-4.0, 1.0, 2.0]) == {"median": 1.0, "worst": -4.0}


@pytest.mark.parametrize("kind", [payloads.C, payloads.SCRIPT])
def test_the_workload_knows_what_it_used(tmp_path, monkeypatch, need_tool, kind):
    if kind == payloads.SCRIPT:
        monkeypatch.setattr(payloads.shutil, "which", lambda name: None)
        monkeypatch.setattr(payloads.sys, "executable", "/usr/bin/python3")
    else:
        need_tool("gcc")
    path = str(tmp_path / "workload")
    assert payloads.build(path, accuracy.SOURCE, accuracy.SCRIPT) == kind
    begin = os.times()
    done = subprocess.run([path, "0.2", str(20 << 20), "2"], capture_output=True, text=True, check=True)
    end = os.times()
    seconds, touched = map(float, done.stdout.strip("[]\n").split(","))
    waited = end.children_user + end.children_system - begin.children_user - begin.children_system
    assert seconds == pytest.approx(waited, abs=0.05)
    assert 0.2 <= seconds < 0.5
    assert 20 << 20 <= touched < 40 << 20


def test_no_compiler_and_no_python_that_a_jail_sees(monkeypatch, tmp_path):
    monkeypatch.setattr(payloads.shutil, "which", lambda name: None)
    monkeypatch.setattr(payloads.sys, "executable", "/opt/python3")
    with pytest.raises(UnavailableError, match="gcc"):
        payloads.build(str(tmp_path / "x"), "", "")


def test_who_fails_under_load_is_named_and_the_others_are_measured(stage, monkeypatch):
    def parallel(call, workers, seconds):
        if workers == 4 and call["way"] == "launcher":
            raise FailedError("broken")
        return 7.0

    class Caller:
        def call(self, function, **arguments):
            return parallel(**arguments)

    monkeypatch.setattr(stage, "caller", lambda where: Caller())
    found = {row["name"]: row["rates"] for row in throughput.measure(stage)["rows"]}
    assert found["plain process"] == {"1": 7.0, "2": 7.0, "4": 7.0, "8": 7.0}
    assert found["jailpy, warm"] == {"1": 7.0, "2": 7.0, "8": 7.0}
    assert {"name": "jailpy, warm, 4 at a time", "why": "broken"} in stage.failed


def test_rates_that_are_missing_say_so():
    part = {"rows": [{"name": "x", "rates": {"1": 7.0, "8": 9.0}}]}
    assert tables.throughput(part).rows == [("x", "7", "not measured", "not measured", "9")]


def test_processor_time_is_that_of_all_processes():
    loop = ["/usr/bin/python3", "-I", "-S", "-c", "import time\nwhile time.process_time() < 0.1: pass"]
    found = processor.spent({"way": "subprocess", "commands": [loop]}, 3)
    assert 100 <= found["run"] < 200
    assert found["staying"] < 10
    assert found["clock"] > found["caller"]
