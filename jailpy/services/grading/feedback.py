"""The feedback folder of a Kattis output validator: what it may hold, and what contradicts the verdict."""

from __future__ import annotations

import os

import msgspec

from jailpy.services.grading.compare import parse_float

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.services.grading.problem import Problem

_MESSAGE, _NUMBER = 8192, 200


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `problem` names a number that is none."""

    message: str = ""
    team_message: str = ""
    score: float | None = None
    multiplier: float | None = None
    next_pass: str = ""
    problem: str = ""


def read(folder: str) -> Feedback:
    """Read the files that have a meaning. They were collected: regular files, no links. Raises OSError."""
    problems: list[str] = []
    numbers = {name: _number(folder, name, problems) for name in ("score.txt", "score_multiplier.txt")}
    following = os.path.join(folder, "nextpass.in")
    return Feedback(
        message=_text(folder, "judgemessage.txt"),
        team_message=_text(folder, "teammessage.txt"),
        score=numbers["score.txt"],
        multiplier=numbers["score_multiplier.txt"],
        next_pass=following if os.path.isfile(following) else "",
        problem="; ".join(problems),
    )


def contradiction(said: Feedback, problem: Problem, *, accepted: bool) -> str:
    """Say what the format forbids in what was found, "" where nothing is."""
    scored = said.score is not None or said.multiplier is not None
    if said.problem:
        return said.problem
    if scored and not accepted:
        return "gave a score to an output that it rejected"
    if scored and not problem.allows_score:
        return "gave a score, and the problem has none of its own"
    if said.score is not None and said.multiplier is not None:
        return "wrote both score.txt and score_multiplier.txt"
    if said.next_pass and not accepted:
        return "wrote nextpass.in for an output that it rejected"
    if said.next_pass and not problem.is_multipass:
        return "wrote nextpass.in, and the problem has one pass"
    if accepted and problem.needs_score and not scored and not said.next_pass:
        return "wrote no score.txt"
    return ""


def hand_on(folder: str, state: str) -> None:
    """Make what a pass left the state that the next one begins with, and the folder empty. Raises OSError."""
    clear(state)
    os.rename(folder, state)
    os.mkdir(folder)


def clear(folder: str) -> None:
    """Remove what an earlier test left. Raises OSError."""
    import shutil

    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def _text(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return file.read(_MESSAGE).decode(errors="replace").strip()
    except (FileNotFoundError, IsADirectoryError):
        return ""


def _number(folder: str, name: str, problems: list[str]) -> float | None:
    if not os.path.exists(os.path.join(folder, name)):
        return None
    text = _text(folder, name)[:_NUMBER]
    value = parse_float(text.encode())
    if value is None or value < 0 or (name == "score_multiplier.txt" and value > 1):
        problems.append(f"wrote no usable number to {name}: {text[:40]!r}")
    return value
