"""Runs whose cgroup (version 2) is meddled with by its owner, and runs without one."""

from __future__ import annotations

import json

import pytest

STARTED = """
jailpy exec --wall 600s --idle off --report /tmp/report -- sh -c 'echo x; sleep 40' >/tmp/out 2>/tmp/err &
run=$!
until grep -q x /tmp/out; do sleep 0.3; done
group=$(find /sys/fs/cgroup -type d -name 'jailpy-*-1'); test -d "$group" || exit 9
parent=$(dirname "$group")
{}
wait $run; echo $?
find /sys/fs/cgroup -type d -name 'jailpy-*-1'
cat /tmp/report
"""
MOVE = (
    'mkdir "$parent/elsewhere"; for pid in $(cat "$group/cgroup.procs"); do echo $pid >"$parent/elsewhere/cgroup.procs"; done'
)
MEDDLING = {
    "nothing": (":", None),
    "controllers taken away": ('echo -memory >"$parent/cgroup.subtree_control"', "memory.max cannot be read any more"),
    "moved out": (MOVE, "a process of the run was moved out of its cgroup"),
    "removed": (f'{MOVE}; rmdir "$group"', "its cgroup was removed"),
    "loosened": ('echo 1G >"$group/memory.max"', "memory.max is 1073741824 at the end, 268435456 was written"),
}


@pytest.mark.full
@pytest.mark.parametrize("what", MEDDLING)
def test_a_cgroup_meddled_with(guest, what):
    do, note = MEDDLING[what]
    done = guest.run(STARTED.format(do), mode="user")
    assert done.status == 0, (done.out, done.err)
    status, text = done.out.split("\n", 1)
    report = json.loads(text)
    state = next(layer["state"] for layer in report["layers"] if layer["name"] == "cgroup")
    assert (status, report["verdict"]) == ("0", "ok")
    assert state == ("degraded" if note else "enforced")
    assert [found for found in report["notes"] if note and note in found] or not note
    measured = report["usage"]["memory_peak_bytes"] is not None
    assert measured == (what in ("nothing", "loosened"))


BARE = """unshare --mount sh -c 'mount -t tmpfs none /sys/fs/cgroup
exec setpriv --reuid 1000 --regid 1000 --clear-groups jailpy exec --wall 600s --cpu 300s --memory 64M \\
    --set require.tiers=no-cgroup --report /tmp/report -- python3 -c "{}"' >/dev/null; echo $?; cat /tmp/report"""


@pytest.mark.parametrize(
    ("script", "status", "verdict"),
    [("print(1)", "0", "ok"), ("x = []\nwhile True: x.append(bytearray(1 << 20))", "137", "memory_limit")],
    ids=["within", "beyond"],
)
def test_without_a_cgroup_the_supervisor_watches(guest, script, status, verdict):
    done = guest.run(BARE.format(script), mode="root")
    found, text = done.out.split("\n", 1)
    report = json.loads(text)
    assert (found, report["verdict"], report["tiers"]) == (status, verdict, ["no-cgroup"])
