"""The results' types: they survive JSON unchanged, and the exit status says whose fault it was."""

from __future__ import annotations

import msgspec
import pytest

from jailpy.services.grading.results import Grading, Host, ProblemInfo, SubmissionResult, TestResult, Verdict


def grading(*verdicts, **more):
    entries = tuple(SubmissionResult(name=f"s{number}", verdict=verdict) for number, verdict in enumerate(verdicts))
    return Grading(
        problem=ProblemInfo(name="sum", digest="sha256:0"),
        submissions=entries,
        host=Host(kernel="6.1", machine="x86_64"),
        started_at="2026-01-01T00:00:00Z",
        ended_at="2026-01-01T00:00:01Z",
        jailpy="0.1.0",
        **more,
    )


def test_every_verdict_has_words():
    assert len({verdict.words for verdict in Verdict}) == len(Verdict) == 14


def test_results_survive_json():
    test = TestResult(name="secret/1", verdict=Verdict.RTE, signal=11, cpu_s=0.25)
    whole = msgspec.structs.replace(
        grading(), submissions=(SubmissionResult(name="\udcff", verdict=Verdict.RTE, tests=(test,)),)
    )
    with pytest.raises(UnicodeEncodeError):
        msgspec.json.encode(whole)
    named = msgspec.structs.replace(whole, submissions=(SubmissionResult(name="é<", verdict=Verdict.RTE, tests=(test,)),))
    assert msgspec.json.decode(msgspec.json.encode(named), type=Grading) == named


def test_values_are_frozen():
    with pytest.raises(AttributeError):
        grading().interrupted = True


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (grading(Verdict.AC, Verdict.WA, Verdict.SV), 0),
        (grading(Verdict.AC, Verdict.JE), 1),
        (grading(Verdict.AC, Verdict.IE), 1),
        (grading(Verdict.AC, interrupted=True, pending=("late",)), 1),
    ],
)
def test_the_exit_status(made, status):
    assert made.status == status
