"""Launches without namespaces on real kernels: with systemd's cgroups, with Landlock ABI 2 (Linux 6.1) and with the newest."""

from __future__ import annotations

import json

import pytest

HELD = {"capabilities", "no-new-privs", "seccomp", "landlock", "cgroup", "rlimits"}


def attacked(guest, profile, mode):
    done = guest.run(f"jailpy selftest -p {profile} --json", mode=mode, timeout=600)
    found = json.loads(done.out)
    assert done.status == 0, found
    return {layer["name"]: layer["held"] for layer in found["layers"]}


def test_root(guest):
    """A uid of the run's own needs no scopes: it works on every kernel."""
    layers = attacked(guest, "grade-container", "root")
    assert {name for name, held in layers.items() if held} == HELD
    done = guest.run("jailpy exec -p grade-container --report /tmp/report -- id -u && cat /tmp/report", mode="root")
    uid, report = done.out.split("\n", 1)
    assert int(uid) > 1 << 16
    assert json.loads(report)["tiers"] == ["container-root"]


@pytest.mark.guests("trixie", "trixie-bpo")
def test_an_ordinary_user(guest):
    layers = attacked(guest, "strict-nonamespaces", "user")
    assert {name for name, held in layers.items() if held} >= HELD - {"capabilities"}
    assert False not in layers.values()


@pytest.mark.guests("bookworm")
def test_an_ordinary_user_without_scopes_is_refused(guest):
    done = guest.run("jailpy exec -p strict-nonamespaces -- true", mode="user")
    assert done.status == 125
    assert "Linux 6.12" in done.err


def test_where_user_namespaces_are_switched_off(guest):
    """The hosts that the tier is for, beside containers; strict is refused there."""
    switch = "sysctl -w user.max_user_namespaces=0"
    assert guest.run("jailpy exec -- true", mode="root", before=switch).status == 125
    done = guest.run("jailpy exec -p strict-nonamespaces -- sh -c 'echo x >a; cat a'", mode="root", before=switch)
    assert (done.status, done.out) == (0, "x\n"), done.err
