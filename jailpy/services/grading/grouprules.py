"""The rules of test groups: testdata.yaml of the legacy format, test_group.yaml of 2025-09."""

from __future__ import annotations

import math
import os
from typing import Any, Literal

import msgspec

from jailpy.services.grading import settings
from jailpy.services.grading.problem import Group, Rules, Test

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jailpy.services.grading.problem_kattis import Meta
    from jailpy.services.grading.settings import Settings

_VERDICTS: dict[str, Literal["worst", "first", "always"]] = {
    "worst_error": "worst",
    "no_errors": "worst",
    "first_error": "first",
    "always_accept": "always",
}
_SCORES = ("sum", "avg", "min", "max")
_SCORING_ONLY = ("accept_score", "reject_score", "range")
_OLD_KEYS: dict[str, Any] = {
    "on_reject": settings.one_of("break", "continue"),
    "grading": settings.one_of("default", "custom"),
    "grader_flags": settings.words,
    "accept_score": settings.number,
    "reject_score": settings.number,
}


def old(given: Settings, above: dict[str, Any], meta: Meta) -> tuple[Rules, dict[str, Any]]:
    """Return the rules of testdata.yaml, and every key with what it inherits from the group above."""
    found = dict(above)
    for key in _SCORING_ONLY:
        if given.has(key) and not meta.is_scoring:
            given.problem(f"{key}: the type is not scoring", given.line(key))
    for key, check in _OLD_KEYS.items():
        line = given.line(key) if given.has(key) else 1
        value = given.take(key, check, found.get(key))
        if key == "grading" and value == "custom":
            given.problem("grading: custom: graders that are programs cannot be run here", line)
        if key == "grader_flags":
            _check_grader_flags(given, value or (), line)
        if value is not None:
            found[key] = value
    found["range"] = given.take("range", _range, found.get("range", (-math.inf, math.inf)))
    found["output_validator_flags"] = given.take("output_validator_flags", _flags, found.get("output_validator_flags", ()))
    given.skip("input_validator_flags")
    given.refuse_rest()
    return _old_rules(found, meta), found


def _old_rules(found: dict[str, Any], meta: Meta) -> Rules:
    flags = found.get("grader_flags", ())
    verdicts = [_VERDICTS[flag] for flag in flags if flag in _VERDICTS]
    scores = [flag for flag in flags if flag in _SCORES]
    best = found["range"][0 if meta.wants_minimum else 1]
    return Rules(
        verdict="any" if "accept_if_any_accepted" in flags else verdicts[-1] if verdicts else "worst",
        score=scores[-1] if scores else "sum",
        ignores_sample="ignore_sample" in flags,
        accept=found.get("accept_score", 1.0),
        reject=found.get("reject_score", 0.0),
        max_score=best if meta.is_scoring and math.isfinite(best) else None,
        stops=found.get("on_reject", "break") == "break",
    )


def _check_grader_flags(given: Settings, flags: Sequence[str], line: int) -> None:
    known = (*_VERDICTS, *_SCORES, "ignore_sample", "accept_if_any_accepted")
    for flag in flags:
        if flag not in known:
            given.problem(f"grader_flags: {flag}: expected some of {', '.join(known)}", line)


def _flags(value: Any) -> tuple[str, ...]:
    """Check output_validator_flags: words, or a map with a validator's name and its flags."""
    return settings.words(value.get("flags", "") if isinstance(value, dict) else value)


def _range(value: Any) -> tuple[float, float]:
    words = settings.words(value)
    try:
        low, high = map(float, words)
    except ValueError:
        raise ValueError(f"expected two numbers, got {value!r}") from None
    if not low <= high:
        raise ValueError(f"expected the smaller number first, got {value!r}")
    return low, high


def new(given: Settings, meta: Meta, *, is_secret: bool, is_sample: bool) -> Rules:
    """Return the rules of test_group.yaml."""
    for key in ("max_score", "score_aggregation", "require_pass"):
        if given.has(key) and (is_sample or not meta.is_scoring):
            given.problem(f"{key}: {'not allowed in sample' if is_sample else 'the type is not scoring'}", given.line(key))
    way = given.take("score_aggregation", settings.one_of("pass-fail", "sum", "min"), "sum" if is_secret else "pass-fail")
    most = given.take("max_score", _max_score, 100.0 if is_secret else math.inf)
    return Rules(
        verdict="first",
        score=way if meta.is_scoring and not is_sample else "sum",  # type: ignore[arg-type]
        accept=0.0,
        max_score=most if meta.is_scoring and math.isfinite(most) and not is_sample else None,
        stops=not meta.is_scoring or is_sample or way != "sum",
        requires=given.take("require_pass", settings.texts, ()),
    )


def _max_score(value: Any) -> float:
    if value == "unbounded":
        return math.inf
    if settings.number(value) < 0 or value != int(value):
        raise ValueError(f"expected unbounded, or a whole number that is not below 0, got {value}")
    return float(value)


def with_scores(tests: Sequence[Test], rules: Rules, *, is_scoring: bool) -> list[Test]:
    """Give each test of a group the most that it can score."""
    if not is_scoring or rules.max_score is None or rules.score == "pass-fail":
        return list(tests)
    most = rules.max_score if rules.score == "min" else rules.max_score / max(1, len(tests))
    return [msgspec.structs.replace(test, max_score=most) for test in tests]


def check(data: str, secret: Group, problems: list[str]) -> None:
    """Look for rules of a scoring problem that contradict each other."""
    seen = {"sample"}
    whole = secret.rules
    for group in (member for member in secret.members if isinstance(member, Group)):
        where = f"{os.path.join(data, group.name)}/test_group.yaml:1"
        rules = group.rules
        if rules.max_score is None and (whole.max_score is not None or rules.score == "pass-fail"):
            problems.append(f"{where}: max_score: is missing: secret has a maximum, or the group passes or fails as a whole")
        if whole.score == "pass-fail" and rules.score != "pass-fail":
            problems.append(f"{where}: score_aggregation: secret passes or fails as a whole, so its groups must too")
        problems += [f"{where}: require_pass: {name}: no group before this one" for name in rules.requires if name not in seen]
        seen.add(group.name)
    if whole.score == "pass-fail" and whole.max_score is None:
        problems.append(f"{data}/secret/test_group.yaml:1: max_score: a group that passes or fails as a whole needs one")
    problems += [
        f"{data}/secret/test_group.yaml:1: require_pass: {name}: secret can require sample only"
        for name in whole.requires
        if name != "sample"
    ]
