"""What the hostile programs look for on the host: a file, sockets, a process, an environment. Parent side, all throw-away."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import ExitStack

from jailpy.layers import seccomp_filter, syscall_table
from jailpy.services.decoy import Decoy
from jailpy.services.escapes.header import PROGRAMS, SHARED, programs

SHOWN = "/work/escape"
NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount", "--uts", "--ipc", "--net", "--cgroup")
_NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
_LOADING = {"LD_PRELOAD": "", "BASH_ENV": "/dev/null", "PYTHONSTARTUP": "/dev/null", "NODE_OPTIONS": "--no-warnings"}
_DECOY = "import sys; print(flush=True); sys.stdin.read()"


class Scene:
    """A folder of programs, and what they look for. `compiler` builds those in C, which are left out where it is "".

    `close` leaves nothing. Raises OSError, and CalledProcessError for a compiler that fails.
    """

    def __init__(self, python: str, compiler: str = "") -> None:
        self.python = python
        self.word = f"esc{secrets.token_hex(8)}"
        self._held = ExitStack()
        try:
            self._make(compiler)
        except BaseException:  # Ctrl-C while programs are compiled, too
            self.close()
            raise

    def _make(self, compiler: str) -> None:
        self.top = tempfile.mkdtemp(prefix="jailpy-escape-")
        self._held.callback(shutil.rmtree, self.top)
        os.chmod(self.top, 0o755)  # noqa: S103 - nobody is to find it, too, where no jail stops it
        self.folder, self.scratch, self.temporary = (os.path.join(self.top, name) for name in ("shown", "scratch", "tmp"))
        for folder, mode in ((self.folder, 0o755), (self.scratch, 0o1777), (self.temporary, 0o755)):
            os.mkdir(folder)
            os.chmod(folder, mode)
        self.canary = self._write(self.top, "canary", self.word)
        self._build(compiler)
        self._listen()
        self.decoy = Decoy([self.python, "-ISc", _DECOY, f"decoy-{self.word[::-1]}"], self.environment())
        self._held.callback(self.decoy.close)
        self._write(self.folder, "facts", "".join(f"{key} {value}\n" for key, value in self._facts().items()))

    def _write(self, folder: str, name: str, text: str) -> str:
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    def _build(self, compiler: str) -> None:
        table, machine = syscall_table.load(), os.uname().machine
        numbers = {name: table.number(name, machine) for name in table.numbers}
        self._write(self.folder, "numbers", "".join(f"{name} {number}\n" for name, number in numbers.items()))
        for name in (*SHARED, *programs(machine)):
            path = os.path.join(PROGRAMS, name)
            if name.endswith(".py"):
                shutil.copy(path, self.folder)
            elif name.endswith(".c") and compiler:
                target = os.path.join(self.folder, name.removesuffix(".c"))
                subprocess.run([compiler, "-O1", "-w", "-pthread", "-o", target, path], check=True, timeout=60)

    def _listen(self) -> None:
        addresses: tuple[tuple[int, int, tuple[str, int] | str], ...] = (
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            (socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self.word),
            (socket.AF_UNIX, socket.SOCK_STREAM, self.top + "/socket"),
            (socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{self.word}-datagrams"),
        )
        self.sockets = []
        for family, kind, address in addresses:
            sock = self._held.enter_context(socket.socket(family, kind))
            sock.bind(address)
            if kind == socket.SOCK_STREAM:
                sock.listen(200)
            self.sockets.append(sock)
        os.chmod(self.top + "/socket", 0o777)  # noqa: S103 - as above
        self.inherited = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)
        self._held.callback(os.close, self.inherited)
        os.set_inheritable(self.inherited, True)

    def _facts(self) -> dict[str, object]:
        policy = seccomp_filter.policy(["@default"], [])
        allowed = " ".join(str(decision.number) for decision in policy.decisions if decision.errno is None)
        facts = {"canary": self.canary, "word": self.word[::-1], "host": os.uname().nodename, "pid": self.decoy.pid}
        more = {"top": self.top, "port": self.sockets[0].getsockname()[1], "socket": self.top + "/socket"}
        return {**facts, **more, "allowed": allowed, "user": os.geteuid()}

    def environment(self) -> dict[str, str]:
        """Return what every caller of a program has in its environment: a secret, and what makes programs load things."""
        return {**os.environ, **_LOADING, "TMPDIR": self.temporary, "SECRET_ANSWER": self.word}

    def command(self, name: str, phase: str, inside: bool) -> list[str]:
        """Return the argv of a program. The last word makes its processes known."""
        folder = SHOWN if inside else self.folder
        if name.endswith(".c"):
            return [f"{folder}/{name.removesuffix('.c')}", phase, self.word]
        return [self.python, "-sES", f"{folder}/{name}", phase, self.word]

    def outside(self, name: str, phases: list[str], kind: str) -> tuple[bytes, bytes]:
        """Run a program, once for each phase, with no jail around it; return both its outputs. Raises OSError."""
        before = NAMESPACES if kind == "namespaces" else _NOBODY if kind == "nobody" and os.geteuid() == 0 else ()
        out = err = b""
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            os.chmod(folder, 0o777)  # noqa: S103 - for nobody
            for phase in phases:
                argv = [*before, *self.command(name, phase, inside=False)]
                done = subprocess.run(
                    argv, cwd=folder, capture_output=True, timeout=60, check=False, env=self.environment(),
                    stdin=subprocess.DEVNULL, pass_fds=[self.inherited],
                )  # fmt: skip
                out, err = out + done.stdout, err + done.stderr
        return out, err

    def close(self) -> None:
        """End the decoy, and remove the folder with all that is in it."""
        self._held.close()


def attempts(output: bytes) -> dict[str, tuple[str, str]]:
    """Read the lines of a program as data: {name: (word, detail)}; what was out once is out."""
    found: dict[str, tuple[str, str]] = {}
    for line in output.decode(errors="backslashreplace").splitlines():
        word, _, rest = line.partition(" ")
        name, _, detail = rest.partition(": ")
        if word in ("out", "held") and found.get(name, ("", ""))[0] != "out":
            found[name] = word, detail
    return found
