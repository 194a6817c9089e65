"""The reports of a grading, all from the same results. Each format is a module with `files(grading, show)`.

A file is written under another name and renamed: a reader sees the old one or the whole new one.
"""

from __future__ import annotations

import os
from importlib import import_module

from jailpy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from jailpy.services.grading.redact import Show
    from jailpy.services.grading.results import Grading

FORMATS = {
    "json": "report.json: all that is known",
    "csv": "submissions.csv and tests.csv: a line each",
    "junit": "junit.xml: a suite for each submission, for build servers",
    "html": "report.html: one page to look at",
    "gradescope": "gradescope/: a results.json for each submission",
    "icpc": "icpc.json: judgements and runs as in the ICPC contest API",
    "isolate": "isolate/: a meta file for each run, as isolate(1) writes it",
}
DEFAULT = ("json", "csv", "junit", "html")
_STUDENTS = "gradescope"  # shown to students, which it redacts itself: what is hidden there still counts


def chosen(names: str | Iterable[str]) -> tuple[str, ...]:
    """Return names of formats, each once. Raises UsageError for one that there is not."""
    found = tuple(dict.fromkeys([names] if isinstance(names, str) else names))
    for name in found:
        if name not in FORMATS:
            raise UsageError(f"option --format: {name}: there is none of this name", [f"one of {', '.join(FORMATS)}"])
    return found


def write_all(folder: str, grading: Grading, formats: Iterable[str] = DEFAULT, show: Show | None = None) -> list[str]:
    """Write the reports into a folder and return their paths. One that fails does not keep the others from being written.

    `show` redacts all of them; None is `sample` for those that students see and `all` for the others. Raises UsageError,
    at the end, where one could not be written.
    """
    from jailpy.services.grading.redact import redact

    written: list[str] = []
    failed: list[str] = []
    for name in formats:
        seen: Show = show or ("sample" if name == _STUDENTS else "all")
        shown = grading if name == _STUDENTS else redact(grading, seen)
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            made = import_module(f"{__name__}.{name}_report").files(shown, seen)
            written += [write(os.path.join(folder, path), content) for path, content in made]
        except OSError as error:
            failed.append(f"{error.filename or folder}: {error.strerror}")
    if failed:
        raise UsageError(f"reports could not be written: {'; '.join(dict.fromkeys(failed))}")
    return written


def write(path: str, content: bytes) -> str:
    """Write a file whole or not at all, and return its path. Raises OSError."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    beside = f"{path}.{os.getpid()}.new"
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with open(handle, "wb") as file:
            file.write(content)
        os.replace(beside, path)
    except OSError as error:
        if os.path.lexists(beside):
            os.unlink(beside)
        error.filename = path
        raise
    return path
