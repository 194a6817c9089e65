"""`jailpy selftest --all`: every hostile program in a jail of the profile, each beside its control. Parent side.

A program got out if one of its attempts says so, or if the run ended otherwise than the jail must make it end. A control that
does not succeed on this host proves nothing here, and is told.
"""

from __future__ import annotations

import os
import shutil

from jailpy.client.launcher import Launcher
from jailpy.errors import HostError
from jailpy.frozen import Frozen
from jailpy.profile.load import load
from jailpy.services.attacks.scene import works
from jailpy.services.escapes.header import programs
from jailpy.services.escapes.scene import SHOWN, Scene, attempts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

REMOVABLE = ("net", "ipc", "uts", "cgroup-ns", "seccomp", "landlock", "cgroup", "rlimits")  # the others hold each other up
_PYTHON = "/usr/bin/python3"


class Answer(Frozen):
    """One program: what it did in the jail, and whether its control succeeded. `out` names the attempts that got out."""

    row: str
    program: str
    boundary: str
    out: tuple[str, ...]
    verdict: str
    expected: str
    proven: bool

    @property
    def held(self) -> bool:
        """Whether nothing got out, and the run ended as it must."""
        return not self.out and self.verdict == self.expected

    def report(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "row": self.row, "program": self.program, "boundary": self.boundary, "held": self.held, "out": list(self.out),
            "verdict": self.verdict, "expected": self.expected, "proven": self.proven,
        }  # fmt: skip


def without(layers: list[str]) -> dict[str, Any]:
    """Return the options of a run that does without these layers. Landlock's older ABIs lean on others, and may say so."""
    names = [f"!{layer}" for layer in layers]
    settings = {"require.layers": names, "require.prefer": [*names, "!apparmor"]}
    return {"set": settings, "allow_missing": ["landlock"]}


def answers(profile: str) -> Iterator[Answer]:
    """Run each program and its control; yield what came of it. Raises JailPyError where no such jail can be started."""
    if not works(_PYTHON):
        raise HostError(f"selftest --all: the programs need {_PYTHON}", hints=["install python3 of the distribution"])
    executes = load(profile).filesystem.exec == "any"
    scene = Scene(_PYTHON, shutil.which("gcc", path="/usr/bin") or "")
    old = dict(os.environ)
    try:
        os.environ.update(scene.environment())
        with Launcher(profile, ro=[f"{scene.folder}:{SHOWN}"]) as launcher:
            for name, header in programs(os.uname().machine).items():
                if os.path.exists(f"{scene.folder}/{name.removesuffix('.c')}"):
                    yield _answer(scene, launcher, name, header, granted=header.grade if executes else {})
    finally:
        os.environ.clear()
        os.environ.update(old)
        scene.close()


def _answer(scene: Scene, launcher: Launcher, name: str, header: Any, granted: Any) -> Answer:
    out, verdict = inside(scene, launcher, name, header, {})
    escaped = [attempt for attempt, (word, _) in attempts(out).items() if word == "out" and attempt not in granted]
    control = attempts(controlled(scene, launcher, name, header))
    proven = any(word == "out" for word, _ in control.values())
    return Answer(header.row, name, header.boundary, tuple(escaped), verdict, header.ending, proven)


def controlled(scene: Scene, launcher: Launcher, name: str, header: Any) -> bytes:
    """Run a program where it must succeed; return its output."""
    if header.control == "without":
        return inside(scene, launcher, name, header, without([layer for layer in header.layers if layer in REMOVABLE]))[0]
    if header.control == "loose":
        return inside(scene, launcher, name, header, header.loose)[0]
    return scene.outside(name, header.phases, header.control)[0]


def inside(scene: Scene, launcher: Launcher, name: str, header: Any, options: dict[str, Any]) -> tuple[bytes, str]:
    """Run a program in jails of the launcher, one for each phase; return its output and the last verdict."""
    out, verdict = b"", ""
    for phase in header.phases:
        done = launcher.run(scene.command(name, phase, inside=True), **{**header.options, **options})
        out, verdict = out + (done.stdout or b""), done.verdict
    return out, verdict
