"""Environments of their own: JailPy as its users install it, and the peers that are on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.timing import Contestant

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRUE = "/usr/bin/true"
STRICT = f"jailpy exec --profile strict -- {TRUE}"
BUBBLEWRAP = "--unshare-all --die-with-parent --ro-bind /usr /usr --proc /proc --dev /dev --tmpfs /tmp"
BUBBLEWRAP += " --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64"
FIREJAIL = "--quiet --noprofile --net=none --seccomp"
SANDLOCK = f"""import sys, sandlock
box = sandlock.Sandbox(fs_readable=["/usr", "/lib", "/lib64", "/bin", "/etc"])
sys.exit(box.run(["{TRUE}"]).exit_code)"""


@dataclass(frozen=True)
class Installed:
    """A fresh environment with JailPy in it."""

    folder: str
    environment: dict[str, str]

    @property
    def python(self) -> str:
        return f"{self.folder}/bin/python3"

    @property
    def jailpy(self) -> str:
        return f"{self.folder}/bin/jailpy"


def clean_environment(scratch: str) -> dict[str, str]:
    """Return this environment without what changes Python (above all PYTHONDONTWRITEBYTECODE), and with a cache of our own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "XDG_CACHE_HOME": f"{scratch}/cache"}


def _make(folder: str, environment: dict[str, str], what: str) -> subprocess.CompletedProcess[str]:
    subprocess.run([sys.executable, "-m", "venv", folder], env=environment, check=True)
    pip = [f"{folder}/bin/python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--compile", what]
    return subprocess.run(pip, env=environment, capture_output=True, text=True)


def install(scratch: str) -> Installed:
    """Make the environment by `python -m venv` and `pip install .`. Raises SystemExit with pip's words."""
    made = Installed(f"{scratch}/jailpy", clean_environment(scratch))
    os.mkdir(made.environment["XDG_CACHE_HOME"], 0o700)
    done = _make(made.folder, made.environment, ROOT)
    if done.returncode:
        raise SystemExit(f"benchmarks: error: pip install {ROOT}: {done.stderr.strip()}")
    return made


def warm(installed: Installed) -> None:
    """Start JailPy until its caches are full: it keeps nothing of a file that was written a moment ago. Raises SystemExit."""
    code = f"import sys; from jailpy.cli import main; main({STRICT.split()[1:]!r}); sys.exit('tomllib' in sys.modules)"
    deadline = time.monotonic() + 20
    while subprocess.run([installed.python, "-P", "-c", code], env=installed.environment).returncode:
        if time.monotonic() > deadline:
            raise SystemExit("benchmarks: error: jailpy does not start, or still parses its profile after 20 seconds")
        time.sleep(0.5)


def own(installed: Installed) -> list[Contestant]:
    """Return the plain process, the interpreter alone (the baseline), and JailPy."""
    environment = installed.environment
    return [
        Contestant("plain process", [TRUE], TRUE, environment),
        Contestant("python", [installed.python, "-c", "pass"], "python3 -c pass", environment),
        Contestant("jailpy", [installed.jailpy, *STRICT.split()[1:]], STRICT, environment),
    ]


def peers(installed: Installed, scratch: str, *, sandlock: bool) -> tuple[list[Contestant], list[dict[str, str]]]:
    """Return the peers that are here, and which ones are not and why."""
    found, skipped = [], []
    for name, program, options in (("bubblewrap", "bwrap", BUBBLEWRAP), ("firejail", "firejail", FIREJAIL)):
        path = shutil.which(program)
        if path:
            shown = f"{program} {options} -- {TRUE}"
            found.append(Contestant(name, [path, *shown.split()[1:]], shown, installed.environment))
        else:
            skipped.append({"name": name, "why": f"{program} is not installed (apt-get install {name})"})
    if not sandlock:
        skipped.append({"name": "sandlock", "why": "not asked for (--sandlock installs it from PyPI into its own environment)"})
    elif why := _install_sandlock(scratch, installed, found):
        skipped.append({"name": "sandlock", "why": why})
    return found, skipped


def _install_sandlock(scratch: str, installed: Installed, found: list[Contestant]) -> str:
    folder = f"{scratch}/sandlock"
    done = _make(folder, installed.environment, "sandlock")
    if done.returncode:
        return "pip cannot install it: " + (done.stderr.strip().splitlines() or ["no words"])[-1]
    script = f"{scratch}/sandlock.py"
    with open(script, "w", encoding="ascii") as file:
        file.write(SANDLOCK)
    argv = [f"{folder}/bin/python3", "-P", script]
    found.append(
        Contestant("sandlock", argv, f'python3 script: Sandbox(fs_readable=[...]).run(["{TRUE}"])', installed.environment)
    )
    return ""
