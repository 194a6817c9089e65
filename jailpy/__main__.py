"""`python -m jailpy`, and what the start script bin/jailpy imports."""

from __future__ import annotations

import _signal
import gc
import os
import sys


def _leave_current_folder() -> None:
    """Take what `-m` puts first off the module path: a payload may write there (--rw .), and much is imported once it runs."""
    try:
        if not sys.flags.safe_path and sys.path[0] == os.getcwd():
            del sys.path[0]
    except FileNotFoundError:  # a folder that is deleted is not there, and holds nothing
        return


if __name__ == "__main__":
    _leave_current_folder()

_is_exec = sys.argv[1:2] == ["exec"]
if _is_exec:
    gc.disable()  # one run makes little garbage, and a collection copies pages that are shared with the child

_before = _signal.getsignal(_signal.SIGINT)
if _before is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # an interrupt among the imports ends it without a traceback

from jailpy.cli import main  # noqa: E402

# exec has nothing to tidy up until it takes the signals for its run, and an interrupt in the middle of an import may be lost.
if not _is_exec:
    _signal.signal(_signal.SIGINT, _before)
status = main()
os._exit(status)  # main has flushed; taking the interpreter down in order costs as much as the jail (docs/adr/0002)
