"""The Kattis problem package format, 2025-09, its draft 2023-07, and legacy: problem.yaml, and what the folders must hold.

<https://www.kattis.com/problem-package-format/>. Test data is read by `testdata`.
"""

from __future__ import annotations

import os

import msgspec

from jailpy.services.grading import compare, settings, testdata
from jailpy.services.grading.problem import MIB, Checker, Limits, Problem
from jailpy.services.grading.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NEW = ("2025-09", "2023-07", "2023-07-draft", "draft", "2025-09-draft")
_OLD = ("legacy", "legacy-icpc")
_TYPES = ("pass-fail", "scoring", "multi-pass", "interactive", "submit-answer")
_CONTRADICTIONS = (("pass-fail", "scoring"), ("submit-answer", "multi-pass"), ("submit-answer", "interactive"))
_SAID_OF_BOTH = ("uuid", "license", "rights_owner", "source")
_SAID = (*_SAID_OF_BOTH, "version", "credits", "embargo_until")
_SAID_OLD = (*_SAID_OF_BOTH, "author", "source_url")
_UNITS = {
    "memory": MIB,
    "output": MIB,
    "code": 1 << 10,
    "compilation_memory": MIB,
    "validation_memory": MIB,
    "validation_output": MIB,
}
_NONE: tuple[str, ...] = ()
_DEFAULT: tuple[str, ...] = ("default",)
_SECONDS = ("compilation_time", "validation_time")


class Meta(msgspec.Struct, kw_only=True):
    """What problem.yaml says. `is_new` of a format since 2023, `has_new_groups` of 2025-09 with its test groups."""

    title: str = ""
    is_new: bool = False
    has_new_groups: bool = False
    types: tuple[str, ...] = ("pass-fail",)
    limits: Limits = Limits()
    languages: tuple[str, ...] = ()
    constants: dict[str, str] = {}
    validation: tuple[str, ...] = ("default",)
    flags: tuple[str, ...] = ()
    wants_minimum: bool = False

    @property
    def is_scoring(self) -> bool:
        """Whether submissions get a score."""
        return "scoring" in self.types


def load(folder: str) -> Problem:
    """Read a package. Raises ProblemError with everything that is wrong at once."""
    problems: list[str] = []
    warnings: list[str] = []
    meta = _meta(folder, problems)
    _look_at_folders(folder, meta, problems, warnings)
    checkers = _checkers(folder, meta, problems, warnings)
    root = testdata.load(folder, meta, checkers, problems, warnings)
    settings.refuse(folder, problems)
    scores = meta.is_scoring and (meta.is_new or "score" in meta.validation)
    return Problem(
        name=os.path.basename(folder),
        title=meta.title,
        folder=folder,
        format="2025-09" if meta.has_new_groups else "legacy",
        root=root,
        checkers=checkers,
        limits=meta.limits,
        is_scoring=meta.is_scoring,
        is_interactive="interactive" in meta.types,
        is_multipass="multi-pass" in meta.types,
        needs_score=scores and not meta.is_new,
        allows_score=scores,
        languages=meta.languages,
        constants=meta.constants,
        warnings=tuple(warnings),
    )


def _meta(folder: str, problems: list[str]) -> Meta:
    path = os.path.join(folder, "problem.yaml")
    if not os.path.exists(path):
        problems.append(f"{path}:1: is missing")
        return Meta()
    given = Settings.read(path, problems)
    version = given.take("problem_format_version", settings.one_of(*_NEW, *_OLD), "legacy")
    meta = _new_meta(given, version) if version in _NEW else _old_meta(given)
    given.refuse_rest()
    _check_types(given, meta)
    return meta


def _new_meta(given: Settings, version: str) -> Meta:
    if not given.has("name"):
        given.problem("name: is missing")
    title = given.take("name", _title, "")
    given.skip(*_SAID)
    given.take("keywords", settings.texts, _NONE)
    languages = given.take("languages", settings.texts, _NONE)
    limits = msgspec.structs.replace(
        _limits(given, is_new=True), file_writing=given.take("allow_file_writing", settings.flag, False)
    )
    return Meta(
        title=title,
        is_new=True,
        has_new_groups=not version.startswith("2023"),
        types=given.take("type", _types, ("pass-fail",)),
        limits=limits,
        languages=() if languages == ("all",) else languages,
        constants=given.take("constants", _constants, {}),
    )


def _old_meta(given: Settings) -> Meta:
    title = given.take("name", _title, "")
    given.skip(*_SAID_OLD)
    given.take("keywords", settings.words, _NONE)
    validation = given.take("validation", _validation, _DEFAULT)
    grading = given.section("grading")
    objective = grading.take("objective", settings.one_of("max", "min"), "max")
    grading.skip("show_test_data_groups", "on_reject", "accept_score", "reject_score", "range")
    grading.refuse_rest()
    kind = given.take("type", settings.one_of("pass-fail", "scoring"), "pass-fail")
    return Meta(
        title=title,
        types=(kind, "interactive") if "interactive" in validation else (kind,),
        limits=_limits(given, is_new=False),
        validation=validation,
        flags=given.take("validator_flags", settings.words, _NONE),
        wants_minimum=objective == "min",
    )


def _title(value: Any) -> str:
    """Check a name, or a map of languages to names; the English one is taken, the first one where there is none."""
    if not isinstance(value, dict):
        return settings.text(str(value) if isinstance(value, int | float) else value)
    names = [settings.text(each) for _, each in sorted(value.items(), key=lambda item: item[0] != "en")]
    if not names:
        raise ValueError("expected a name for each language")
    return names[0]


