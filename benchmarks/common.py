"""What every part uses: where the repository is, the words on standard error, and the two ways not to have a result."""

from __future__ import annotations

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRUE = "/usr/bin/true"


class UnavailableError(Exception):
    """Something that this host, or this JailPy, has not got. It is named and left out."""


class FailedError(Exception):
    """Something that is there and did not run. It is named, the rest goes on, and the exit status says so."""


def last_line(written: bytes) -> str:
    """Return the last line that a program wrote: most say there what was wrong."""
    return written.decode(errors="replace").strip().rpartition("\n")[2]


def say(text: str) -> None:
    """Say on standard error what is going on."""
    print(f"benchmarks: {text}", file=sys.stderr, flush=True)
