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
    try:
        return _run(argv)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - a bug of ours is told in words too; the traceback on request
        from jailpy.cli.console import bug

        return bug(error)


def _run(argv: list[str]) -> int:
    status: int | None = None
    if argv[:1] == ["exec"]:
        from jailpy.cli import execute

        status = execute.main(argv[1:])
    elif argv[:1] == ["explain"]:
        from jailpy.cli import explain

        status = explain.main(argv[1:])
    if status is None:
        from jailpy.cli import app

        verb = argv[:1] if argv[:1] in (["exec"], ["explain"]) else []
        status = app.main([*verb, "--help"] if verb else argv)
    return status
