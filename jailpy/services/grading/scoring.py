"""How results of tests become those of groups and of the submission, by the rules of each group. Pure."""

from __future__ import annotations

import math

from jailpy.services.grading.results import GroupResult, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jailpy.services.grading.checkers import Judgement
    from jailpy.services.grading.problem import Group, Problem, Rules, Test
    from jailpy.services.grading.results import TestResult

    Result = TestResult | GroupResult

_LARGEST = 1e100  # sums and averages of as many tests as there can be, and of their submissions, stay numbers
_WORST_FIRST = ("IE", "JE", "CE", "SV", "RTE", "FLE", "MLE", "TLE", "WTLE", "ITLE", "OLE", "WA", "PE", "AC")


def of_test(problem: Problem, rules: Rules, test: Test, said: Judgement) -> tuple[float | None, str]:
    """Return the score of a test, None where tests of its group have none, and what is wrong with it, "" where nothing is."""
    if problem.is_scoring and problem.format == "2025-09" and test.kind == "sample":
        return None, ""
    if not problem.is_scoring or rules.score == "pass-fail":
        given = said.score is not None or said.multiplier is not None
        return None, "gave a score in a group that passes or fails as a whole" if given and problem.is_scoring else ""
    if said.verdict != Verdict.AC:
        return rules.reject, ""
    if said.multiplier is not None:
        most = test.max_score if test.max_score is not None else rules.accept if problem.format != "2025-09" else None
        return (None, "gave a multiplier where there is no maximum") if most is None else (said.multiplier * most, "")
    if said.score is not None and said.score > _LARGEST:
        return None, f"gave {said.score:g} points, more than {_LARGEST:g}"
    if said.score is not None:
        too_much = test.max_score is not None and said.score > test.max_score * (1 + 1e-9)
        return said.score, f"gave {said.score:g} of {test.max_score:g} points" if too_much else ""
    if problem.format == "2025-09" and test.max_score is None:
        return None, "gave no score, and the test has no maximum"
    return test.max_score if test.max_score is not None else rules.accept, ""


def of_group(problem: Problem, group: Group, found: Sequence[Result]) -> GroupResult:
    """Return what the results of a group's members come to. Members that were not run are not among them."""
    rules, counted = group.rules, list(found)
    if rules.stops:
        failed = next((at for at, result in enumerate(counted) if result.verdict != Verdict.AC), len(counted))
        counted = counted[: failed + 1]
    if rules.ignores_sample and len(counted) > 1:
        counted = counted[-1:]
    verdict = _verdict(rules, [result.verdict for result in counted])
    score = _score(rules, verdict, [result.score for result in counted]) if problem.is_scoring else None
    return GroupResult(name=group.name, verdict=verdict, score=score, max_score=rules.max_score)


def _verdict(rules: Rules, verdicts: Sequence[Verdict]) -> Verdict:
    ours = [verdict for verdict in (Verdict.IE, Verdict.JE) if verdict in verdicts]
    if ours:
        return ours[0]
    if rules.verdict == "always" or (rules.verdict == "any" and Verdict.AC in verdicts):
        return Verdict.AC
    if rules.verdict == "first":
        return next((verdict for verdict in verdicts if verdict != Verdict.AC), Verdict.AC)
    return min(verdicts, key=_WORST_FIRST.index, default=Verdict.AC)


def _score(rules: Rules, verdict: Verdict, scores: Sequence[float | None]) -> float | None:
    if verdict in (Verdict.IE, Verdict.JE):
        return None
    if rules.score == "pass-fail":
        return (rules.max_score or 0.0) if verdict == Verdict.AC else 0.0
    numbers = [score or 0.0 for score in scores]
    if not numbers:
        return 0.0
    if rules.score == "avg":
        return sum(numbers) / len(numbers)
    if rules.score == "sum":
        return math.fsum(numbers)
    return min(numbers) if rules.score == "min" else max(numbers)
