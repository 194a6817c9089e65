"""The arithmetic of the benchmarks, and that what they watch is there: a renamed function must fail here first."""

from __future__ import annotations

import os
import sys
import time
import types

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


@pytest.fixture(autouse=True)
def _top_of_the_repository(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)


def test_every_watched_function_is_there():
    from benchmarks import one_run

    assert len(one_run.WATCHED) > 10
    for module, path, _ in one_run.WATCHED:
        owner, name = one_run.owner_of(module, path)
        assert callable(getattr(owner, name))


def test_a_function_that_is_gone_is_noticed():
    from benchmarks import one_run

    with pytest.raises(AttributeError):
        one_run.owner_of("jailpy.api", "no_such_function")


def test_summary():
    from benchmarks.timing import summary

    assert summary([float(number) for number in range(10, 0, -1)]) == {"median": 5.5, "p90": 9.0, "min": 1.0}
    assert summary([3.0]) == {"median": 3.0, "p90": 3.0, "min": 3.0}


def test_commands_take_turns(monkeypatch):
    from benchmarks import timing

    order = []
    monkeypatch.setattr(timing, "check", lambda contestant: None)
    monkeypatch.setattr(timing, "once", lambda contestant, null: order.append(contestant.name) or (1.0, 0.5))
    found = timing.in_turns([timing.Contestant(name, ["x"], "x", {}) for name in "ABC"], 3)
    assert "".join(order) == "ABCBCACAB"
    assert [times.wall for times in found.values()] == [[1.0] * 3] * 3


def test_a_command_is_timed():
    from benchmarks import timing

    sleeper = timing.Contestant("sleep", [sys.executable, "-c", "import time; time.sleep(0.05)"], "sleep", dict(os.environ))
    times = timing.in_turns([sleeper], 2)["sleep"]
    assert min(times.wall) >= 50
    assert min(times.cpu) > 0


def test_a_command_that_fails_is_no_result():
    from benchmarks import timing

    failing = timing.Contestant("false", [sys.executable, "-c", "raise SystemExit('broken')"], "false", dict(os.environ))
    with pytest.raises(SystemExit, match="status 1: broken"):
        timing.in_turns([failing], 1)


def test_differences_are_paired():
    from benchmarks.start import over
    from benchmarks.timing import Times

    slow, base = Times(wall=[30.0, 130.0, 31.0]), Times(wall=[10.0, 100.0, 10.0])
    assert over(slow, base) == {"median": 21.0, "p90": 30.0, "min": 20.0}


@pytest.mark.parametrize(("over_python", "held"), [(34.0, True), (36.0, False)])
def test_targets(over_python, held):
    from benchmarks.start import targets
    from benchmarks.timing import Times

    lines = targets({"python": Times(wall=[10.0]), "jailpy": Times(wall=[10.0 + over_python]), "firejail": Times(wall=[45.0])})
    assert [line["held"] for line in lines] == [held, held]


def test_time_inside_a_wrapped_function_is_counted_once():
    from benchmarks.spans import Spans

    owner = types.SimpleNamespace(inner=lambda: time.sleep(0.02), outer=lambda: (time.sleep(0.01), owner.inner()))
    spans = Spans("rest", time.monotonic_ns())
    spans.wrap(owner, "inner", "inner")
    spans.wrap(owner, "outer", "outer")
    begin = time.monotonic_ns()
    owner.outer()
    owner.inner()
    end = time.monotonic_ns()
    spans.turn(end)
    inner, outer = spans.spent["inner"], spans.spent["outer"]
    assert inner[0] >= 40e6
    assert outer[0] >= 10e6
    assert inner[0] + outer[0] <= end - begin
    assert (inner[1], outer[1]) == (2, 1)


def test_steps_of_a_child_are_seen_by_the_parent():
    from benchmarks.spans import SharedSlots

    class Quick:
        side = "init"

    class Last:
        side = "payload"

    slots = SharedSlots(8)
    apply = {Quick: lambda step, child: time.sleep(0.01), Last: lambda step, child: os._exit(0)}
    slots.wrap(apply)
    steps = (Quick(), Last(), Quick())
    slots.name(steps)
    pid = os.fork()
    if pid == 0:
        for step in steps:
            apply[type(step)](step, None)
    assert os.waitpid(pid, 0)[1] == 0
    (quick, side, begin, end), (last, _, began, never) = slots.times()
    assert (quick, side, last) == ("Quick", "init", "Last")
    assert end - begin >= 10e6
    assert began >= end
    assert never == 0


def test_peers_that_are_missing_are_named(monkeypatch, tmp_path):
    from benchmarks import environments

    monkeypatch.setattr(environments.shutil, "which", lambda name: "/usr/bin/bwrap" if name == "bwrap" else None)
    found, skipped = environments.peers(environments.Installed("/none", {}), str(tmp_path), sandlock=False)
    assert [contestant.name for contestant in found] == ["bubblewrap"]
    assert [(entry["name"], bool(entry["why"])) for entry in skipped] == [("firejail", True), ("sandlock", True)]


def test_the_environment_writes_bytecode(monkeypatch, tmp_path):
    from benchmarks import environments

    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("KEPT", "yes")
    made = environments.clean_environment(str(tmp_path))
    assert "PYTHONDONTWRITEBYTECODE" not in made
    assert made["KEPT"] == "yes"


def test_options():
    from benchmarks.__main__ import options

    assert options([]).runs > options(["--quick"]).runs
    assert options(["--quick", "--runs", "3"]).runs == 3
    with pytest.raises(SystemExit):
        options(["--runs", "0"])


def test_child_rows_leave_out_what_never_returned():
    from benchmarks.steps import child_rows

    record = {"steps": [["A", "init", 0, 1_000_000], ["A", "init", 5, 2_000_005], ["Execute", "payload", 9, 0]]}
    assert child_rows([record]) == [{"name": "A", "median": 3.0, "min": 3.0, "count": 2, "side": "init"}]


def test_ratios_are_paired():
    from benchmarks.inside import ratios

    assert ratios([[11.0, 220.0, 9.0], [10.0, 200.0, 10.0]]) == (1.1, 0.9)
