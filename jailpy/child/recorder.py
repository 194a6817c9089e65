"""Steps noted down as system calls, to be made later, any number of times, by clones of this process. Runs in a template.

A clone copies each page that it writes to, and Python writes to every object that it touches. Applying steps touches some
hundred pages; making the calls that were noted touches a few. The descriptors that calls return are known in advance,
because the kernel gives the lowest free number: a call that returns another one fails the launch.
"""

from __future__ import annotations

import os

from jailpy import kernel
from jailpy.child import APPLY, Program
from jailpy.kernel import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from jailpy.child import Part
    from jailpy.child.state import Child
    from jailpy.steps import Step


class Recorder:
    """Notes calls in place of making them. `used` are the numbers of the descriptors that are open."""

    def __init__(self, used: set[int]) -> None:
        self.used = used
        self.at = 0
        self.part: Part = []

    def syscall(self, words: tuple[Any, ...], gives: int, refused: int) -> int:
        """Note a system call; return what it will return."""
        if refused:
            self.part += [(self.at, kernel.call, words, -1), (self.at, kernel.see_refused, (-1, refused), None)]
            return -1
        result = self._free() if gives == kernel.NEW else gives
        self.part.append((self.at, kernel.call, words, result))
        self._follow(words, result if gives == kernel.NEW else -1)
        return result

    def python(self, function: Callable[..., None], args: tuple[Any, ...]) -> None:
        """Note a call of a Python function."""
        self.part.append((self.at, function, args, None))

    def _free(self) -> int:
        return next(number for number in range(len(self.used) + 1) if number not in self.used)

    def _follow(self, words: tuple[Any, ...], opened: int) -> None:
        """Follow what a call does to the table of descriptors."""
        if opened >= 0:
            self.used.add(opened)
        elif words[0] == kernel.NUMBERS["close"]:
            self.used.remove(words[1])
        elif words[0] == kernel.NUMBERS["dup3"]:
            self.used.add(words[2])
        elif words[0] == files.CLOSE_RANGE:
            self.used = {number for number in self.used if not words[1] <= number <= words[2]}


def recorded(steps: Iterable[tuple[int, Step]], child: Child, used: set[int]) -> Program:
    """Note down the steps of init and payload, applied to `child` as a clone will find it. Raises OSError."""
    program = Program(steps, child)
    recorder = Recorder(used)
    kernel.note(recorder)
    try:
        child.root = files.open_path(b".", os.O_PATH | os.O_DIRECTORY)  # the clone's own copy of the mount
        init = _part(recorder, program.init, child)
        forked = set(recorder.used)
        afterwards = _part(recorder, program.afterwards, child)
        recorder.used = forked
        program.payload = _part(recorder, program.payload, child)
        program.init, program.afterwards = init, afterwards
    finally:
        kernel.note(None)
    return program


def _part(recorder: Recorder, part: Part, child: Child) -> Part:
    for recorder.at, _, (step, _), _ in part:
        APPLY[type(step)](step, child)
    found, recorder.part = recorder.part, []
    return found
