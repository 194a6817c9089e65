"""A process of another environment whose functions are called from here: one line of JSON each way.

What is timed is timed over there, in the process of a Python caller, so the way there and back costs no figure anything.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, Self

from benchmarks.common import ROOT, FailedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Appended to the path, so that `jailpy` is the installed one; without -P it would be looked for in the current folder first.
STUB = f"import sys; sys.path.append({ROOT!r}); from benchmarks import remote; remote.serve()"
_ERRORS: dict[str, type[Exception]] = {"unavailable": UnavailableError, "failed": FailedError}


class Remote:
    """The process. A context manager; leaving it ends the process and what it started."""

    def __init__(self, python: str, environment: Mapping[str, str], prefix: Sequence[str] = ()) -> None:
        argv = [*prefix, python, "-P", "-c", STUB]
        self._process = subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.call("calls:hello")

    def call(self, function: str, **arguments: Any) -> Any:
        """Call `module:name` of this package over there. Raises FailedError and UnavailableError as they were raised there."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps([function, arguments]) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            line = ""
        else:
            line = self._process.stdout.readline()
        if not line:
            raise FailedError(f"{function}: the process that makes the calls has ended")
        kind, result = json.loads(line)
        if kind in _ERRORS:
            raise _ERRORS[kind](result)
        return result

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(BrokenPipeError):  # it is dead, and a call that it never read is lost with it
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve() -> None:
    """Answer until standard input ends. Nothing that is started from here gets the two descriptors."""
    questions, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC), 0)
    os.dup2(2, 1)
    with questions, answers:
        for line in questions:
            answers.write(json.dumps(_answer(*json.loads(line))) + "\n")
            answers.flush()


def _answer(function: str, arguments: dict[str, Any]) -> tuple[str, Any]:
    module, name = function.split(":")
    try:
        return "result", getattr(importlib.import_module(f"benchmarks.{module}"), name)(**arguments)
    except UnavailableError as error:
        return "unavailable", str(error)
    except FailedError as error:
        return "failed", str(error)
