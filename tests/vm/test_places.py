"""Places that JailPy is started from: each works, or is refused with the cause and a fix that, applied, makes it work.

Every script runs as root in the guest and starts `jailpy` elsewhere from there: in a login session, as cron does, by
sudo, in services with and without delegation, in a container's cgroup namespace, on a host without systemd.
"""

from __future__ import annotations

import json
import re

import pytest

from tests.vm.machine import SECURITY

pytestmark = pytest.mark.in_turn
NO_MANAGER = "loginctl disable-linger lab; loginctl terminate-user lab; while test -e /run/user/1000; do sleep 0.1; done; "
LEGACY = f"{SECURITY} systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
# What is looked at everywhere: status, report, and that the caller is still where it was.
LOOK = """before=$(cat /proc/self/cgroup)
jailpy exec --report $(mktemp -u)-{name} -- sh -c 'echo ran'; echo "status $?"
cat /tmp/*-{name}
test "$before" = "$(cat /proc/self/cgroup)" && echo "caller stayed"
"""


def look(name="look"):
    return LOOK.replace("{name}", name)


def service(script, *properties, uid=1000):
    """Return the command that runs a script in a system service; nothing of a session is in its environment."""
    words = " ".join(f"-p {value}" for value in properties)
    quoted = script.replace("'", "'\\''").replace("$", "$$")  # systemd reads $$ as $
    return f"systemd-run --quiet --wait --pipe --collect --unit judge --uid {uid} {words} sh -c '{quoted}'\n"


def worked(done, controllers=("memory", "pids", "cpu")):
    """Check one run that worked: everything enforced, each limit read back, measured, and the caller not moved."""
    assert "ran\nstatus 0\n" in done.out, done.out + done.err
    assert "caller stayed" in done.out
    report = json.loads(done.out[done.out.index("{") : done.out.rindex("}") + 1])
    layers = {layer["name"]: layer for layer in report["layers"]}
    assert layers["cgroup"]["state"] == "enforced"
    assert set(controllers) <= set(layers["cgroup"]["mechanism"].removeprefix("version 2: ").split(", "))
    assert report["usage"]["memory_peak_bytes"] > 0
    assert report["usage"]["sources"]["processes_peak"].endswith("pids.peak")
    return report


def refused(done, *words):
    assert "status 125" in done.out, done.out + done.err
    assert "ran\n" not in done.out
    for word in words:
        assert word in done.err, done.err
    assert "Traceback" not in done.err


def test_over_ssh(guest):
    """sshd opens a PAM session with pam_systemd: a session scope of the user's slice, not delegated."""
    session = service(look(), "PAMName=login")
    done = guest.run("grep -q session- /proc/self/cgroup || :; " + session, mode="root")
    worked(done)


@pytest.mark.parametrize("lingers", [True, False])
def test_in_cron(guest, lingers):
    """A job of cron runs in cron's own service, without a session's environment."""
    script = service(look()) + "find /sys/fs/cgroup -name 'jailpy-*'"
    if lingers:
        done = guest.run(script, mode="root")
        worked(done)
        assert "/jailpy-" not in done.out.rpartition("}")[2], "nothing is left"
        return
    done = guest.run(NO_MANAGER + script, mode="root")
    refused(done, "no systemd user session runs for uid 1000")
    doctor = service("jailpy doctor || :")
    mended = "loginctl enable-linger 1000; for i in $(seq 200); do test -S /run/user/1000/bus && break; sleep 0.1; done\n"
    done = guest.run(NO_MANAGER + doctor + mended + service(look()), mode="root")
    assert "sudo loginctl enable-linger 1000" in done.out
    worked(done)


@pytest.mark.parametrize("how", ["runuser -u lab --", "sudo -u lab"])
def test_by_another_user_of_a_root_shell(guest, how):
    """The process stays in root's own group, which is not the user's."""
    script = look().replace("'", "'\\''")
    worked(guest.run(f"cd /; {how} sh -c '{script}'", mode="root"))


def test_alone_in_a_delegated_service(guest):
    """It moves itself to a leaf: ExecStart= is JailPy."""
    command = "jailpy exec -v -- sh -c 'echo ran'"
    done = guest.run(
        f"{NO_MANAGER}systemd-run --quiet --wait --pipe --collect --uid 1000 -p Delegate=yes {command}; echo status $?",
        mode="root",
    )
    assert "ran\nstatus 0" in done.out, done.err
    assert "move the launcher to a leaf of /sys/fs/cgroup/system.slice/run-" in done.err


def test_beside_others_in_a_delegated_service(guest):
    """A user manager gives a scope; without one it is refused, and the printed fix mends it."""
    worked(guest.run(service(look(), "Delegate=yes"), mode="root"))
    refused_there = guest.run(NO_MANAGER + service(look() + "jailpy doctor", "Delegate=yes"), mode="root")
    refused(refused_there, "other processes occupy /sys/fs/cgroup/system.slice/judge.service", "DelegateSubgroup=")
    if guest.facts["systemd"] >= 254:
        assert "/etc/systemd/system/judge.service.d/jailpy.conf" in refused_there.out
        mended = service(look(), "Delegate=yes", "DelegateSubgroup=main")
    else:
        line = re.search(r"^ +(cd /sys/fs/cgroup.*?)   #", refused_there.out, re.MULTILINE)[1]
        mended = service(line + "\n" + look(), "Delegate=yes")
    worked(guest.run(NO_MANAGER + mended, mode="root"), ("memory", "pids", "cpu", "io"))


def test_a_service_that_is_delegated_in_part(guest):
    done = guest.run(NO_MANAGER + service(look(), "Delegate=pids"), mode="root")
    refused(done, "memory controller is missing")
    assert "system.slice/judge.service" in done.err


