"""Environments of their own, made when first asked for: JailPy as its users install it, sandlock, JailPy beside numpy."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.common import ROOT, TRUE, FailedError, UnavailableError, say

STRICT = f"jailpy exec --profile strict -- {TRUE}"


@dataclass(frozen=True)
class Installed:
    """An environment, and the variables that its processes get."""

    folder: str
    environment: dict[str, str]

    @property
    def python(self) -> str:
        return f"{self.folder}/bin/python3"

    @property
    def jailpy(self) -> str:
        return f"{self.folder}/bin/jailpy"


class Environments:
    """The environments below `scratch`; with `in_place` there is only the one that runs this."""

    def __init__(self, scratch: str, *, in_place: bool) -> None:
        self._scratch = scratch
        self._in_place = in_place
        self._variables = clean_environment(scratch)
        self._made: dict[str, Installed | Exception] = {}

    def get(self, name: str) -> Installed:
        """Return "jailpy", "sandlock" or "numpy". Raises UnavailableError with pip's words; FailedError for JailPy itself."""
        if name not in self._made:
            try:
                self._made[name] = self._make(name)
            except (UnavailableError, FailedError) as error:
                self._made[name] = error
        found = self._made[name]
        if isinstance(found, Exception):
            raise found
        return found

    def _make(self, name: str) -> Installed:
        if self._in_place:
            if name != "jailpy":
                raise UnavailableError("--in-place installs nothing")
            installed = Installed(sys.prefix, self._variables)
        else:
            wheels = f"{self._scratch}/wheels"
            what = {"jailpy": ["jailpy"], "sandlock": ["sandlock"], "numpy": ["jailpy", "numpy"]}[name]
            say(f"installing {' and '.join(what)} into an environment of its own")
            installed = Installed(f"{self._scratch}/{name}", self._variables)
            if "jailpy" in what and not os.path.isdir(wheels):
                _pip([sys.executable, "-m", "pip", "wheel", "--wheel-dir", wheels, ROOT], self._variables, FailedError)
            subprocess.run([sys.executable, "-m", "venv", installed.folder], env=self._variables, check=True)
            pip = [installed.python, "-m", "pip", "install", "--find-links", wheels, *what]
            _pip(pip, self._variables, FailedError if name == "jailpy" else UnavailableError)
        if name != "sandlock":
            _warm(installed)
        return installed


def clean_environment(scratch: str) -> dict[str, str]:
    """Return this environment without what changes Python (above all PYTHONDONTWRITEBYTECODE), and with a cache of our own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    cache = f"{scratch}/cache"
    os.makedirs(cache, 0o700, exist_ok=True)
    return {**kept, "XDG_CACHE_HOME": cache}


def _pip(argv: list[str], variables: dict[str, str], error: type[Exception]) -> None:
    options = ["--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*argv, *options], env=variables, capture_output=True, text=True)
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["no words"]
        raise error(f"pip cannot install it: {words[-1]}")


def _warm(installed: Installed) -> None:
    """Start JailPy until its caches are full: it keeps nothing of a file that was written a moment ago. Raises FailedError."""
    code = f"import sys; from jailpy.cli import main; status = main({STRICT.split()[1:]!r})"
    code += "; sys.exit(status or 200 * ('tomllib' in sys.modules))"
    deadline = time.monotonic() + 30
    while True:
        argv = [installed.python, "-P", "-c", code]
        done = subprocess.run(argv, env=installed.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            return
        if done.returncode != 200:
            raise FailedError(f"jailpy exec: status {done.returncode}: {done.stderr.strip()}")
        if time.monotonic() > deadline:
            raise FailedError("jailpy exec still parses its profile after 30 seconds")
        time.sleep(0.5)
