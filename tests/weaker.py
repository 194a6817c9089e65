"""A `jailpy` command on a host that lacks something: tests/kernel/weakened.py makes the host, then JailPy starts there."""

from __future__ import annotations

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def on_weaker_host(folder, jailpy, *lacks):
    """Write a script that starts a `jailpy` command on a host without what is named; return its path."""
    path = os.path.join(folder, "jailpy-on-" + "-".join(lacks))
    weakened = os.path.join(ROOT, "tests", "kernel", "weakened.py")
    with open(path, "w", encoding="utf-8") as script:
        script.write(
            f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -P {weakened} {",".join(lacks)} "{jailpy}" "$@"\n'
        )
    os.chmod(path, 0o755)
    return path
