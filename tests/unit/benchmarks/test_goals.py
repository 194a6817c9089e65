"""The goals, from a record that was made up."""

import pytest

from benchmarks import goals
from benchmarks.__main__ import ROWS

# figure: (measured, reached)
EXPECTED = {
    "warm run / bubblewrap": (0.6, True),
    "warm run / sandlock with limits": (0.5, True),
    "pooled run / plain process": (1.5, True),
    "jailpy exec / firejail": (0.5, True),
    "jailpy exec - python3 -c pass": (30.0, True),
    "throughput of 2 at a time, warm / bubblewrap": (2.0, True),
    "script of ten lines, warm Python / python3 not jailed": (0.3, True),
    "script with numpy, warm Python / python3 not jailed": (0.125, False),
    "call of a warm plugin with a small value": (100.0, True),
    "call with 100 MB as a Buffer": (1.0, True),
    "call with 100 MB of bytes": (40.0, False),
    "start, and the first call": (100.0, False),
    "start from a spare, and the first call": (2.0, True),
    "call in a fresh jail, from a spare": (1.0, True),
    "Python submissions, judged / run by the same threads": (1.2, True),
    "C submissions, 2 at a time": (200.0, False),
    "grading beside the jailed run": (1.5, True),
    "memory of an idle jail in a pool (PSS)": (1.5, True),
    "descriptors, processes, cgroups gained from run 2000 to 20000": (3.0, False),
    "memory that a launcher gained from run 2000 to 20000": (2.5, False),
    "time of run 20000 / of run 2000": (1.0, True),
    "reported CPU time, off by": (1.0, True),
    "reported peak memory, off by": (6.0, False),
    "getpid inside / under an allow-everything filter": (1.04, True),
    "read inside / under an allow-everything filter": (1.06, False),
    "stat inside / unconfined": (1.1, True),
    "open and close inside / unconfined": (1.4, False),
}


def test_figures(record):
    found = {line["figure"]: (line["measured"], line["reached"]) for line in goals.lines(record)}
    assert found == EXPECTED


def test_nothing_measured_is_nothing_reached():
    assert {(line["measured"], line["reached"]) for line in goals.lines({})} == {(None, None)}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_that_is_missing_takes_its_own_goals_along(record, row):
    del record[row]
    for line in goals.lines(record):
        assert (line["measured"] is None) == (line["row"] == row), line["figure"]


def test_a_peer_that_is_missing(record):
    record["start"]["rows"] = [entry for entry in record["start"]["rows"] if entry["name"] != "bubblewrap"]
    found = {line["figure"]: line["reached"] for line in goals.lines(record)}
    assert found["warm run / bubblewrap"] is None
    assert found["warm run / sandlock with limits"] is True


def test_few_past_runs_say_nothing_about_many(record):
    record["past_runs"]["runs"] = 2000
    lines = [line for line in goals.lines(record) if line["row"] == "past_runs"]
    assert [line["reached"] for line in lines] == [None, None, None]


def test_a_pace_that_changed_is_no_drift(record):
    points = record["past_runs"]["rows"][0]["points"]
    points[-1]["plain_p50"] = points[1]["plain_p50"]
    (line,) = (line for line in goals.lines(record) if line["figure"].startswith("time of run"))
    assert (line["measured"], line["reached"]) == (2.0, False)


def test_a_script_hides_the_cost_of_calls(record):
    record["inside"]["program"] = "Python script"
    assert {line["reached"] for line in goals.lines(record) if line["row"] == "inside"} == {None}


@pytest.mark.parametrize(("sense", "reached"), [(goals.AT_MOST, [True, True, False]), (goals.AT_LEAST, [False, True, True])])
def test_senses(sense, reached):
    found = [goals.Goal("start", "words", sense, 2.0, "x", lambda _, value=value: value).line({}) for value in (1.9, 2.0, 2.1)]
    assert [line["reached"] for line in found] == reached
