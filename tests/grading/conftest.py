"""Problems and submissions made from a few words, and a judge for them."""

from __future__ import annotations

import pytest

from jailpy.services.grading.engine import Judge, Options
from jailpy.services.grading.problem import Problem
from jailpy.services.grading.submission import SourceFile, Submission


def write(folder, files):
    """Write texts (or bytes) under their paths; `"#!"` first makes an executable."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def submission(name, *files, language=None):
    """A submission of one file (its content), or of several as (path, content)."""
    pairs = [(name, file) if isinstance(file, str | bytes) else file for file in files]
    sources = [SourceFile(path=path, content=text.encode() if isinstance(text, str) else text) for path, text in pairs]
    return Submission(name=name, files=tuple(sources), language=language)


@pytest.fixture
def sums(tmp_path):
    """A plain folder: add the numbers of a line."""
    files = {}
    for number in range(3):
        files[f"{number}.in"] = f"{number} 1\n"
        files[f"{number}.ans"] = f"{number + 1}\n"
    return write(tmp_path / "sums", files)


@pytest.fixture
def judge_of():
    """Return a judge of a folder, closed at the end of the test."""
    judges = []

    def make(folder, **options):
        judges.append(Judge(Problem.load(folder), Options(**{"jobs": 1, **options})))
        return judges[-1]

    yield make
    for judge in judges:
        judge.close()
