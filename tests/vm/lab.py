"""From a guest's name to a command run in it: disk, booted snapshot, snapshot with the tree under test, resumed copy."""

from __future__ import annotations

import functools
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.vm import image
from tests.vm.cache import LabError, digest, fresh, locked, prune, say
from tests.vm.guests import HERE, TREE, Guest
from tests.vm.machine import COMMAND_LINE, CPU, QEMU, RAM, SECURITY, Machine, Saved

if TYPE_CHECKING:
    from collections.abc import Callable

# The package goes where `pip install` of root's puts it, the whole tree to /srv/jailpy. The copies carry compiled modules,
# which an ordinary user could not write there.
INSTALL = """set -eu
cd /srv/jailpy
packages=$(echo /usr/local/lib/python3.*/dist-packages)
python3 -m compileall -q jailpy tests
cp -a jailpy "$packages/"
sed '1s|.*|#!/usr/bin/python3|' bin/jailpy >/usr/local/bin/jailpy
chmod 755 /usr/local/bin/jailpy
"""
WARM = ("jailpy exec -- true", "jailpy doctor --json >/dev/null", "python3 -c 'import json, subprocess, ctypes, pytest'")
RECORDED = "tests/vm/results.json"
KEPT_TREES = 4


@dataclass(frozen=True)
class Done:
    """How a command ended: `status` as of sh; `before` and `after` are the words of root's scripts; `seconds` with the resuming."""

    status: int
    out: str
    err: str
    before: str
    after: str
    seconds: float


@functools.cache
def tree() -> bytes:
    """Return an archive of the tree under test: what git would commit, without what the lab itself records.

    The same tree gives the same bytes.
    """
    listing = ["git", "-C", TREE, "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = set(subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split("\0")) - {RECORDED}
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted({name for name in names if name and os.path.lexists(os.path.join(TREE, name))}):
            archive.add(os.path.join(TREE, name), name, filter=plain)
    return held.getvalue()


def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Give an entry of the archive nothing of this checkout: no owner, no time, no umask."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 1_700_000_000
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry


def booted(guest: Guest, append: str) -> Saved:
    """Return the snapshot of a guest that has booted with this ending of the kernel's command line; make it where missing."""
    base = image.build(guest)
    version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout
    folder = f"{base}/boot-{digest(version, COMMAND_LINE, CPU, RAM, append, image.read(os.path.join(HERE, 'machine.py')))}"
    with locked(base):
        if not os.path.exists(folder):
            say(f"{guest.name}: booting with {append}; takes half a minute")
            began = time.monotonic()
            with fresh(folder) as part:
                boot(Saved(part, base, append))
            say(f"{guest.name}: booted in {time.monotonic() - began:.0f} s")
    return Saved(folder, base, append)


def boot(saved: Saved) -> None:
    """Boot a guest, and save it when it is idle."""
    overlay(f"{saved.image}/base.img", "raw", saved.disk)
    with Machine(saved, keep=True, resume=False) as machine:
        machine.ready()
        machine.save(saved.state)


def overlay(below: str, form: str, path: str) -> None:
    """Make a disk that keeps only the differences to another."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", below, "-F", form, path], check=True)


def installed(guest: Guest, append: str = SECURITY) -> Saved:
    """Return the snapshot of a guest with the tree under test installed; make it where missing."""
    below = booted(guest, append)
    data = tree()
    recipe = digest(data.hex(), INSTALL, WARM)
    folder = f"{below.folder}/tree-{recipe}"
    with locked(below.folder):
        if not os.path.exists(folder):
            began = time.monotonic()
            with fresh(folder) as part:
                install(below, Saved(part, below.image, append), data)
            say(f"{guest.name}: tree installed in {time.monotonic() - began:.0f} s")
            prune(below.folder, "tree-", KEPT_TREES)
    return Saved(folder, below.image, append)


def install(below: Saved, saved: Saved, data: bytes) -> None:
    """Resume a booted guest, put the tree into it, and save it again."""
    # Its final name, not the one of the folder while it is made: the disk names the one below it.
    overlay(below.disk, "qcow2", saved.disk)
    subprocess.run(["cp", "--sparse=always", below.ram, saved.ram], check=True)
    shutil.copy(below.state, saved.state)
    with Machine(saved, keep=True, resume=True) as machine:
        machine.send({"do": "install", "length": len(data), "script": INSTALL, "warm": WARM}, data)
        answer = machine.ready()
        if answer["status"]:
            raise LabError(f"the tree under test could not be installed in the guest: {answer['words']}")
        machine.save(f"{saved.state}.new")
    os.rename(f"{saved.state}.new", saved.state)


def run(
    guest: Guest,
    command: str,
    *,
    mode: str,
    before: str,
    after: str,
    append: str,
    seconds: float,
    show: Callable[[bytes, bytes], object] = lambda kind, data: None,
) -> Done:
    """Run a script of sh in a fresh copy of a guest, in a mode, between two scripts of root's.

    `show` gets what they say as it comes: kind (`o` output, `e` errors, `b` and `a` of the scripts), bytes. Raises TimeoutError after so many seconds, LabError where the lab fails or one of root's scripts does.
    """
    began, parts = time.monotonic(), dict.fromkeys((b"o", b"e", b"b", b"a"), b"")
    saved = installed(guest, append)
    with locked(saved.folder, shared=True), Machine(saved, keep=False, resume=True) as machine:
        os.utime(saved.folder)
        machine.send({"do": "run", "mode": mode, "command": command, "before": before, "after": after})
        try:
            end = collect(machine, parts, seconds, show)
        except TimeoutError:
            text = b"\n".join(parts.values()).decode(errors="replace")
            raise TimeoutError(f"no end after {seconds} s of: {command}\n{text}") from None
    words = {kind: said.decode(errors="surrogateescape") for kind, said in parts.items()}
    for name, kind in (("before", b"b"), ("after", b"a")):
        if end[name]:
            raise LabError(f"the script of root's {name} the command ended with {end[name]}:\n{words[kind]}")
    return Done(end["status"], words[b"o"], words[b"e"], words[b"b"], words[b"a"], time.monotonic() - began)


def collect(
    machine: Machine, parts: dict[bytes, bytes], seconds: float, show: Callable[[bytes, bytes], object]
) -> dict[str, int]:
    """Gather what a command says until its end."""
    for kind, data in machine.frames(seconds):
        if kind == b"x":
            return dict(json.loads(data))
        parts[kind] += data
        show(kind, data)
    raise AssertionError  # frames never end by themselves
