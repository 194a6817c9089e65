"""Weaker tiers where they are needed: in containers with Docker's default filter, and in bubblewrap without user namespaces."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from jailpy.kernel import landlock
from tests import container

NAMESPACES = ("user", "mount", "pid", "net", "ipc", "uts", "cgroup-ns")
EXCUSED = [word for name in (*NAMESPACES, "cgroup") for word in ("--allow-missing", name)]
SCOPED = landlock.abi()[0] >= 6
PROVEN = ("read_host_file", "list_host_folder", "find_host_process", "trace", "leave_process_group", "take_memory")
# Not the uid that the suite runs as meanwhile: RLIMIT_NPROC counts all processes of an account, and its own come and go.
ORDINARY = 2000
pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(scope="module")
def contained(need_tool):
    """Return what runs `jailpy` in a container; its control is that the container works and refuses namespaces."""
    need_tool("crun")
    if not os.path.exists(container.SHIPPED):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("containers-common is not installed")
    done = container.run(shell="id -u; unshare --user true; mount -t tmpfs none /tmp")
    assert done.out == "0\n", done.err
    assert done.err.count("ermi") == 2, done.err
    return container.run


@pytest.fixture(params=[0, pytest.param(ORDINARY, marks=pytest.mark.skipif(not SCOPED, reason="Landlock ABI 6 is needed"))])
def uid(request):
    return request.param


@pytest.mark.root
def test_strict_is_refused_and_says_why(contained, uid):
    done = contained("exec", "--allow-missing", "cgroup", "--", "true", uid=uid)
    assert done.status == 125
    assert "filter" in done.err
    found = json.loads(contained("doctor", "--json", uid=uid).out)
    assert not found["starts"]
    assert {layer["state"] for layer in found["layers"] if layer["name"] in NAMESPACES} == {"absent"}


@pytest.mark.root
def test_strict_with_every_gap_accepted(contained, uid):
    done = contained("exec", *EXCUSED, "--report", "-", "-q", "--", "id", "-u", uid=uid)
    report = json.loads(done.err)
    assert done.status == 0
    assert report["tiers"][-1] == "no-cgroup"
    assert report["tiers"][0] == ("no-namespaces" if uid else "container-root")
    assert (int(done.out) == uid) == (uid != 0)
    assert set(report["allowed_missing"]) >= set(NAMESPACES)
    assert {layer["state"] for layer in report["layers"] if layer["name"] in NAMESPACES} == {"absent"}
    one_short = [word for name in (*NAMESPACES[1:], "cgroup") for word in ("--allow-missing", name)]
    assert contained("exec", *one_short, "--", "true", uid=uid).status == 125


@pytest.mark.root
def test_doctor_foretells_what_the_tier_does(contained, uid):
    found = json.loads(contained("doctor", "-p", "strict-nonamespaces", "--json", uid=uid).out)
    done = contained("exec", "-p", "strict-nonamespaces", "--", "sh", "-c", "cat /etc/passwd; echo x >a && cat a", uid=uid)
    assert found["starts"]
    assert "no-cgroup" in found["conclusion"]
    assert (done.status, done.out) == (0, "x\n"), done.err


@pytest.mark.root
@pytest.mark.parametrize("profile", ["strict-nonamespaces", "grade-container"])
def test_selftest(contained, uid, profile):
    done = contained("selftest", "-p", profile, "--json", uid=uid)
    if profile == "grade-container" and uid:
        assert done.status == 1
        assert "start it as root" in done.err
        return
    found = json.loads(done.out)
    attacks = {attack["attack"]: attack for attack in found["attacks"]}
    assert done.status == 0, found
    assert {name: attacks[name]["held"] for name in PROVEN} == dict.fromkeys(PROVEN, True)
    assert all(attack["held"] or attack["reason"] for attack in attacks.values())
    assert {layer["held"] for layer in found["layers"] if layer["name"] in NAMESPACES} == {None}


@pytest.mark.root
def test_a_run_leaves_nothing_in_the_container(contained, uid):
    script = """
"$@" exec -p strict-nonamespaces --wall 1s -- sh -c '(sleep 99; true) & (sleep 99; true) & wait'; echo "status $?"
for pid in /proc/[0-9]*; do read -r words <$pid/comm && [ "$words" != sh ] && echo "$words"; done
ls /tmp
"""
    done = contained(uid=uid, shell=script)
    assert done.out.splitlines()[0] == "status 124", done.err
    assert "sleep" not in done.out
    assert not re.search(r"^jailpy-\d", done.out, re.MULTILINE)


@pytest.mark.root
def test_the_answers_of_a_grader_are_hidden(contained):
    """Gradescope: root, and the answers where everybody may read them. The control reads them as that very uid."""
    script = """
mkdir -m 755 /tmp/source && echo answer >/tmp/source/key && chmod 644 /tmp/source/key
setpriv --reuid 4242 --regid 4242 --clear-groups cat /tmp/source/key
"$@" exec -p grade-container -q -- sh -c 'cat /tmp/source/key; ls /tmp/source'; echo "status $?"
"""
    done = contained(shell=script)
    assert done.out.splitlines() == ["answer", "status 2"]
    assert done.err.count("Permission denied") == 2


@pytest.mark.root
def test_a_kernel_or_filter_without_landlock(contained):
    """The grader's tier needs it for files, and may do without by the caller's word; the user's tier cannot."""
    calls = ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self")
    refused = contained("exec", "-p", "grade-container", "--", "true", without=calls)
    assert refused.status == 125
    assert "landlock" in refused.err
    accepted = contained("exec", "-p", "grade-container", "--allow-missing", "landlock", "-q", "--", "id", "-u", without=calls)
    assert accepted.status == 0, accepted.err
    assert int(accepted.out) > 1 << 16
    other = contained(
        "exec", "-p", "strict-nonamespaces", "--allow-missing", "landlock", "--", "true", uid=ORDINARY, without=calls
    )
    assert other.status == 125
    assert "Linux 6.12" in other.err


@pytest.mark.skipif(not SCOPED and os.geteuid() != 0, reason="Landlock ABI 6 is needed")
def test_in_bubblewrap_without_user_namespaces(need_tool, jailpy):
    bwrap = [need_tool("bwrap"), "--dev-bind", "/", "/", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"]
    works = subprocess.run([*bwrap, "true"], capture_output=True)
    assert works.returncode == 0, works.stderr
    nested = subprocess.run([*bwrap, "unshare", "--user", "true"], capture_output=True)
    assert nested.returncode != 0, "the control: namespaces are refused"
    assert (
        subprocess.run([*bwrap, jailpy, "exec", "--allow-missing", "cgroup", "--", "true"], capture_output=True).returncode
        == 125
    )
    if not SCOPED:
        pytest.skip("Landlock ABI 6 is needed: in there nobody is root")
    done = subprocess.run(
        [*bwrap, jailpy, "exec", "-p", "strict-nonamespaces", "--report", "-", "-q", "--", "id", "-u"],
        capture_output=True,
        text=True,
    )
    report = json.loads(done.stderr)
    assert (done.returncode, report["verdict"]) == (0, "ok"), report["notes"]
    assert report["tiers"][0] == "no-namespaces"
    assert int(done.stdout) == os.geteuid()
