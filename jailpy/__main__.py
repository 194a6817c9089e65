"""`python -m jailpy`, and what the start script bin/jailpy imports."""

from __future__ import annotations

import _signal
import gc
import os
import sys

if sys.argv[1:2] == ["exec"]:
    gc.disable()  # one run makes little garbage, and a collection copies pages that are shared with the child

_before = _signal.getsignal(_signal.SIGINT)
if _before is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # an interrupt among the imports ends it without a traceback

from jailpy.cli import main  # noqa: E402

_signal.signal(_signal.SIGINT, _before)
status = main()
os._exit(status)  # main has flushed; taking the interpreter down in order costs as much as the jail (docs/adr/0002)
