"""Programs that run inside: compiled from C, or a Python script where gcc is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from benchmarks.common import UnavailableError

C, SCRIPT = "C program", "Python script"


def build(path: str, source: str, script: str) -> str:
    """Make a program at `path`; return what it is. Raises UnavailableError where neither gcc nor a system Python is here."""
    if shutil.which("gcc"):
        subprocess.run(["gcc", "-O2", "-o", path, "-x", "c", "-"], input=source.encode(), check=True)
        return C
    python = os.path.realpath(sys.executable)
    if not python.startswith("/usr/"):
        raise UnavailableError("neither gcc (apt-get install gcc libc6-dev) nor a Python below /usr, which the jail shows")
    with open(path, "w", encoding="ascii") as file:
        file.write(f"#!{python}\n{script}")
    os.chmod(path, 0o755)
    return SCRIPT
