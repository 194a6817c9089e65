"""The scene of the attacks outside of the jail: files, a process with sockets and shared memory, and the controls.

Parent side. Everything is a throw-away: `Scene.close` leaves nothing.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile

from jailpy.host import probe
from jailpy.kernel import process
from jailpy.services.attacks import PROGRAM
from jailpy.services.decoy import Decoy

SHOWN = "/selftest/shown"
_NEEDS = "import ctypes, errno, glob, json, resource, shutil, signal, socket"
_NOBODY = 65534
_ROOT_IN_NAMESPACES = process.CLONE_NEWUSER | process.CLONE_NEWNS | process.CLONE_NEWUTS


def works(python: str) -> bool:
    """Say whether a Python has the modules that the program needs (Debian's python3-minimal has not)."""
    if not os.access(python, os.X_OK):
        return False
    command = [python, "-I", "-S", "-c", _NEEDS]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


class Scene:
    """Files and a decoy process for attacks to look for; `python` runs the program outside of the jail."""

    def __init__(self, python: str) -> None:
        self.python = python
        with open(PROGRAM, encoding="utf-8") as file:
            self.text = file.read()
        self.token = f"jp-{secrets.token_hex(4)}"
        self.folder = tempfile.mkdtemp(prefix="jailpy-selftest-")
        self.shown = self._file("shown")
        self.canary = self._file("canary")
        self._decoy: Decoy | None = None
        self._facts: dict[str, object] = {"token": self.token, "hostname": os.uname().nodename}

    def _file(self, name: str) -> str:
        path = f"{self.folder}/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write("a file of the host\n")
        return path

    def command(self, wanted: dict[str, object]) -> list[str]:
        """Return the argv of the program."""
        return [self.python, "-I", "-S", "-c", self.text, json.dumps(wanted)]

    def start_decoy(self) -> None:
        """Start the process that attacks look for. Raises InternalError where it does not come up."""
        self._decoy = Decoy(self.command({"decoy": True, "scene": {"token": self.token}}))
        self._facts.update(json.loads(self._decoy.line))

    def open_to_all(self) -> None:
        """Let every account reach the files: what then refuses them in a jail without namespaces is the jail."""
        os.chmod(self.folder, 0o755)  # noqa: S103 - holds nothing but this scene
        for path in (self.shown, self.canary):
            os.chmod(path, 0o644)

    def facts(self, inside: bool, workdir: str = "") -> dict[str, object]:
        """Return what the program is told: in the jail it works in the work folder, outside in the scene's own."""
        folder = workdir if inside else self.folder
        shown = SHOWN if inside else self.shown
        landlock = "/.landlock" if inside else self.shown
        return {**self._facts, "canary": self.canary, "shown": shown, "folder": folder, "landlock": landlock, "bounding": True}

    def outside(self, kind: str, wanted: dict[str, object]) -> bytes:
        """Run the program as a control of this kind; return its output, b"" where namespaces are refused.

        Raises OSError where no child can be had.
        """
        command = self.command(wanted)
        flags = _ROOT_IN_NAMESPACES if kind == "namespaces" else 0
        try:
            return probe.in_child(lambda writer: _execute(command, writer, kind == "nobody"), flags).output
        except OSError:
            if flags:
                return b""
            raise

    def close(self) -> None:
        """End the decoy and remove the files."""
        if self._decoy:
            self._decoy.close()
            self._decoy = None
        shutil.rmtree(self.folder)


def _execute(command: list[str], writer: int, as_nobody: bool) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for target, number in ((0, nowhere), (1, writer), (2, nowhere)):
        os.dup2(number, target)
    if as_nobody and os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    os.chdir("/")
    os.execve(command[0], command, {"PATH": os.defpath})  # noqa: S606 - the point of the child
