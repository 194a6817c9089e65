"""The example submissions of a package, and what each promises: by its folder, and by submissions.yaml."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import Any, Literal

import msgspec

from jailpy.errors import ProblemError
from jailpy.services.grading import compiling, settings
from jailpy.services.grading.intake import Source
from jailpy.services.grading.results import Verdict
from jailpy.services.grading.settings import Settings
from jailpy.services.grading.submission import SourceFile, Submission

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.services.grading.problem import Problem

Class = Literal["AC", "WA", "TLE", "RTE"]
_CLASSES: tuple[Class, ...] = ("AC", "WA", "TLE", "RTE")
_OF: dict[Class, tuple[Verdict, ...]] = {
    "AC": (Verdict.AC,),
    "WA": (Verdict.WA, Verdict.PE),
    "TLE": (Verdict.TLE, Verdict.WTLE, Verdict.ITLE),
    "RTE": (Verdict.RTE, Verdict.MLE, Verdict.OLE, Verdict.SV, Verdict.FLE),
}
_SAID = ("authors", "model_solution", "entrypoint")


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold of the tests that a pattern names, "" for all: each in `permitted`, one in `required`.

    `score` is the range of the score, `message` a text that some checker's message holds. `bounds` says which bound of the
    time limit the times give.
    """

    tests: str = ""
    permitted: tuple[Class, ...] = _CLASSES
    required: tuple[Class, ...] = _CLASSES
    score: tuple[float, float] | None = None
    message: str = ""
    bounds: Literal["", "lower", "upper"] = ""

    def covers(self, test: str) -> bool:
        """Tell whether a test is meant: it or a group above it matches."""
        parts = test.split("/")
        return not self.tests or any(_matches("/".join(parts[:end]), self.tests) for end in range(1, len(parts) + 1))


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One submission of the package. `path` is relative to `submissions`."""

    path: str
    submission: Submission
    promises: tuple[Promise, ...]
    partial: bool = False

    @property
    def bounds_below(self) -> bool:
        """Whether its times bound the time limit from below."""
        return any(promise.bounds == "lower" for promise in self.promises)

    @property
    def expected(self) -> tuple[Verdict, ...]:
        """The verdicts of the whole submission that its promises for all tests allow."""
        classes = [name for name in _CLASSES if all(_allows(promise, name) for promise in self.promises if not promise.tests)]
        return tuple(verdict for name in classes for verdict in _OF[name])


_FOLDERS: dict[str, Promise] = {
    "accepted": Promise(permitted=("AC",), bounds="lower"),
    "partially_accepted": Promise(permitted=_CLASSES),
    "rejected": Promise(required=("WA", "TLE", "RTE")),
    "wrong_answer": Promise(permitted=("AC", "WA"), required=("WA",), bounds="lower"),
    "time_limit_exceeded": Promise(permitted=("AC", "TLE"), required=("TLE",), bounds="upper"),
    "run_time_error": Promise(permitted=("AC", "RTE"), required=("RTE",), bounds="lower"),
    "brute_force": Promise(permitted=("AC", "TLE", "RTE"), required=("TLE", "RTE")),
}
_LEGACY = {
    "wrong_answer": Promise(permitted=("AC", "WA"), required=("WA",)),
    "time_limit_exceeded": Promise(permitted=("AC", "WA", "TLE"), required=("TLE",), bounds="upper"),
    "run_time_error": Promise(required=("RTE",)),
}


def class_of(verdict: Verdict) -> Class | None:
    """Return the verdict among the format's four that stands for one of ours; None for JE, IE and CE."""
    return next((name for name, verdicts in _OF.items() if verdict in verdicts), None)


def sources(problem: Problem) -> list[Source]:
    """Return where the submissions are, named by their paths below `submissions`. Raises ProblemError where there is none."""
    folder = os.path.join(problem.folder, "submissions")
    found = [Source(path, os.path.join(folder, path)) for path in _paths(folder)]
    if not found:
        raise ProblemError(f"{folder}: there is no submission to verify the problem with")
    return found


def load(problem: Problem) -> list[Example]:
    """Read the submissions with their promises. Raises ProblemError, OSError."""
    folder = os.path.join(problem.folder, "submissions")
    problems: list[str] = []
    given = _given(os.path.join(folder, "submissions.yaml"), problems) if problem.format == "2025-09" else {}
    found = [_example(problem, folder, path, given, problems) for path in _paths(folder)]
    settings.refuse(folder, problems)
    return found


