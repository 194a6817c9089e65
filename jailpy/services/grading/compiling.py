"""From files to programs: a submission with what the problem includes, and the problem's own checkers."""

from __future__ import annotations

import os
import re
import tempfile

import msgspec

from jailpy.errors import JailPyError, ProblemError
from jailpy.services import languages
from jailpy.services.grading import checkers
from jailpy.services.grading.names import file_and_folder
from jailpy.services.grading.problem import files_below, opened
from jailpy.services.grading.results import CompileResult, Verdict
from jailpy.services.grading.verdicts import evidence_of, excerpt
from jailpy.services.grading.words import short
from jailpy.services.languages import build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jailpy.services.grading.problem import Checker, Problem
    from jailpy.services.grading.results import Limits
    from jailpy.services.grading.slots import Slot, Slots
    from jailpy.services.grading.submission import Submission
    from jailpy.services.languages import Language
    from jailpy.services.languages.build import Built, Program

_COMPILER_SAID = 16 << 10
_DISK, _FILE = 512 << 20, 128 << 20  # what a compiler may write: it is copied to the host
_INODES = 8192  # files that it may write: each takes up to half a millisecond to copy, which no limit of time ends
_CONSTANT = re.compile(rb"\{\{([^{}]+)\}\}")
_OURS = ("internal_error", "not_started", "cancelled")


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """A submission's program, or the verdict that it has without one. `is_put_off` where the compile command was left out."""

    program: Program | None = None
    is_put_off: bool = False
    verdict: Verdict = Verdict.CE
    message: str = ""
    language: str = ""
    result: CompileResult | None = None


def submission(
    problem: Problem,
    given: Submission,
    slot: Slot,
    folder: str,
    known: Mapping[str, Language],
    limits: Limits,
    slots: Slots,
    *,
    lazily: bool = False,
) -> Compiled:
    """Compile a submission, in an empty folder; `lazily` as for `build.build`. Raises OSError, JailPyError."""
    files = {file.path: file.content for file in given.files}
    language = known.get(given.language) if given.language else languages.detect(files, known)
    if language is None:
        named = f"{given.language}: no such language" if given.language else "no file is a program in a known language"
        return Compiled(message=named)
    refused = _refused(problem, given, language, limits)
    if refused:
        return Compiled(message=refused, language=language.code)
    if language.missing():
        return Compiled(verdict=Verdict.IE, message=_missing(language), language=language.code)
    files |= included(problem, language.code)
    both = file_and_folder(files)
    if both:
        return Compiled(
            message=f"{short(both, 80)} is a file of the problem's or of yours, and a folder", language=language.code
        )
    with slots.beside_others():
        built = build.build(
            slot.runs,
            language,
            files,
            folder,
            lazily=lazily,
            **_limits(problem.limits.compilation_time, problem.limits.compilation_memory),
            program_memory=limits.memory_bytes,
        )
    return _compiled(language, built)


def _missing(language: Language) -> str:
    return f"{language.name}: no {language.missing()} here: apt install {language.package}"


def _refused(problem: Problem, given: Submission, language: Language, limits: Limits) -> str:
    """Say why a submission is not compiled, "" where it may be."""
    if problem.languages and language.code not in problem.languages:
        return f"{language.name} is not among the problem's languages: {', '.join(problem.languages)}"
    if limits.code_bytes is not None and given.size > limits.code_bytes:
        return f"the source is {given.size} bytes, the problem allows {limits.code_bytes}"
    return ""


def _limits(time: float, memory: int) -> dict[str, Any]:
    return {
        "cpu": time,
        "wall": 2 * time,
        "memory": memory,
        "disk": _DISK,
        "file_size": _FILE,
        "set": {"limits.inodes": _INODES},
    }


def _compiled(language: Language, built: Built) -> Compiled:
    done = built.done
    result = None
    if done:
        result = CompileResult(
            ok=built.program is not None,
            command=built.command,
            exit_code=done.report()["exit_code"],
            wall_s=done.usage["wall_s"],
            evidence=evidence_of(done.evidence),
            output=excerpt(done.stdout, _COMPILER_SAID),
        )
    ours = done is not None and done.verdict in _OURS
    return Compiled(
        program=built.program,
        is_put_off=bool(language.compile) and built.program is not None and done is None,
        verdict=Verdict.IE if ours else Verdict.CE,
        message=built.problem,
        language=language.code,
        result=result,
    )


def included(problem: Problem, code: str) -> dict[str, bytes]:
    """Return the files that the problem adds to every submission of a language, constants filled in. Raises OSError."""
    found: dict[str, bytes] = {}
    for folder in ("default", code):
        found |= read(os.path.join(problem.folder, "include", folder), problem.constants)
    return found


def read(path: str, constants: Mapping[str, str]) -> dict[str, bytes]:
    """Return a file under its own name, or the files below a folder under their paths; nothing where there is neither.

    Raises OSError, ProblemError.
    """
    top = os.path.dirname(path) if os.path.isfile(path) else path
    found = {}
    for each in files_below(path):
        with opened(each) as file:
            found[os.path.relpath(each, top)] = _filled(file.read(), constants)
    return found


def _filled(content: bytes, constants: Mapping[str, str]) -> bytes:
    """Fill in constants, each once: values that name each other would grow without bound."""
    known = {name.encode(): value.encode() for name, value in constants.items()}
    return _CONSTANT.sub(lambda found: known.get(found[1], found[0]), content) if known else content


def checkers_of(
    problem: Problem, slot: Slot, folder: str, known: Mapping[str, Language]
) -> list[tuple[Checker, checkers.Runner | None]]:
    """Build the problem's checkers; None stands for the built-in one. Raises ProblemError, OSError."""
    return [
        (
            checker,
            checkers.Runner(problem, checker, own_program(problem, checker, slot, folder, known)) if checker.path else None,
        )
        for checker in problem.checkers
    ]


def own_program(problem: Problem, checker: Checker, slot: Slot, folder: str, known: Mapping[str, Language]) -> Program:
    """Build one of the problem's own programs. Raises ProblemError where that fails."""
    path = checker.path
    files = read(path, problem.constants)
    for name in checker.more:
        files |= read(os.path.join(os.path.dirname(path), name), problem.constants)
    script = "build" if "build" in files else "run" if "run" in files else ""
    language = build.scripted(script) if script else languages.detect(files, known)
    if language is None:
        raise ProblemError(f"{path}: not a program in a known language")
    limits = _limits(problem.limits.compilation_time, problem.limits.compilation_memory)
    try:
        built = build.build(slot.checks, language, files, tempfile.mkdtemp(dir=folder), main=script, **limits)
    except JailPyError as error:
        raise ProblemError(f"{path}: {error}") from error
    if built.program is None:
        said = built.done.stdout.decode(errors="replace").splitlines() if built.done else []
        raise ProblemError(f"{path}: {built.problem}", said[:40])
    return built.program
