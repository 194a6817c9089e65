# row = "B3"
# boundary = "what the caller has open"
# ending = "ok"
# layers = ["launcher"]
# control = "outside"
"""Looks for descriptors of the caller, a folder or a namespace among them, that came along."""

import os

from attack import Held, attempt


def extra():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    more = {number: what for number, what in found.items() if number > 2 and what != f"/proc/{os.getpid()}/fd"}
    if not more:
        raise Held("none")
    return more


attempt("descriptors", extra)
