"""The environment that goes with each request: decoded once, and never an old one."""

from __future__ import annotations

import os

from jailpy.client import options


def test_each_change_is_seen(monkeypatch):
    first = options.environment()
    assert first == dict(os.environ)
    assert options.environment() is first
    monkeypatch.setenv("JAILPY_TEST", "one")
    assert options.environment() == dict(os.environ) == {**first, "JAILPY_TEST": "one"}
    os.environ["JAILPY_TEST"] = "two"
    assert options.environment()["JAILPY_TEST"] == "two"
    os.environb[b"JAILPY_TEST"] = b"\xff"
    assert options.environment()["JAILPY_TEST"] == "\udcff"
    del os.environ["JAILPY_TEST"]
    assert options.environment() == dict(os.environ) == first


def test_another_environment_is_seen(monkeypatch):
    options.environment()
    monkeypatch.setattr(os, "environ", {"ONLY": "this"})
    assert options.environment() == {"ONLY": "this"}
    monkeypatch.setattr(os, "environ", {"ONLY": "that"})
    assert options.environment() == {"ONLY": "that"}
