"""One call of a Python program that runs one command to its end, each way. This runs in the process of the caller.

A call is described by a dictionary: its `way`, and what that way takes. All of them give an empty standard input and capture
both outputs.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

from benchmarks.common import FailedError, UnavailableError, last_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Run = Callable[[], bytes]

_ready: dict[str, Run] = {}
_launchers: dict[str, Any] = {}


def hello() -> None:
    """Answer, so that one knows that the process is there."""


def version(package: str) -> str:
    """Return the version of a package of this environment."""
    from importlib.metadata import version

    return version(package)


def ready(name: str, call: Mapping[str, Any], output: str | None = None) -> None:
    """Make a call and try it, which also fills caches. Raises FailedError where it fails, or writes other than `output`."""
    run = make(call)
    written = run().decode(errors="replace")
    if output is not None and written != output:
        raise FailedError(f"{name}: expected {output!r} on standard output, got {written[:200]!r}")
    _ready[name] = run


def output(call: Mapping[str, Any]) -> str:
    """Make a call once; return what was written."""
    return make(call)().decode(errors="replace")


def once(name: str) -> float:
    """Make a call that is ready; return its milliseconds."""
    run = _ready[name]
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) * 1e3


def times(name: str, count: int) -> list[float]:
    """Make a call that is ready so many times, one after the other; return the milliseconds of each."""
    return [once(name) for _ in range(count)]


def make(call: Mapping[str, Any]) -> Run:
    """Turn a description into a function. One thread may use it at a time. Raises UnavailableError."""
    rest = {name: value for name, value in call.items() if name != "way"}
    return _WAYS[call["way"]](**rest)


def launcher(options: Mapping[str, Any]) -> Any:
    """Return the launcher with these options, one for the whole process. Raises UnavailableError."""
    import jailpy

    key = json.dumps(options, sort_keys=True)
    if key not in _launchers:
        try:
            _launchers[key] = jailpy.Launcher(**options)
        except jailpy.UsageError as error:
            if "there is none of this name" not in str(error):
                raise FailedError(f"jailpy: {error}") from error
            raise UnavailableError(f"this JailPy's Launcher has not the option {' '.join(options)}") from None
    return _launchers[key]


def _subprocess(commands: Sequence[Sequence[str]], environment: Mapping[str, str] | None = None) -> Run:
    """Run commands one after the other (most peers need one for a run, some one before and one after), with more variables."""
    variables = {**os.environ, **environment} if environment else None

    def run() -> bytes:
        written = b""
        for argv in commands:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, env=variables)
            if done.returncode:
                words = last_line(done.stderr or done.stdout)
                raise FailedError(f"{argv[0]}: status {done.returncode}: {words}")
            written += done.stdout
        return written

    return run


def _launcher(launcher_options: Mapping[str, Any], command: Sequence[str], options: Mapping[str, Any]) -> Run:
    return _checked(launcher(launcher_options).run, command, options)


def _python(launcher_options: Mapping[str, Any], script: str, options: Mapping[str, Any]) -> Run:
    found = launcher(launcher_options)
    if not hasattr(found, "python"):
        raise UnavailableError("this JailPy has no Launcher.python")
    return _checked(found.python, script, options)


def _checked(function: Callable[..., Any], what: object, options: Mapping[str, Any]) -> Run:
    import jailpy

    def run() -> bytes:
        try:
            done = function(what, **options)
        except jailpy.JailPyError as error:
            raise FailedError(f"jailpy: {error}") from error
        if done.verdict != "ok":
            words = "; ".join([*done.report()["notes"], last_line(done.stderr)])
            raise FailedError(f"jailpy: {done.verdict}, status {done.returncode}: {words}")
        return bytes(done.stdout)

    return run


def _sandlock(command: Sequence[str], options: Mapping[str, Any]) -> Run:
    import sandlock  # type: ignore[import-not-found]

    box = sandlock.Sandbox(**options)

    def run() -> bytes:
        done = box.run(command)
        if not done.success:
            raise FailedError(f"sandlock: status {done.exit_code}: {done.error or last_line(done.stderr)}")
        return bytes(done.stdout)

    return run


_WAYS: dict[str, Callable[..., Run]] = {
    "subprocess": _subprocess,
    "launcher": _launcher,
    "python": _python,
    "sandlock": _sandlock,
}
