"""Interactive problems: submission and output validator in two jails, joined by two pipes, and who is to blame."""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import threading
import time
from subprocess import PIPE

import msgspec

from jailpy.client.result import CompletedRun
from jailpy.errors import CommandError, LaunchError
from jailpy.services.grading import runs
from jailpy.services.grading.checkers import Judgement, judge_error
from jailpy.services.grading.results import Verdict
from jailpy.services.grading.verdicts import Ending, of_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

    from jailpy.client.running import Running
    from jailpy.services.grading.checkers import Runner
    from jailpy.services.grading.problem import Test
    from jailpy.services.grading.results import Limits, Timing
    from jailpy.services.grading.slots import Slot
    from jailpy.services.languages.build import Program

_LAST_WORDS = 64 << 10
_CHUNK = 64 << 10
_USAGE = ("cpu_s", "wall_s", "memory_peak_bytes")
_NEVER_STARTED: dict[str, Any] = {
    "verdict": "cancelled",
    "exit_code": None,
    "signal": None,
    "evidence": None,
    "violations": [],
    "usage": {**dict.fromkeys(_USAGE), "stdout_bytes": 0, "sources": {}},
}


class Talk(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversation came to."""

    attempt: runs.Attempt
    said: Judgement


class _Side:
    """One of the two: its run, and when its output ended."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self.spoke_until = math.inf
        self.killed = False
        self.done: CompletedRun | None = None
        self.error: Exception | None = None

    def wait(self) -> None:
        """Wait for the end; an error is kept for `result`."""
        try:
            self.done = self._running.wait()
        except Exception as error:  # noqa: BLE001 - raised where the result is wanted
            self.error = error

    def result(self) -> CompletedRun:
        """Return the run. Raises what waiting raised, but where it was killed before it had started."""
        if self.killed and isinstance(self.error, LaunchError) and not isinstance(self.error, CommandError):
            return CompletedRun(self._running.args, _NEVER_STARTED)
        if self.error:
            raise self.error
        assert self.done is not None
        return self.done

    def kill(self) -> None:
        """Kill it where it goes on."""
        self.killed = True
        self._running.kill()

    def tell(self, other: _Side) -> None:
        """Hand on what this one says, chunk by chunk, until it ends or the other one listens no more.

        Only then does the other one see the end: so what ends because of that has ended later, whatever the machine is doing.
        """
        source, target = self._running.stdout, other._running.stdin
        assert source
        assert target
        with source, contextlib.suppress(BrokenPipeError), target:
            while chunk := source.read(_CHUNK):
                _write(target, chunk)
            self.spoke_until = time.monotonic()


class Conversation:
    """Lets one program talk with the validator of an interactive problem."""

    def __init__(self, program: Program, validator: Runner, limits: Limits, near: float) -> None:
        self._program, self._validator, self._limits, self._near = program, validator, limits, near

    def hold(self, slot: Slot, test: Test, source: str, timing: Timing) -> Talk:
        """Run both to their ends. Raises OSError, JailPyError."""
        said_path, checked_path = (os.path.join(slot.folder, name) for name in ("program-said", "validator-said"))
        with open(said_path, "w+b") as said, open(checked_path, "w+b") as checked:
            validator, program = self._start(slot, test, source, said, checked)
            self._wait(validator, program)
            run = program.result()
            try:
                check = validator.result()
            except CommandError as error:
                attempt = runs.Attempt(run=run, ending=Ending(verdict=None), timing=timing)
                return Talk(attempt=attempt, said=judge_error(f"the output validator cannot be executed: {error}"))
            run.stdout, run.stderr = None, _tail(said)  # what it said went to the validator
            check.stdout, check.stderr = b"", _tail(checked)
        first = run.verdict == "cancelled" or validator.spoke_until < program.spoke_until
        return self._decide(slot, run, check, timing, validator_first=first)

    def _start(self, slot: Slot, test: Test, source: str, said: IO[bytes], checked: IO[bytes]) -> tuple[_Side, _Side]:
        """Start both."""
        options = self._validator.options(slot, test, source)
        assert self._limits.wall_s is not None
        options["wall"] += self._limits.wall_s  # it waits for the program, and is not to blame for that
        validator = slot.checks.popen(self._validator.command(test), stdin=PIPE, stdout=PIPE, stderr=checked, **options)
        try:
            options = runs.options(self._program, test, self._limits, self._near)
            program = slot.runs.popen(self._program.command(test.args), stdin=PIPE, stdout=PIPE, stderr=said, **options)
        except BaseException:
            validator.kill()
            raise
        return _Side(validator), _Side(program)

    def _wait(self, validator: _Side, program: _Side) -> None:
        """Wait for both. When the validator has rejected, what the program still does counts no more: it is killed."""

        def watch() -> None:
            validator.wait()
            if validator.error or (validator.done and validator.done.returncode != 42):
                program.kill()

        threads = [
            threading.Thread(target=watch),
            threading.Thread(target=validator.tell, args=(program,)),
            threading.Thread(target=program.tell, args=(validator,)),
        ]
        for thread in threads:
            thread.start()
        try:
            program.wait()
        finally:
            if program.error:
                validator.kill()
            for thread in threads:
                thread.join()

    def _decide(self, slot: Slot, run: CompletedRun, check: CompletedRun, timing: Timing, *, validator_first: bool) -> Talk:
        """Say who is to blame: a validator that rejected or failed first, a program that failed, else the validator decides."""
        said = self._validator.judged(check, slot)
        if said.verdict == Verdict.JE and _broke_its_pipe(check):
            said = Judgement(verdict=Verdict.WA, message="the program listened no more while the validator was writing to it")
        ending = of_run(run, self._limits)
        attempt = runs.Attempt(run=run, ending=ending, timing=timing)
        if validator_first and said.verdict in (Verdict.WA, Verdict.JE):
            return Talk(attempt=_without_ending(attempt), said=said)
        if ending.verdict is not None:
            return Talk(attempt=attempt, said=Judgement(verdict=ending.verdict, message=ending.message))
        return Talk(attempt=attempt, said=said)


def _without_ending(attempt: runs.Attempt) -> runs.Attempt:
    """Return an attempt whose end says nothing, as it came after the validator's."""
    ending = msgspec.structs.replace(attempt.ending, verdict=None, evidence=None, message="")
    return msgspec.structs.replace(attempt, ending=ending)


def _broke_its_pipe(check: CompletedRun) -> bool:
    """Tell whether a validator failed as nobody listened: of SIGPIPE (pipe(7)), or of the error that runtimes make of it."""
    return check.returncode == -signal.SIGPIPE or bool(re.search(rb"Broken pipe|EPIPE", check.stderr or b""))


def _write(target: IO[bytes], chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[target.write(rest) :]


def _tail(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(_LAST_WORDS)