def _types(value: Any) -> tuple[str, ...]:
    found = settings.texts(value)
    unknown = [entry for entry in found if entry not in _TYPES]
    if unknown or not found or len(set(found)) < len(found):
        raise ValueError(f"expected some of {', '.join(_TYPES)}, each once, got {', '.join(found) or 'none'}")
    return found


def _validation(value: Any) -> tuple[str, ...]:
    found = settings.words(value)
    if found != ("default",) and (found[:1] != ("custom",) or not set(found[1:]) <= {"score", "interactive"}):
        raise ValueError(f"expected default, or custom with score and interactive, got {value!r}")
    return found


def _constants(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(
        isinstance(name, str) and name.isidentifier() and isinstance(each, int | float | str) for name, each in value.items()
    ):
        raise ValueError("expected a map of names to numbers and texts")
    return {name: str(each) for name, each in value.items()}


def _limits(given: Settings, *, is_new: bool) -> Limits:
    section = given.section("limits")
    found: dict[str, Any] = {}
    for key, unit in _UNITS.items():
        if section.has(key):
            found[key] = section.take(key, settings.units_of(unit), unit)
    for key in _SECONDS:
        if section.has(key):
            found[key] = section.take(key, settings.seconds, 60.0)
    found |= _new_timing(section) if is_new else _old_timing(section, given)
    section.refuse_rest()
    return Limits(**found)


def _new_timing(section: Settings) -> dict[str, Any]:
    multipliers = section.section("time_multipliers")
    factor = settings.at_least(1)
    found = {
        "ac_to_time_limit": multipliers.take("ac_to_time_limit", factor, 2.0),
        "time_limit_to_tle": multipliers.take("time_limit_to_tle", factor, 1.5),
        "time": section.take("time_limit", settings.seconds, 0.0) or None,
        "time_resolution": section.take("time_resolution", settings.seconds, 1.0),
        "passes": section.take("validation_passes", settings.whole, 2),
    }
    multipliers.refuse_rest()
    return found


def _old_timing(section: Settings, given: Settings) -> dict[str, Any]:
    factor = settings.at_least(1)
    return {
        "ac_to_time_limit": section.take("time_multiplier", factor, 5.0),
        "time_limit_to_tle": section.take("time_safety_margin", factor, 2.0),
        "time": _timelimit_file(os.path.dirname(given.path), given.problems),
    }


def _timelimit_file(folder: str, problems: list[str]) -> float | None:
    """Return what .timelimit says, in seconds; None where there is none."""
    path = os.path.join(folder, ".timelimit")
    try:
        with open(path, "rb") as file:
            value = compare.parse_float(file.read(100).strip())
    except FileNotFoundError:
        return None
    least, most = settings.SECONDS
    if value is None or not least <= value <= most:
        problems.append(f"{path}:1: expected {settings.SECONDS_WORDS}")
    return value


def _check_types(given: Settings, meta: Meta) -> None:
    for one, other in _CONTRADICTIONS:
        if one in meta.types and other in meta.types:
            given.problem(f"type: {one} and {other} exclude each other")
    if "submit-answer" in meta.types:
        given.problem("type: submit-answer: answers in place of programs cannot be judged here")
    if "score" in meta.validation and not meta.is_scoring:
        given.problem("validation: custom score: the type is not scoring")


def _look_at_folders(folder: str, meta: Meta, problems: list[str], warnings: list[str]) -> None:
    """Look for what a package must have. What judging can do without is a warning."""
    statements = "statement" if meta.is_new else "problem_statement"
    wanted = (f"{folder}/{name}" for name in (statements, "input_validators", "submissions/accepted"))
    warnings += [f"{path}:1: is missing" for path in wanted if not os.path.isdir(path)]
    if not os.path.isdir(os.path.join(folder, "data", "secret")):
        problems.append(f"{folder}/data/secret:1: is missing: there is nothing to judge with")


def _checkers(folder: str, meta: Meta, problems: list[str], warnings: list[str]) -> tuple[Checker, ...]:
    name = "output_validator" if meta.is_new else "output_validators"
    path = os.path.join(folder, name)
    if not os.path.isdir(path) and meta.is_new and os.path.isdir(path + "s"):
        path += "s"
    found = sorted(entry for entry in os.listdir(path) if not entry.startswith(".")) if os.path.isdir(path) else []
    custom = bool(found) if meta.is_new else meta.validation[0] == "custom"
    if custom and not found:
        problems.append(f"{path}:1: is missing, and problem.yaml says validation: custom")
    if not custom and found:
        warnings.append(f"{path}:1: is not used: problem.yaml says validation: default")
    if not custom and ("interactive" in meta.types or "multi-pass" in meta.types):
        problems.append(f"{path}:1: is missing: interactive and multi-pass problems need an output validator")
    if not custom:
        return (Checker(flags=meta.flags),)
    one = meta.is_new and len(found) > 1
    return tuple(Checker(protocol="kattis", path=each, flags=meta.flags) for each in _programs(path, found, one=one))


def _programs(path: str, found: list[str], *, one: bool) -> list[str]:
    """Return the programs of a folder: each entry is one, or all of them together are."""
    return [path] if one else [os.path.join(path, entry) for entry in found]
