"""`python -m jailpy`."""

from __future__ import annotations

import _signal
import sys

_before = _signal.getsignal(_signal.SIGINT)
if _before is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # an interrupt among the imports ends it without a traceback

from jailpy.cli import main  # noqa: E402

_signal.signal(_signal.SIGINT, _before)
sys.exit(main())
