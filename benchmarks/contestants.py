"""Who takes part: JailPy in its ways, the plain process, and the peers, each as a call that runs one command."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks import peers
from benchmarks.environments import STRICT

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.remote import Remote
    from benchmarks.stage import Stage

PLAIN, PYTHON, COLD, WARM, POOLED = "plain process", "python3", "jailpy, cold", "jailpy, warm", "jailpy, pooled"
BUBBLEWRAP, FIREJAIL, SANDLOCK = "bubblewrap", "firejail", "sandlock"
POOL = 4
LAYERS = "all layers of strict"
SANDLOCK_OPTIONS = {
    "fs_readable": ["/usr", "/lib", "/lib64", "/bin", "/etc"],
    "max_memory": "256M",
    "max_processes": 32,
    "max_open_files": 64,
    "clean_env": True,
}


@dataclass(frozen=True)
class Contestant:
    """A call of benchmarks/calls.py and the caller that makes it. `shown` is how people would write it."""

    name: str
    where: str
    call: dict[str, Any]
    shown: str
    confines: str = ""
    output: str | None = None

    def ready(self, caller: Remote) -> Callable[[], float]:
        """Let the caller try it; return a function that does it once and gives the milliseconds. Raises FailedError."""
        caller.call("calls:ready", name=self.name, call=self.call, output=self.output)
        return functools.partial(caller.call, "calls:once", name=self.name)


def program(name: str, commands: list[list[str]], shown: str, confines: str = "", where: str = "jailpy") -> Contestant:
    """Return commands that subprocess.run runs."""
    return Contestant(name, where, {"way": "subprocess", "commands": commands}, shown, confines)


def plain(command: list[str]) -> Contestant:
    """Return the command without a jail."""
    return program(PLAIN, [command], f"subprocess.run({command}, capture_output=True)", "nothing")


def cold(stage: Stage) -> Contestant:
    """Return the command line of JailPy."""
    return program(COLD, [[stage.installed.jailpy, *STRICT.split()[1:]]], STRICT, LAYERS)


def jailpy(name: str, command: list[str], where: str = "jailpy", **options: Any) -> Contestant:
    """Return a warm launcher; or a pooled one, where the name says so. `options` are those of the run."""
    made = {"pool": POOL} if name == POOLED else {}
    words = ", ".join(f"{key}={value}" for key, value in made.items())
    call = {"way": "launcher", "launcher_options": made, "command": command, "options": options}
    return Contestant(name, where, call, f"Launcher({words}).run({command})", LAYERS)


def peer(entry: peers.Peer, stage: Stage, command: list[str]) -> Contestant:
    """Return a peer. Raises UnavailableError."""
    commands = entry.commands(command, stage.scratch)
    where = "crun" if entry.name == "crun" else "jailpy"
    return program(entry.name, commands, entry.shown(command), entry.confines, where)


def sandlock(command: list[str]) -> Contestant:
    """Return sandlock, with its limits on."""
    call = {"way": "sandlock", "command": command, "options": SANDLOCK_OPTIONS}
    words = ", ".join(f"{name}={value!r}" for name, value in SANDLOCK_OPTIONS.items())
    confines = "Landlock, a filter, limits by a supervisor; no namespaces, no cgroups"
    return Contestant(SANDLOCK, "sandlock", call, f"Sandbox({words}).run({command})", confines)


def all_peers(stage: Stage, command: list[str]) -> list[Contestant]:
    """Return every peer that is here; note the others."""
    found = []
    for entry in peers.PEERS:
        with stage.noting(entry.name):
            found.append(peer(entry, stage, command))
    return [*found, sandlock(command)]