def test_a_service_with_protected_control_groups(guest):
    done = guest.run(service(look() + "jailpy doctor", "ProtectControlGroups=yes"), mode="root")
    refused(done, "cgroups are mounted read-only here")
    assert "ProtectControlGroups=no" in done.out


def container(script, options="rw"):
    """Run a script as a container's first process: own cgroup and mount namespace, no systemd to be seen."""
    mounts = f"umount /sys/fs/cgroup && mount -t cgroup2 -o {options} none /sys/fs/cgroup && mount -t tmpfs none /run && "
    words = (mounts + script).replace("'", "'\\''")
    return f"unshare --cgroup --mount sh -c '{words}'"


@pytest.mark.parametrize("uid", [0, 1000])
def test_alone_in_a_container(guest, uid):
    """Its cgroup namespace is writable. As a user it was given to that user."""
    drop = "setpriv --reuid 1000 --regid 1000 --clear-groups " if uid else ""
    own = "chown -R 1000 /sys/fs/cgroup && " if uid else ""
    script = "exec " + container(f"{own}exec {drop}jailpy exec -v -- sh -c 'echo ran'")
    done = guest.run(service(script, "Delegate=yes", uid=0) + "echo status $?", mode="root")
    assert "ran\nstatus 0" in done.out, done.out + done.err
    assert "move the launcher to a leaf of /sys/fs/cgroup and enable memory, pids, cpu, io" in done.err


def test_beside_others_in_a_container(guest):
    done = guest.run(service(container(look() + "jailpy doctor"), "Delegate=yes", uid=0), mode="root")
    refused(done, "other processes occupy /sys/fs/cgroup, the delegated group")
    line = re.search(r"^ +(cd /sys/fs/cgroup.*?)   #", done.out, re.MULTILINE)[1]
    worked(
        guest.run(service(container(line + "\n" + look()), "Delegate=yes", uid=0), mode="root"), ("memory", "pids", "cpu", "io")
    )


def test_in_a_container_whose_cgroups_are_read_only(guest):
    done = guest.run(service(container(look(), "ro"), "Delegate=yes", uid=0), mode="root")
    refused(done, "cgroups are mounted read-only here")


WITHOUT_SYSTEMD = "echo $$ >/sys/fs/cgroup/cgroup.procs; mount -t tmpfs none /run; "


def test_root_without_systemd(guest):
    """In the real root of the hierarchy, where processes may stand beside groups."""
    done = guest.run(
        f"unshare --mount sh -c '{WITHOUT_SYSTEMD}{look().replace(chr(39), chr(39) + chr(92) + chr(39) * 2)}'", mode="root"
    )
    worked(done)


def test_a_user_without_systemd(guest):
    """Refused; the printed lines, run by root and then in the user's shell, mend it."""
    user = "setpriv --reuid 1000 --regid 1000 --clear-groups"
    script = f"""{WITHOUT_SYSTEMD}
cat >/tmp/look <<'X'
{look()}
X
{user} sh /tmp/look
{user} jailpy doctor >/tmp/doctor
cat /tmp/doctor
sed -n '/no systemd is there/,/^  [a-z]/p' /tmp/doctor | grep '^ \\{{6\\}}' | sed 's/^ *//; s/   # .*//' >/tmp/lines
cat >/usr/local/bin/sudo <<'X'
#!/bin/sh
exec "$@"
X
chmod 755 /usr/local/bin/sudo
. /tmp/lines
rm /tmp/*-look
echo AGAIN; exec {user} sh /tmp/look
"""
    done = guest.run("cat >/tmp/script <<'Y'\n" + script + "\nY\nunshare --mount sh /tmp/script", mode="root")
    first, again = done.out.split("AGAIN\n")
    assert "status 125" in first
    assert "no systemd is there to delegate a cgroup to this account" in done.err
    done.__dict__["out"] = again
    worked(done)


@pytest.mark.full
@pytest.mark.guests("bookworm")
def test_version_1(guest):
    """Refused for a user; a folder in each hierarchy, made by the printed lines, mends it."""
    words = service(look() + "jailpy doctor")
    done = guest.run(words, mode="root", append=LEGACY)
    refused(done, "this host has cgroup version 1, and no folder jailpy-1000")
    lines = re.search(r"^ +(sudo sh -c 'for folder.*?done')", done.out, re.MULTILINE | re.DOTALL)[1]
    mended = guest.run(f"{lines}\n{service(look())}", mode="root", append=LEGACY)
    assert "ran\nstatus 0\n" in mended.out, mended.out + mended.err
    assert '"cgroup1 memory.max_usage_in_bytes"' in mended.out


@pytest.mark.full
def test_a_kernel_without_the_memory_controller(guest):
    """Refused; what is left holds where the gap is accepted, and the report says so."""
    append = f"{SECURITY} cgroup_disable=memory"
    done = guest.run(look() + "jailpy doctor", mode="user", append=append)
    refused(done, "the memory controller is switched off on this kernel")
    assert "take cgroup_disable=memory off the kernel's command line" in done.out
    accepted = look().replace("exec ", "exec --allow-missing cgroup ")
    done = guest.run(accepted, mode="user", append=append)
    assert "ran\nstatus 0\n" in done.out, done.err
    report = json.loads(done.out[done.out.index("{") : done.out.rindex("}") + 1])
    layer = next(layer for layer in report["layers"] if layer["name"] == "cgroup")
    assert (layer["state"], layer["mechanism"]) == ("degraded", "version 2: pids, cpu; without memory")
    assert report["usage"]["memory_peak_bytes"] is None
