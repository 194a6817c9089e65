"""Why there is no cgroup: told from the mounts and from what systemd made; the lines are taken by a shell."""

import os
import subprocess

import pytest

from jailpy.host import cgroups, delegation

VERSION2 = ["31 21 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw"]
READ_ONLY = ["31 21 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw"]
HYBRID = [
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    "36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices",
    "39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
]
MANAGER = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service"
OWN = "/sys/fs/cgroup/system.slice/judge.service"
SCOPE = f"{MANAGER}/app.slice/run-1.scope"
JUDGE = {"/proc/self/cgroup": "0::/system.slice/judge.service\n", f"{OWN}/cgroup.controllers": "cpu io memory pids\n"}
SYSTEMD257 = {"/usr/lib/systemd/libsystemd-shared-257.so": ""}
SYSTEMD252 = {f"/usr/lib/{os.uname().machine}-linux-gnu/systemd/libsystemd-shared-252.so": ""}
OFFERS = {"/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n"}


def facts(own=""):
    return cgroups.CgroupFacts((), own, "", (("memory", ""), ("pids", "")))


@pytest.mark.parametrize(
    ("changes", "own", "mounts", "cause", "fix"),
    [
        ({}, "", [], "no cgroup filesystem", "mount -t cgroup2"),
        ({}, "", HYBRID, "cgroup version 1, and no folder jailpy-1000", "/sys/fs/cgroup/cpu,cpuacct/jailpy-1000 /sys/fs/cgroup/memory/jailpy-1000 /sys/fs/cgroup/pids/jailpy-1000;"),
        ({**OFFERS, "/.dockerenv": ""}, "", READ_ONLY, "read-only", "writable-cgroups=true"),
        ({**OFFERS, "/run/.containerenv": ""}, "", READ_ONLY, "read-only", "unmask=/sys/fs/cgroup"),
        ({"/sys/fs/cgroup/cgroup.controllers": "cpu io pids\n"}, "", VERSION2, "the memory controller is switched off", "cgroup_enable=memory"),
        ({"/sys/fs/cgroup/cgroup.controllers": "cpu io pids\n", "/proc/cmdline": "quiet cgroup_disable=memory\n"}, "", VERSION2, "the memory controller is switched off", "take cgroup_disable=memory off the kernel's"),
        (OFFERS, "", VERSION2, "no systemd user session runs for uid 1000", "sudo loginctl enable-linger 1000"),
        ({**OFFERS, f"{MANAGER}/cgroup.controllers": "pids\n"}, "", VERSION2, "does not delegate the memory controller", "/etc/systemd/system/user@.service.d/zz-jailpy.conf"),
        ({**OFFERS, f"{MANAGER}/cgroup.controllers": "cpu memory pids\n"}, "", VERSION2, "no D-Bus socket", "dbus-user-session"),
        ({**OFFERS, f"{MANAGER}/cgroup.controllers": "memory pids\n", "/run/user/1000/bus": ""}, "", VERSION2, "does not belong to uid 1000", "systemctl restart user@1000"),
        ({**OFFERS, f"{MANAGER}/cgroup.controllers": "memory pids\n", f"{MANAGER}/cgroup.procs": "", "/run/user/1000/bus": ""}, "", VERSION2, "not delegated", "systemd-run --user --scope -p Delegate=yes"),
        ({**OFFERS, **JUDGE, **SYSTEMD257}, "", VERSION2, "no systemd user session runs for uid 1000", "judge.service is a service of your own, add to it: [Service] Delegate=yes DelegateSubgroup=main"),
        ({**OFFERS, **JUDGE, **SYSTEMD257}, OWN, VERSION2, "other processes occupy", "DelegateSubgroup=main"),
        ({**OFFERS, **JUDGE, **SYSTEMD252}, OWN, VERSION2, "systemd 254 has DelegateSubgroup=", f"cd {OWN} && mkdir -p main"),
        ({**OFFERS, **JUDGE, f"{OWN}/cgroup.controllers": "cpu pids\n"}, OWN, VERSION2, "delegated without the memory controller", "/etc/systemd/system/judge.service.d/jailpy.conf"),
        ({**OFFERS, "/run/systemd/system": None}, "/sys/fs/cgroup", VERSION2, "other processes occupy /sys/fs/cgroup,", "main/cgroup.procs"),
        ({**OFFERS, **JUDGE, "/proc/self/mountinfo": "21 1 8:1 / / rw shared:9 master:1 - ext4 x rw\n"}, "", READ_ONLY, "read-only", "ProtectControlGroups=no"),
        ({**OFFERS, **JUDGE}, "", READ_ONLY, "read-only", "mount -o remount,rw /sys/fs/cgroup"),
        ({**OFFERS, f"{SCOPE}/cgroup.controllers": "memory pids\n"}, SCOPE, VERSION2, "other processes occupy", "systemd-run --user --scope"),
        ({**OFFERS, f"{SCOPE}/cgroup.controllers": "pids\n"}, SCOPE, VERSION2, "does not delegate the memory controller", "Delegate=cpu cpuset io memory pids"),
    ],
)  # fmt: skip
def test_the_cause_and_its_fix(host, changes, own, mounts, cause, fix):
    host(changes)
    found = delegation.no_cgroup(facts(own), mounts)
    assert cause in found.cause
    assert fix in "\n".join(found.lines())


