# row = "C14"
# boundary = "the environment is built from nothing"
# ending = "ok"
# layers = ["launcher"]
# control = "outside"
"""Looks for variables that make trusted programs load what the caller's environment names."""

import os

from attack import Held, attempt


def present(name):
    if name not in os.environ:
        raise Held("not set")
    return os.environ[name]


for name in ("LD_PRELOAD", "BASH_ENV", "PYTHONSTARTUP", "NODE_OPTIONS"):
    attempt(name, present, name)