def _paths(folder: str) -> Iterator[str]:
    if not os.path.isdir(folder):
        return
    for kind in sorted(os.listdir(folder)):
        if os.path.isdir(os.path.join(folder, kind)):
            yield from (f"{kind}/{name}" for name in sorted(os.listdir(os.path.join(folder, kind))) if name[0] != ".")


def _example(
    problem: Problem, folder: str, path: str, given: dict[str, list[tuple[str, Promise]]], problems: list[str]
) -> Example:
    kind = path.split("/", maxsplit=1)[0]
    own = given.get("language:" + path)
    files = compiling.read(os.path.join(folder, path), problem.constants)
    language = own[0][0] if own else None
    sources = tuple(SourceFile(path=name, content=content) for name, content in files.items())
    promises = [promise for pattern, listed in given.items() if _names(pattern, path) for _, promise in listed]
    known = {**_FOLDERS, **(_LEGACY if problem.format == "legacy" else {})}
    if kind in known and kind not in given:
        promises.insert(0, known[kind])
    if not promises:
        problems.append(f"{folder}/{path}:1: no folder of the format, and submissions.yaml says nothing of it")
    return Example(
        path=path,
        submission=Submission(name=path, files=sources, language=language),
        promises=tuple(promises),
        partial=kind == "partially_accepted",
    )


def _names(pattern: str, path: str) -> bool:
    return _matches(path, pattern) or _matches(path.split("/", maxsplit=1)[0], pattern)


def _matches(path: str, pattern: str) -> bool:
    """Match a glob in which * stays within a name, and {a,b} are alternatives."""
    for each in _alternatives(pattern):
        parts, names = each.split("/"), path.split("/")
        if len(parts) == len(names) and all(fnmatch.fnmatchcase(*pair) for pair in zip(names, parts, strict=True)):
            return True
    return False


def _alternatives(pattern: str) -> list[str]:
    found = re.search(r"\{([^{}]*)\}", pattern)
    if not found:
        return [pattern]
    return [
        each
        for choice in found[1].split(",")
        for each in _alternatives(pattern[: found.start()] + choice + pattern[found.end() :])
    ]


def _given(path: str, problems: list[str]) -> dict[str, list[tuple[str, Promise]]]:
    """Return the promises of submissions.yaml by pattern."""
    found: dict[str, list[tuple[str, Promise]]] = {}
    for pattern, section in Settings.read(path, problems).sections().items():
        language = section.take("language", settings.text, "")
        section.skip(*_SAID)
        base = _FOLDERS.get(pattern, Promise())
        whole = [("", _promise(section, "", base))] if _says_something(section) else []
        parts = [(name, _promise(part, name, Promise())) for name, part in section.sections().items()]
        found[pattern] = whole + parts or [("", base)]
        if language:
            found["language:" + pattern] = [(language, Promise())]
    return found


def _says_something(section: Settings) -> bool:
    return any(section.has(key) for key in ("permitted", "required", "score", "message", "use_for_time_limit"))


def _promise(section: Settings, tests: str, base: Promise) -> Promise:
    permitted = section.take("permitted", _classes, base.permitted)
    required = section.take("required", _classes, base.required)
    use = section.take("use_for_time_limit", _use, None)
    bounds: Literal["", "lower", "upper"] = ""
    if use in ("lower", "upper"):
        bounds = use
    elif use is not False:
        bounds = "upper" if required == ("TLE",) else "lower" if "TLE" not in permitted else ""
    return Promise(
        tests=tests,
        permitted=permitted,
        required=required,
        score=section.take("score", _score, base.score),
        message=section.take("message", settings.text, base.message),
        bounds=bounds,
    )


def _classes(value: Any) -> tuple[Class, ...]:
    found = settings.texts(value)
    if not found or not set(found) <= set(_CLASSES):
        raise ValueError(f"expected some of {', '.join(_CLASSES)}, got {', '.join(found) or 'none'}")
    return tuple(name for name in _CLASSES if name in found)


def _use(value: Any) -> Any:
    if value not in (True, False, "lower", "upper"):
        raise ValueError(f"expected true, false, lower or upper, got {value!r}")
    return value


def _score(value: Any) -> tuple[float, float] | None:
    numbers = value if isinstance(value, list) else [value, value]
    if len(numbers) != 2:
        raise ValueError(f"expected a number or two, got {value!r}")
    low, high = map(settings.number, numbers)
    return low, high


def _allows(promise: Promise, name: Class) -> bool:
    return name in promise.permitted and (name in promise.required or (name == "AC" and "AC" in promise.required))
