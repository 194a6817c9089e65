"""The arithmetic of one watched run, and that what is watched is there: a renamed function must fail here first."""

from __future__ import annotations

import os
import time
import types

import pytest


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


def test_child_rows_leave_out_what_never_returned():
    from benchmarks.steps import child_rows

    record = {"steps": [["A", "init", 0, 1_000_000], ["A", "init", 5, 2_000_005], ["Execute", "payload", 9, 0]]}
    assert child_rows([record]) == [{"name": "A", "median": 3.0, "min": 3.0, "count": 2, "side": "init"}]


def test_ratios_are_paired():
    from benchmarks.inside import ratio

    assert ratio([[11.0, 220.0, 9.0], [10.0, 200.0, 10.0]]) == 1.1
