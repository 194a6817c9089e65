"""What the command line says to a person, on standard error."""

from __future__ import annotations

import errno
import os

from jailpy import escape
from jailpy.errors import ManifestError, ProblemError, ProfileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.errors import JailPyError

_EXHAUSTED = {
    errno.EMFILE: ("the launcher has too few file descriptors", "raise its limit: ulimit -n"),
    errno.ENFILE: ("the host has too few file descriptors", "raise fs.file-max, or end what holds them"),
    errno.ENOMEM: ("the launcher has too little memory", "raise its limit (ulimit -v), or free memory of the host"),
}


def say(text: str) -> None:
    """Write one line for the person, with everything untrusted escaped."""
    try:
        os.write(2, f"jailpy: {escape.line(text)}\n".encode())
    except OSError:  # a full disk, a reader that is gone: the exit status and the report still say it
        return


def complain(error: JailPyError) -> int:
    """Say an error and its hints; return its exit status."""
    say(f"error: {error.message}")
    problems = error.problems if isinstance(error, ManifestError | ProfileError | ProblemError) else ()
    told = (problem for problem in problems if problem not in error.message)  # the only one may be the message
    for line in (*told, *(f"hint: {hint}" for hint in error.hints)):
        say(line)
    return error.exit_status


def unwritable(error: OSError) -> int:
    """Say that standard output takes nothing; return the exit status."""
    say(f"error: standard output: {error.strerror}")
    return 125


def bug(error: Exception) -> int:
    """Say an error that nobody foresaw: what there was too little of, or that the bug is ours; return the exit status."""
    if os.environ.get("JAILPY_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    number = errno.ENOMEM if isinstance(error, MemoryError) else getattr(error, "errno", None)
    if number in _EXHAUSTED:
        what, hint = _EXHAUSTED[number]
        say(f"error: {what}: {os.strerror(number)}")
        say(f"hint: {hint}")
        return 125
    say(f"error: internal: {type(error).__name__}: {error}: a bug in JailPy")
    say("hint: JAILPY_TRACEBACK=1 shows where; please report it")
    return 125