def test_root_beside_systemd_asks_the_system_bus(host):
    host(OFFERS, uid=0)
    found = delegation.no_cgroup(facts(), VERSION2)
    assert "no D-Bus socket /run/dbus/system_bus_socket" in found.cause
    assert "install -y dbus" in found.lines()[0]


def test_io_alone_is_missing(host):
    """A profile that limits io, on a host that gives the rest."""
    host({**OFFERS, f"{MANAGER}/cgroup.controllers": "cpu memory pids\n"})
    lacking = cgroups.CgroupFacts((), "", "scope", (("io", ""),))
    found = delegation.no_cgroup(lacking, VERSION2)
    assert found.cause == "systemd does not delegate the io controller to user sessions"
    assert "Delegate=cpu cpuset io memory pids" in "\n".join(found.lines())


def test_io_on_version_1(host):
    host({"/sys/fs/cgroup/unified/cgroup.controllers": "\n"})
    lacking = cgroups.CgroupFacts((), "", "", (("io", ""),))
    assert "limits.io needs cgroup version 2" in delegation.no_cgroup(lacking, HYBRID).cause


def test_a_hierarchy_without_memory(host):
    """Linux 6.12 of Debian 13 has no memory controller for version 1: folders there would not bring it."""
    host({"/sys/fs/cgroup/unified/cgroup.controllers": "\n"})
    mounts = [line for line in HYBRID if "memory" not in line]
    lacking = cgroups.CgroupFacts((), "", "", (("memory", ""),))
    assert "the memory controller is switched off" in delegation.no_cgroup(lacking, mounts).cause
    assert "cgroup version 1" in delegation.no_cgroup(facts(), mounts).cause


def test_without_systemd_the_shell_moves_once(host, tmp_path):
    host(OFFERS)
    (tmp_path / "run/systemd/system").unlink()
    found = delegation.no_cgroup(facts(), VERSION2)
    assert "no systemd" in found.cause
    assert "/sys/fs/cgroup/jailpy-1000/shell/cgroup.procs" in "\n".join(found.lines())


@pytest.mark.parametrize("mounts", [HYBRID, VERSION2])
def test_a_shell_takes_the_lines(host, mounts):
    host({**OFFERS, f"{MANAGER}/cgroup.controllers": "pids\n"})
    done = subprocess.run(
        ["sh", "-n"],
        input="\n".join(delegation.no_cgroup(facts(), mounts).lines()) + "\n",
        text=True,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
