# row = "E18"
# boundary = "nothing of a run for the next one of the same launcher"
# ending = "ok"
# layers = ["mount", "ipc"]
# control = "outside"
# phases = ["mark", "search"]
"""Leaves a marker in every folder that it can write, and searches for it in the next run."""

import os

from attack import FACTS, PHASE, Held, attempt

name = f"marker-{FACTS['word']}"
folders = ["/tmp", "/dev/shm", "/work", "/run", "/var/tmp", "/"]


def mark():
    for folder in folders:
        try:
            with open(f"{folder}/{name}", "w") as file:
                file.write(name)
        except OSError:
            continue


def search():
    found = [f"{folder}/{name}" for folder in folders if os.path.exists(f"{folder}/{name}")]
    for path in found:
        os.unlink(path)
    if not found:
        raise Held("none")
    return found


mark() if PHASE == "mark" else attempt("markers", search)
