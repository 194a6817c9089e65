"""Profiles of the test's own: private configuration, cache and current directory."""

from __future__ import annotations

import os
import time

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A fresh account: nothing in its configuration, nothing in its cache."""
    for variable, name in (("XDG_CONFIG_HOME", "config"), ("XDG_CACHE_HOME", "cache")):
        (tmp_path / name).mkdir(mode=0o700)
        monkeypatch.setenv(variable, str(tmp_path / name))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.fixture
def write(home):
    """Write a file of the current directory and return its path as it is given to -p."""

    def make(name, text):
        path = home / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return f"./{name}"

    return make


@pytest.fixture
def own(home):
    """Write one of the user's own profiles."""

    def make(name, text):
        folder = home / "config" / "jailpy" / "profiles"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.toml").write_text(text)
        return str(folder / f"{name}.toml")

    return make


@pytest.fixture
def settled(monkeypatch):
    """Let files that were just written count as old enough to be cached: `time` of the reader runs ahead."""
    ahead = time.time_ns

    def go():
        monkeypatch.setattr("jailpy.profile.locate.time.time_ns", lambda: ahead() + 60_000_000_000)

    go()
    return os.environ["XDG_CACHE_HOME"] + "/jailpy"
