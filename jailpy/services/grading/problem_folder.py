"""The plainest problem: a folder of NAME.in with NAME.ans or NAME.out, folders below it as groups, and perhaps a checker.

`checker.SUFFIX` or a folder `checker` decides on outputs, as testlib's where it includes testlib.h and otherwise with 42
and 43 as in the Kattis format.
"""

from __future__ import annotations

import os

from jailpy.errors import ProblemError
from jailpy.services.grading.problem import Checker, Group, Limits, Problem, Rules, Test, files_below

_ANSWERS = (".ans", ".out")
_TIME = 2.0
_MEMORY = 256 << 20


def load(folder: str) -> Problem:
    """Read the folder. Raises ProblemError."""
    warnings: list[str] = []
    checker = _checker(folder)
    root = _group(folder, "", warnings, needs_answers=checker.protocol == "default")
    if not any(root.tests()):
        raise ProblemError(f"{folder}: no test: expected files NAME.in with NAME.ans or NAME.out, or a problem.yaml")
    return Problem(
        name=os.path.basename(folder),
        folder=folder,
        format="folder",
        root=root,
        checkers=(checker,),
        limits=Limits(time=_TIME, memory=_MEMORY),
        warnings=tuple(warnings),
    )


def _group(folder: str, name: str, warnings: list[str], *, needs_answers: bool) -> Group:
    members: list[Test | Group] = []
    for entry in sorted(os.listdir(folder)):
        path, below = os.path.join(folder, entry), f"{name}/{entry}".lstrip("/")
        if os.path.isdir(path):
            group = _group(path, below, warnings, needs_answers=needs_answers)
            members += [group] if group.members else []
        elif entry.endswith(".in"):
            test = _test(path, below[: -len(".in")], name)
            members.append(test)
            if needs_answers and not test.answer:
                warnings.append(f"{path}: no answer: expected {entry[:-3]}.ans or {entry[:-3]}.out beside it")
    return Group(name=name, rules=Rules(stops=False), members=tuple(members))


def _test(path: str, name: str, group: str) -> Test:
    stem = path[: -len(".in")]
    answer = next((stem + suffix for suffix in _ANSWERS if os.path.isfile(stem + suffix)), "")
    is_sample = group.partition("/")[0] == "sample"
    return Test(name=name, input=path, answer=answer, kind="sample" if is_sample else "secret", group=group)


def _checker(folder: str) -> Checker:
    found = [entry for entry in sorted(os.listdir(folder)) if entry.split(".")[0] == "checker"]
    if not found:
        return Checker()
    if len(found) > 1:
        raise ProblemError(f"{folder}: more than one checker: {', '.join(found)}")
    path = os.path.join(folder, found[0])
    return Checker(protocol="testlib" if includes_testlib(path) else "kattis", path=path)


def includes_testlib(path: str) -> bool:
    """Tell whether a checker's source includes testlib.h."""
    for source in files_below(path):
        with open(source, "rb") as file:
            if os.path.basename(source) != "testlib.h" and b'"testlib.h"' in file.read(1 << 20):
                return True
    return False
