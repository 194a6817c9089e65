"""Runs of `jailpy exec` for tests of the core: what came out, the report, and what is left of exactly this run."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import tempfile
import time
import types

PYTHON = "/usr/bin/python3"
KERNEL = tuple(map(int, os.uname().release.split(".")[:2]))
PID_NAMESPACE = os.readlink("/proc/self/ns/pid").strip("pid:[]")  # a pid of another one says nothing here
PATIENCE = float(os.environ.get("JAILPY_TEST_PATIENCE", "1"))  # tests that wait for something wait so much longer


def token():
    """Return a word that no other command line on this host holds."""
    return f"tok{secrets.token_hex(12)}"


def alive(word):
    """List the processes, but this one, whose command line holds a word."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read()
        except OSError:
            continue  # ended since the listing
        if word.encode() in words and int(pid) != os.getpid():
            found.append(int(pid))
    return found


def cgroups():
    """Yield folder and name of each cgroup, however deep: another suite's tests may make more levels than os.walk() bears."""
    folders = ["/sys/fs/cgroup"]
    while folders:
        folder = folders.pop()
        try:
            names = [entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue  # removed since, or its path is too long
        folders += [os.path.join(folder, name) for name in names]
        yield from ((folder, name) for name in names)


def groups_of(launcher):
    """List the cgroups of one launcher's runs, in every hierarchy. Its scope systemd removes some time later."""
    return [
        os.path.join(folder, name)
        for folder, name in cgroups()
        if name.startswith(f"jailpy-{launcher}-") and f"-{PID_NAMESPACE}-" in name and not name.endswith(("-0", ".scope"))
    ]


def _mounts():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return {line for line in file if "jailpy" in line}


_MOUNTED = _mounts()  # a host may have folders of that name


def mounts():
    """List the mounts of JailPy's that were not there at the start."""
    return sorted(_mounts() - _MOUNTED)


def eventually(check, seconds=5.0):
    """Wait until a check holds; return its last value."""
    deadline = time.monotonic() + seconds * PATIENCE
    while not (value := check()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return value


def start(jailpy, *words, verb="exec", **options):
    """Start `jailpy exec` and return its Popen; its pid is the launcher's."""
    defaults = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "bufsize": 0}
    return subprocess.Popen([jailpy, verb, *map(str, words)], **{**defaults, **options})


def execute(jailpy, *words, timeout=60, data=None, **options):
    """Run `jailpy exec --report` to its end, and see at once that nothing of the run is left."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report.json")
        if data is not None:
            options["stdin"] = subprocess.PIPE
        began = time.monotonic()
        with start(jailpy, "--report", path, *words, **options) as process:
            try:
                out, err = process.communicate(data, timeout=timeout)
            finally:
                process.kill()
        seconds = time.monotonic() - began
        assert groups_of(process.pid) == []
        assert mounts() == []
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
    return types.SimpleNamespace(
        status=process.returncode, out=out, err=err, report=report, pid=process.pid, seconds=seconds,
        verdict=report["verdict"], evidence=report["evidence"], usage=report["usage"],
    )  # fmt: skip


def python(script, *args):
    """Return the words that run a Python script in the jail, with a token in its command line."""
    return ["--", PYTHON, "-I", "-c", script, *map(str, args)]
