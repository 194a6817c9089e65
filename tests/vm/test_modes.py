"""Each way in: a delegated scope, a login session, a service of root's. `strict` starts in all of them."""

from __future__ import annotations

import json

import pytest

from tests.vm.guests import MODES

WHERE = "cat /proc/self/cgroup; id -u"


@pytest.mark.parametrize("mode", MODES)
def test_strict_starts(guest, mode):
    done = guest.run("jailpy exec --report /tmp/report -- sh -c 'id -u; echo hello' && cat /tmp/report", mode=mode)
    assert done.status == 0, done.err
    uid, word, report = done.out.split("\n", 2)
    assert (uid, word) == ("1000", "hello")
    layers = {layer["name"]: layer for layer in json.loads(report)["layers"]}
    missing = {name for name, layer in layers.items() if layer["required"] and layer["state"] != "enforced"}
    assert len(layers) > 12
    assert missing == set()
    assert layers["cgroup"]["mechanism"].startswith("version 2: ")


@pytest.mark.parametrize(
    ("mode", "uid", "slice_"),
    [
        ("user", "1000", "/user.slice/user-1000.slice/user@1000.service/"),
        ("login", "1000", "/user.slice/user-1000.slice/session-"),
        ("root", "0", "/system.slice/"),
    ],
)
def test_the_modes_are_what_they_say(guest, mode, uid, slice_):
    """Control of the test above: three different places."""
    done = guest.run(WHERE, mode=mode)
    group, own = done.out.split()
    assert group.startswith(f"0::{slice_}")
    assert own == uid


def test_a_login_gets_a_scope_of_its_own(guest):
    """Its session's group is not delegated: JailPy asks the user manager, and the caller stays where it was."""
    script = "cat /proc/self/cgroup; jailpy exec --report /tmp/report -- true; cat /proc/self/cgroup; cat /tmp/report"
    done = guest.run(script, mode="login")
    before, after, report = done.out.split("\n", 2)
    assert before == after
    assert json.loads(report)["verdict"] == "ok"
    without = guest.run("unset DBUS_SESSION_BUS_ADDRESS; jailpy exec -- true", mode="login", before="systemctl stop user@1000")
    assert without.status == 125, "the user manager is what the scope came from"
    assert "cgroup" in without.err
