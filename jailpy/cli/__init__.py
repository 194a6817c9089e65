"""The command line: one verb per file. Only this package prints and exits."""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    `exec` goes a short way without click, whose import takes longer than the jail (docs/adr/0001).
    """
    argv = list(sys.argv[1:] if arguments is None else arguments)
    guard_standard_descriptors()
    if sys.stdout is None:  # closed by the caller: what a verb prints goes nowhere, as with other programs
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of this process
    try:
        return _run(argv)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
    except Exception as error:  # noqa: BLE001 - a bug of ours is told in words too; the traceback on request
        from jailpy.cli.console import bug, unwritable

        if isinstance(error, OSError) and error.errno in _UNWRITABLE:
            return unwritable(error)
        return bug(error)


def guard_standard_descriptors() -> None:
    """Occupy 0, 1 and 2 where the caller closed them, so that no pipe of a jail gets one of these numbers."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)


def _run(argv: list[str]) -> int:
    status: int | None = None
    if argv[:1] == ["exec"]:
        from jailpy.cli import execute

        status = execute.main(argv[1:])
    elif argv[:1] == ["explain"]:
        from jailpy.cli import explain

        status = explain.main(argv[1:])
        sys.stdout.flush()
    elif argv[:1] == ["run"]:
        from jailpy.cli import run

        status = run.main(argv[1:])
    if status is None:
        from jailpy.cli import app

        verb = argv[:1] if argv[:1] in (["exec"], ["explain"], ["run"]) else []
        status = app.main([*verb, "--help"] if verb else argv)
        sys.stdout.flush()
    return status
