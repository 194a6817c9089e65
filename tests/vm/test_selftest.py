"""selftest and the main job on every guest, in every mode: each layer holds, each verdict is right."""

from __future__ import annotations

import json

import pytest

from tests.vm.guests import MODES

NOT_THERE = {"histogram.cpp", "inventory.js"}  # the guests have no g++ and no Node
JUDGE = "JAILPY=jailpy JUDGE_CPU=12s JUDGE_WALL=60s /srv/jailpy/examples/judge-folder/judge"


@pytest.mark.parametrize("mode", MODES)
def test_every_attack_fails(guest, mode, found):
    done = guest.run("jailpy selftest --json", mode=mode, timeout=600)
    report = json.loads(done.out)
    found[guest.name][mode]["selftest"] = {
        "held": report["held"],
        "layers": {layer["name"]: layer["held"] for layer in report["layers"]},
        "attacks": len(report["attacks"]),
    }
    assert (done.status, done.err) == (0, "")
    assert report["held"]
    assert len(report["attacks"]) > 20
    assert [attack["attack"] for attack in report["attacks"] if attack["held"] is False] == []


@pytest.mark.parametrize("mode", ["user", *(pytest.param(mode, marks=pytest.mark.full) for mode in ("login", "root"))])
def test_the_main_job(guest, mode, found):
    done = guest.run(JUDGE, mode=mode, timeout=900)
    last = done.out.splitlines()[-1]
    found[guest.name][mode]["judge"] = last
    assert done.status == 0, done.out + done.err
    skipped = {line.split()[0] for line in done.out.splitlines() if " skipped: no " in line}
    assert skipped == NOT_THERE
    assert last == "23 programs, 21 as expected, 2 skipped, 0 not as expected"
