"""Where the hostile programs run: a scene on the host for them to look for, and one function for each way to start them."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import types

import jailpy
from jailpy.layers import seccomp_filter, syscall_table
from jailpy.profile.model import LAYERS
from tests.core import PYTHON, alive, eventually, execute, groups_of, mounts
from tests.escape.header import PROGRAMS

SHOWN = "/work/escape"
REMOVABLE = ("net", "ipc", "uts", "cgroup-ns", "seccomp", "landlock", "cgroup", "rlimits")  # others hold each other up
NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount", "--uts", "--ipc", "--net", "--cgroup")
_EXECUTED = 0o755


class Scene:
    """A folder of programs, and what they look for: a file, listeners, an environment, descriptors, all of this host."""

    def __init__(self, compiler):
        self.word = f"esc{secrets.token_hex(8)}"
        self.top = tempfile.mkdtemp(prefix="escape-")
        os.chmod(self.top, _EXECUTED)
        self.folder, self.scratch, self.temporary = (os.path.join(self.top, name) for name in ("shown", "scratch", "tmp"))
        for folder in (self.folder, self.scratch, self.temporary):
            os.mkdir(folder)
        os.chmod(self.scratch, 0o1777)
        self.canary = self._write(self.top, "canary", self.word)
        self._build(compiler)
        self._listen()
        self._write(self.folder, "facts", "".join(f"{key} {value}\n" for key, value in self._facts().items()))

    def _write(self, folder, name, text):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    def _build(self, compiler):
        table = syscall_table.load()
        numbers = {name: table.number(name, os.uname().machine) for name in table.numbers}
        self._write(self.folder, "numbers", "".join(f"{name} {number}\n" for name, number in numbers.items()))
        for name in os.listdir(PROGRAMS):
            if name.endswith(".py"):
                shutil.copy(os.path.join(PROGRAMS, name), self.folder)
            elif name.endswith(".c"):
                target = os.path.join(self.folder, name.removesuffix(".c"))
                subprocess.run(
                    [compiler, "-O1", "-w", "-pthread", "-o", target, os.path.join(PROGRAMS, name)], check=True, timeout=60
                )

    def _listen(self):
        self.sockets = []
        for family, kind, address in (
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            (socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self.word),
            (socket.AF_UNIX, socket.SOCK_STREAM, self.top + "/socket"),
            (socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{self.word}-datagrams"),
        ):
            sock = socket.socket(family, kind)
            sock.bind(address)
            if kind == socket.SOCK_STREAM:
                sock.listen(200)
            self.sockets.append(sock)
        os.chmod(self.top + "/socket", 0o777)
        self.inherited = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)
        os.set_inheritable(self.inherited, True)

    def _facts(self):
        return {
            "canary": self.canary, "word": self.word[::-1], "host": os.uname().nodename, "pid": os.getpid(), "top": self.top,
            "allowed": " ".join(str(decision.number) for decision in seccomp_filter.policy(["@default"], []).decisions if not decision.errno),
            "port": self.sockets[0].getsockname()[1], "socket": self.top + "/socket", "user": os.geteuid(),
        }  # fmt: skip

    def environment(self):
        """What every caller of a program has in its environment."""
        return {
            **os.environ, "TMPDIR": self.temporary, "SECRET_ANSWER": self.word, "LD_PRELOAD": "", "BASH_ENV": "/dev/null",
            "PYTHONSTARTUP": "/dev/null", "NODE_OPTIONS": "--no-warnings",
        }  # fmt: skip

    def close(self):
        for sock in self.sockets:
            sock.close()
        os.close(self.inherited)
        left = os.listdir(self.temporary)
        shutil.rmtree(self.top)
        assert left == [], "temporary files are left"


def argv(name, folder, phase, word):
    """Return the command that runs a program from a folder. The word makes its processes known."""
    if name.endswith(".c"):
        return [f"{folder}/{name.removesuffix('.c')}", phase, word]
    return [PYTHON, "-sES", f"{folder}/{name}", phase, word]


def attempts(output):
    """Read the lines of a program: {name: (word, detail)}; a name that was out once is out."""
    found = {}
    for line in output.decode(errors="backslashreplace").splitlines():
        word, _, rest = line.partition(" ")
        name, _, detail = rest.partition(": ")
        if word in ("out", "held") and found.get(name, ("", ""))[0] != "out":
            found[name] = word, detail
    return found


def run_of(phases):
    """Make one result of the phases of a program."""
    said = attempts(b"".join(phase.out for phase in phases))
    last = phases[-1]
    return types.SimpleNamespace(
        said=said, out={name: detail for name, (word, detail) in said.items() if word == "out"}, early=phases[:-1],
        report=last.report, verdict=last.report["verdict"] if last.report else "", err=last.err,
    )  # fmt: skip


def outside(scene, name, header, kind):
    """Run a program with no jail around it."""
    before = list(NAMESPACES) if kind == "namespaces" else []
    if kind == "nobody" and os.geteuid() == 0:
        before = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    phases = []
    with tempfile.TemporaryDirectory(dir=scene.scratch) as folder:
        os.chmod(folder, 0o777)
        for phase in header.phases:
            done = subprocess.run(
                [*before, *argv(name, scene.folder, phase, scene.word)], cwd=folder, capture_output=True, timeout=60,
                env={**scene.environment(), **header.env}, stdin=subprocess.DEVNULL, pass_fds=[scene.inherited],
            )  # fmt: skip
            phases.append(types.SimpleNamespace(out=done.stdout, err=done.stderr, report=None))
    return run_of(phases)


def cold(scene, jailpy_command, name, header):
    """Run a program by `jailpy exec`, and see that nothing is left."""
    given = {**header.options, **header.options.get("set", {})}
    words = [
        word
        for key, value in given.items()
        if key != "set"
        for word in (("--set", f"{key}={value}") if "." in key else (f"--{key.replace('_', '-')}", str(value)))
    ]
    phases = []
    for phase in header.phases:
        done = execute(
            jailpy_command, *words, "--ro", f"{scene.folder}:{SHOWN}", "--", *argv(name, SHOWN, phase, scene.word),
            env={**scene.environment(), **header.env}, pass_fds=[scene.inherited],
        )  # fmt: skip
        phases.append(done)
    nothing_runs(scene)
    return run_of(phases)


def without(layers):
    """Return the options of a run that does without these layers. Landlock's older ABIs lean on others, and may say so."""
    names = [f"!{layer}" for layer in layers]
    return {
        "set": {"require.layers": names, "require.prefer": [*names, "!apparmor"]}, "allow_missing": ["landlock"],
    }  # fmt: skip


