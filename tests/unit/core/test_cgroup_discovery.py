"""host.cgroups.discover on made-up hierarchies: version 2, version 1, hybrid, nested roots, scopes, no permission."""

from __future__ import annotations

import os

import pytest

from jailpy.host import cgroups


class Host:
    """A made-up host: folders that look like cgroups, what /proc says of them, and which of them may be written."""

    def __init__(self, top, monkeypatch):
        self.top = top
        self.memberships = []
        self.lines = ["22 1 8:1 / / rw - ext4 /dev/sda1 rw"]
        self.denied = set()
        read = cgroups.files.read
        monkeypatch.setattr(cgroups.files, "read", lambda path: self.proc() if path == "/proc/self/cgroup" else read(path))
        monkeypatch.setattr(
            cgroups, "writable", lambda path: path not in self.denied and os.path.isfile(f"{path}/cgroup.procs")
        )
        monkeypatch.setattr(cgroups, "_scope_controllers", lambda euid: [])

    def proc(self):
        return "".join(f"{number}:{names}:{path}\n" for number, (names, path) in enumerate(self.memberships))

    def mount(self, name, kind, options, root="/"):
        self.lines.append(f"30 22 0:26 {root} {self.top}/{name} rw,nosuid - {kind} {kind} rw,{options}")

    def group(self, path, enabled="", offered="", procs=""):
        folder = self.top / path.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in (("cgroup.procs", procs), ("cgroup.subtree_control", enabled), ("cgroup.controllers", offered)):
            (folder / file).write_text(text)
        return str(folder)

    def discover(self, euid=1000):
        return cgroups.discover(self.lines, euid)


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


def test_version_2_by_a_delegated_parent(host):
    host.mount("v2", "cgroup2", "nsdelegate")
    host.memberships = [("", "/user/app")]
    host.denied = {host.group("v2", "memory pids cpu io")}
    parent = host.group("v2/user", "cpu io memory pids")
    host.group("v2/user/app")
    found = host.discover()
    assert found.bases == (cgroups.Base(parent, ("memory", "pids", "cpu", "io"), 2),)
    assert (found.via, found.missing) == ("", ())
    assert all(found.has(name) for name in ("memory", "pids", "cpu", "cpuacct"))


def test_version_2_prefers_the_nearest_group_that_gives_both(host):
    host.mount("v2", "cgroup2", "")
    host.memberships = [("", "/a/b")]
    host.group("v2", "memory pids cpu")
    near = host.group("v2/a", "memory pids")
    host.group("v2/a/b", "pids")
    assert host.discover().bases == (cgroups.Base(near, ("memory", "pids"), 2),)


def test_version_2_alone_in_its_own_group_becomes_a_leaf(host):
    host.mount("v2", "cgroup2", "")
    host.memberships = [("", "/own")]
    host.denied = {host.group("v2", "memory pids")}
    own = host.group("v2/own", "", "cpu memory pids", f"{os.getpid()}\n")
    found = host.discover()
    assert (found.via, found.own) == ("leaf", own)
    assert found.bases == (cgroups.Base(own, ("memory", "pids", "cpu"), 2),)


def test_version_2_in_company_cannot_and_says_why(host):
    host.mount("v2", "cgroup2", "")
    host.memberships = [("", "/own")]
    host.denied = {host.group("v2", "memory pids")}
    own = host.group("v2/own", "", "memory pids", f"{os.getpid()}\n1\n")
    found = host.discover()
    assert found.via == ""
    reasons = dict(found.missing)
    assert set(reasons) == {"memory", "pids", "cpu"}
    assert own in reasons["memory"]
    assert "other processes occupy" in reasons["memory"]


def test_version_2_by_a_scope_of_the_user_manager(host, monkeypatch):
    host.mount("v2", "cgroup2", "")
    host.memberships = [("", "/session")]
    host.denied = {host.group("v2"), host.group("v2/session")}
    monkeypatch.setattr(cgroups, "_scope_controllers", lambda euid: ["cpu", "memory", "pids"])
    found = host.discover()
    assert (found.via, found.missing) == ("scope", ())
    assert found.bases == (cgroups.Base(cgroups.SCOPE, ("memory", "pids", "cpu"), 2),)


