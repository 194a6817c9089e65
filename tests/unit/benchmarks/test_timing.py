"""Percentiles, and taking turns."""

import itertools

import pytest

from benchmarks import timing
from benchmarks.past_runs import FIRST, TIMED, looks


@pytest.mark.parametrize(("percent", "value"), [(50, 5.0), (90, 9.0), (91, 10.0), (99, 10.0), (100, 10.0), (1, 1.0)])
def test_percentile_is_the_nearest_rank(percent, value):
    assert timing.percentile([float(number) for number in range(10, 0, -1)], percent) == value


def test_summary():
    values = [float(number) for number in range(200, 0, -1)]
    assert timing.summary(values) == {"p50": 100.5, "p90": 180.0, "p99": 198.0, "min": 1.0, "runs": 200}
    assert timing.summary([3.0]) == {"p50": 3.0, "p90": 3.0, "p99": 3.0, "min": 3.0, "runs": 1}


def test_each_round_has_everybody_once_in_an_order_of_its_own():
    names = list("ABCDE")
    order = "".join(timing.shuffled(names, 40))
    rounds = [order[at : at + 5] for at in range(0, 200, 5)]
    assert all(sorted(one) == names for one in rounds)
    assert len({one.index("A") for one in rounds}) == 5
    assert {before + after for one in rounds for before, after in itertools.pairwise(one)} >= {"AB", "BA", "CA", "EA"}


def test_calls_take_turns():
    order = []
    calls = {name: lambda name=name: order.append(name) or float(len(order)) for name in "AB"}
    found = timing.in_turns(calls, 3, 0)
    assert sorted(found["A"] + found["B"]) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert sorted(order[:2]) == ["A", "B"]


@pytest.mark.parametrize("runs", [500, 2000, 20000])
def test_looks_at_past_runs(runs):
    found = looks(runs)
    assert (found[0], found[-1]) == (FIRST, runs)
    assert runs < 1000 or found[1] == runs // 10
    assert all(later - sooner >= TIMED for sooner, later in itertools.pairwise(found))
