"""The folder where images and snapshots are kept: one digest per thing, locks, pruning."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class LabError(Exception):
    """The lab itself failed, not a test in it: one line that names cause and fix."""


def say(words: str) -> None:
    """Print a line of progress on stderr."""
    print(f"vm: {words}", file=sys.stderr, flush=True)


def home() -> str:
    """Return the cache's folder: JAILPY_VM_CACHE, or jailpy/vm in the user's cache folder. Makes it."""
    users = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.environ.get("JAILPY_VM_CACHE") or os.path.join(users, "jailpy", "vm")
    os.makedirs(folder, exist_ok=True)
    return folder


def digest(*parts: object) -> str:
    """Return a short name for what goes into a thing."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:12]


@contextlib.contextmanager
def locked(folder: str, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a folder: exclusive to make or remove something in it, shared to use it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def fresh(folder: str) -> Iterator[str]:
    """Give a new folder that gets its name once the block has passed: what exists is whole."""
    part = f"{folder}.part"
    if os.path.exists(part):
        shutil.rmtree(part)
    os.makedirs(part)
    yield part
    os.rename(part, folder)


def prune(parent: str, prefix: str, keep: int) -> None:
    """Remove all but the newest `keep` folders of this prefix. One that a machine uses stays."""
    found = sorted((entry for entry in os.scandir(parent) if entry.name.startswith(prefix)), key=lambda e: -e.stat().st_mtime)
    for entry in found[keep:]:
        handle = os.open(entry.path, os.O_RDONLY)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(entry.path)
        os.close(handle)
