"""The command line: one verb per file. Only this package prints and exits."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    `exec` goes a short way without click, whose import takes longer than the jail (docs/adr/0001).
    """
    argv = list(sys.argv[1:] if arguments is None else arguments)
    if argv and argv[0] == "exec":
        from jailpy.cli import execute

        status = execute.main(argv[1:])
    else:
        from jailpy.cli import app

        status = app.main(argv)
    return status
