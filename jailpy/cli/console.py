"""What the command line says to a person, on standard error."""

from __future__ import annotations

import os

from jailpy import escape
from jailpy.errors import ManifestError, ProblemError, ProfileError, shortage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.errors import JailPyError


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
    lacking = shortage(error)
    if lacking:
        return complain(lacking)
    say(f"error: internal: {type(error).__name__}: {error}: a bug in JailPy")
    say("hint: JAILPY_TRACEBACK=1 shows where; please report it")
    return 125
