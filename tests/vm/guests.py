"""The guests of guests.toml as values."""

from __future__ import annotations

import glob
import os
import tomllib
from dataclasses import dataclass
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
MODES = ("user", "login", "root")
QUICK = ("bookworm", "trixie")
# Folders of tests that ask nothing of a kernel, or nothing but what the Python interface's own tests ask; and load, which is of speed.
APART = ("unit", "property", "vm", "grading", "plugins", "load")


@dataclass(frozen=True)
class Guest:
    """One guest: the release of its user land, the release of its kernel, its Python, and the facts expected of it."""

    name: str
    land: str
    kernel: str
    python: str
    facts: dict[str, Any]


def kernel_files() -> list[str]:
    """List the repository's tests that run in the guests: those of every folder but the ones named above."""
    found = (os.path.relpath(path, TREE) for path in glob.glob(f"{TREE}/tests/*/test_*.py"))
    return sorted(path for path in found if path.split("/")[1] not in APART)


def load() -> dict[str, Guest]:
    """Read guests.toml."""
    with open(os.path.join(HERE, "guests.toml"), "rb") as file:
        return {name: Guest(name, **values) for name, values in tomllib.load(file)["guest"].items()}
