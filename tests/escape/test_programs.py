"""Each hostile program in every kind of jail, beside a control in which it must succeed. The programs' headers say what is
expected: jailpy/services/escapes/header.py.
"""

from __future__ import annotations

import os
import time

import pytest

from jailpy.services.escapes.header import programs
from tests.escape import arena

PROGRAMS = programs(os.uname().machine)
MINUS = [
    (name, layer)
    for name, header in PROGRAMS.items()
    if len(arena.kernel_layers(header)) > 1
    for layer in arena.kernel_layers(header)
    if layer in arena.REMOVABLE and layer not in header.backstop
]
each = pytest.mark.parametrize("name", PROGRAMS)


def held(header, done, granted=()):
    """The program got nowhere but where the profile lets it, and the run ended as it must."""
    assert set(done.out) == set(granted), ("it got out", done.out)
    assert done.verdict == header.ending, (done.verdict, done.report["evidence"], done.said, done.err)
    assert all(phase.report["verdict"] == "ok" for phase in done.early)
    if done.verdict == "ok":
        assert done.said, "it made no attempt"


def proved(header, done):
    """The report says why: the evidence, the denied calls, each declared layer in force."""
    evidence = done.report["evidence"] or {}
    assert header.evidence in evidence.get("source", "")
    denied = {violation["what"] for violation in done.report["violations"]}
    assert set(header.violations) <= denied
    states = {layer["name"]: layer["state"] for layer in done.report["layers"]}
    weak = {layer: states[layer] for layer in arena.kernel_layers(header) if states[layer] != "enforced"}
    assert not weak, done.report["notes"]


@each
def test_control(scene, warm_launcher, name):
    """The same program gets out where nothing stops it."""
    header = PROGRAMS[name]
    if header.control == "without":
        done = arena.warm(scene, warm_launcher, name, header, **arena.without(set(header.layers) & set(arena.REMOVABLE)))
    elif header.control == "loose":
        done = arena.warm(scene, warm_launcher, name, header, **header.loose)
    else:
        done = arena.outside(scene, name, header, header.control)
    if os.geteuid() and set(done.said) == set(header.root_only):
        pytest.skip("the control needs root")
    assert done.out, (done.said, done.err)
    excused = {*header.unproven, *(header.root_only if os.geteuid() else ())}
    assert set(done.said) - set(done.out) <= excused, (done.said, done.err)


@each
def test_cold(scene, jailpy, name):
    done = arena.cold(scene, jailpy, name, PROGRAMS[name])
    held(PROGRAMS[name], done)
    proved(PROGRAMS[name], done)


@each
def test_warm(scene, warm_launcher, name):
    done = arena.warm(scene, warm_launcher, name, PROGRAMS[name])
    held(PROGRAMS[name], done)
    proved(PROGRAMS[name], done)


@each
def test_pooled(scene, pooled_launcher, name):
    """A jail like that of the last run is built when the launcher is idle, so the first of these prepares the next."""
    header = PROGRAMS[name]
    for pause in (0, 0.03, 0.1, 0.3, 1):
        time.sleep(pause)
        before = pooled_launcher.stats()["pooled"]
        done = arena.warm(scene, pooled_launcher, name, header)
        held(header, done)
        proved(header, done)
        if pooled_launcher.stats()["pooled"] > before:
            return
    pytest.fail("no jail was built ahead")


@each
def test_grade(scene, warm_launcher, name):
    header = PROGRAMS[name]
    done = arena.warm(scene, warm_launcher, name, header, profile="grade")
    held(header, done, granted=header.grade)


@pytest.mark.parametrize(("name", "layer"), MINUS)
def test_minus_one_layer(scene, warm_launcher, name, layer):
    """Where two layers are said to stop it, either will do."""
    done = arena.warm(scene, warm_launcher, name, PROGRAMS[name], **arena.without([layer]))
    assert done.out == {}, "it got out"
    assert {found["name"]: found["state"] for found in done.report["layers"]}[layer] == "off"
