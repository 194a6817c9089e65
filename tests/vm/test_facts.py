"""The guests are the hosts that the results speak of: what guests.toml expects, what a look finds, what doctor says."""

from __future__ import annotations

import json

import pytest

from tests.vm.guests import MODES

LOOK = "python3 /srv/jailpy/tests/vm/inside/look.py"
APART = "--apart--"


@pytest.mark.parametrize("mode", MODES)
def test_the_guest_is_what_is_expected(guest, mode, found):
    done = guest.run(f"{LOOK}; echo {APART}; jailpy doctor --json", mode=mode)
    assert done.err == ""
    seen, doctor = (json.loads(part) for part in done.out.split(APART))
    found[guest.name][mode].update(facts=seen, doctor=doctor)
    facts = guest.facts
    assert seen["kernel"].startswith(facts["kernel"])
    assert seen["python"].startswith(guest.guest.python + ".")
    assert {name: seen[name] for name in ("landlock", "systemd", "apparmor", "userns")} == {
        name: facts[name] for name in ("landlock", "systemd", "apparmor", "userns")
    }
    assert seen["cgroup"] == "cgroup2fs"
    assert seen["controllers"] == facts["controllers"][mode]
    assert {"landlock", "apparmor", "yama"} <= set(seen["lsm"].split(","))
    agree(seen, doctor)


def agree(seen, doctor):
    """Doctor says the same of this host as the look, and that `strict` starts with every layer."""
    host = doctor["host"]
    assert host["kernel"] == seen["kernel"]
    assert host["landlock_abi"] == str(seen["landlock"])
    assert host["apparmor"] == "on"
    assert host["python"].split()[0] == seen["python"]
    assert host["distribution"] == seen["distribution"]
    assert int(host["uid"]) == seen["uid"]
    assert doctor["starts"], doctor["conclusion"]
    layers = {layer["name"]: layer["state"] for layer in doctor["layers"] if layer["required"]}
    assert len(layers) > 12
    assert set(layers.values()) == {"enforced"}


@pytest.mark.full
def test_other_kernels_are_noticed(guest):
    """Control: with another command line the look and doctor both find something else."""
    done = guest.run(f"{LOOK}; echo {APART}; jailpy doctor --json", append="lsm=yama,apparmor apparmor=1")
    seen, doctor = (json.loads(part) for part in done.out.split(APART))
    assert seen["landlock"] == -1
    assert doctor["host"]["landlock_abi"] == "0"
    assert not doctor["starts"]