def test_a_scope_without_memory_is_not_enough(host, monkeypatch):
    host.mount("v2", "cgroup2", "")
    host.memberships = [("", "/session")]
    host.denied = {host.group("v2"), host.group("v2/session")}
    monkeypatch.setattr(cgroups, "_scope_controllers", lambda euid: ["pids"])
    found = host.discover()
    assert (found.via, found.bases) == ("", ())
    assert [name for name, _ in found.missing] == ["memory", "pids", "cpuacct", "cpu"]


@pytest.fixture
def version1(host):
    for names in ("memory", "pids", "cpu,cpuacct"):
        host.mount(names, "cgroup", names)
        host.memberships.append((names, "/own"))
        host.group(names)
        host.group(f"{names}/own")
    return host


def test_version_1_by_the_own_group(version1):
    found = version1.discover()
    assert {(base.path.rpartition("/")[2], base.controllers, base.version) for base in found.bases} == {
        ("own", ("memory",), 1), ("own", ("pids",), 1), ("own", ("cpu", "cpuacct"), 1),
    }  # fmt: skip
    assert found.missing == ()


def test_version_1_by_a_folder_made_for_the_account(version1):
    for names in ("memory", "pids", "cpu,cpuacct"):
        version1.denied |= {f"{version1.top}/{names}", f"{version1.top}/{names}/own"}
    found = version1.discover()
    assert found.bases == ()
    assert [name for name, _ in found.missing] == ["memory", "pids", "cpuacct", "cpu"]
    assert "writable by this account" in dict(found.missing)["memory"]
    for names in ("memory", "pids", "cpu,cpuacct"):
        version1.group(f"{names}/jailpy-1000")
    found = version1.discover()
    assert {base.path.rpartition("/")[2] for base in found.bases} == {"jailpy-1000"}
    assert len(found.bases) == 3
    assert version1.discover(euid=1001).bases == (), "made for another account"


def test_version_1_without_a_controller(version1):
    version1.denied = {f"{version1.top}/pids", f"{version1.top}/pids/own"}
    found = version1.discover()
    assert [name for name, _ in found.missing] == ["pids"]
    assert not found.has("pids")
    assert found.has("memory")


def test_hybrid_uses_both(version1):
    version1.mount("unified", "cgroup2", "")
    version1.memberships.append(("", "/"))
    unified = version1.group("unified")
    found = version1.discover()
    assert cgroups.Base(unified, (), 2) in found.bases
    assert found.has("memory")
    assert found.has("cpuacct")
    assert found.missing == ()


def test_a_mount_that_shows_a_part_of_the_hierarchy(host):
    """As in a container: the mount's root is the container's group."""
    host.mount("v2", "cgroup2", "", root="/docker/abc")
    host.memberships = [("", "/docker/abc/inner")]
    host.group("v2", "memory pids")
    inner = host.group("v2/inner", "")
    assert host.discover().bases[0].path == f"{host.top}/v2"
    assert host.discover().own == inner
    host.memberships = [("", "/docker/abcdef")]
    assert host.discover().bases == (), "another container's group, not below this mount"
    host.memberships = [("", "/docker/abc")]
    assert host.discover().own == f"{host.top}/v2"


def test_other_filesystems_are_not_taken_for_cgroups(host):
    host.lines += [
        "31 22 0:27 / /sys/fs/bpf rw - bpf bpf rw",
        "32 22 0:28 / /mnt/cgroup rw shared:5 master:3 - tmpfs cgroup rw,memory",
        "33 22 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
        "34 22 0:30 / /sys/fs/cgroup/net rw - cgroup cgroup rw,net_cls",
    ]
    host.memberships = [("name=systemd", "/"), ("net_cls", "/")]
    found = host.discover()
    assert found.bases == ()
    assert len(found.missing) == 4


def test_this_hosts_own_facts_are_consistent():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        found = cgroups.discover(file.read().splitlines(), os.geteuid())
    given = {name for base in found.bases for name in base.controllers}
    assert not given & {name for name, _ in found.missing}
    if not found.via:
        assert all(cgroups.writable(base.path) for base in found.bases)