def warm(scene, launcher, name, header, **options):
    """Run a program by a launcher, and see that nothing is left but what the launcher keeps."""
    kept = groups(launcher)
    phases = []
    for phase in header.phases:
        done = launcher.run(argv(name, SHOWN, phase, scene.word), **{**header.options, **options})
        phases.append(types.SimpleNamespace(out=done.stdout, err=done.stderr, report=done.report()))
    nothing_runs(scene)
    assert eventually(lambda: not empty(groups(launcher) - kept)), f"cgroups are left: {empty(groups(launcher) - kept)}"
    return run_of(phases)


def nothing_runs(scene):
    """See that no process, mount or temporary file of a run is left."""
    assert not alive(scene.word), "a process outlived its run"
    assert not mounts(), mounts()
    assert not os.listdir(scene.temporary), "temporary files are left"


def empty(folders):
    """Return the groups that hold no process. A launcher's templates, which a run may have been the first to need, do."""
    found = set()
    for folder in folders:
        held = []
        for top, _, _ in os.walk(folder):
            with contextlib.suppress(FileNotFoundError), open(f"{top}/cgroup.procs", encoding="ascii") as file:
                held += file.readlines()
        found |= set() if held else {folder}
    return found & {folder for folder in found if os.path.isdir(folder)}


def groups(launcher):
    """Return the cgroups of a launcher's workers."""
    server = launcher._server._process
    if server is None:
        return set()
    with contextlib.suppress(FileNotFoundError), open(f"/proc/{server.pid}/task/{server.pid}/children") as file:
        return {group for pid in (server.pid, *file.read().split()) for group in groups_of(pid)}
    return set()


@contextlib.contextmanager
def launching(scene, **options):
    """A launcher of this scene; when it closes nothing of it is left."""
    old = dict(os.environ)
    os.environ.update(scene.environment())
    try:
        with jailpy.Launcher(ro=[f"{scene.folder}:{SHOWN}"], **options) as launcher:
            assert launcher.run(["/usr/bin/true"]).verdict == "ok"
            yield launcher
            server = launcher._server._process.pid
            left = lambda: groups(launcher)
            before = left()
    finally:
        os.environ.clear()
        os.environ.update(old)
    assert not os.path.exists(f"/proc/{server}")
    assert eventually(lambda: not any(map(os.path.isdir, before))), f"cgroups are left: {before}"


def kernel_layers(header):
    """Return the declared layers that a profile can switch off."""
    return [layer for layer in header.layers if layer in LAYERS]


def interpreter_is_the_systems():
    """The programs run by the system's Python; that of the tests may be another."""
    return os.path.exists(PYTHON) and sys.version_info >= (3, 11)
