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
        self.marked = set()
        self.offered = []
        read = cgroups.files.read
        monkeypatch.setattr(cgroups.files, "read", lambda path: self.proc() if path == "/proc/self/cgroup" else read(path))
        monkeypatch.setattr(
            cgroups, "writable", lambda path: path not in self.denied and os.path.isfile(f"{path}/cgroup.procs")
        )
        monkeypatch.setattr(cgroups, "_scope_controllers", lambda point, euid: self.offered)
        monkeypatch.setattr(cgroups, "_marked", lambda folder: folder in self.marked)
        monkeypatch.setattr(cgroups, "_SYSTEMD", f"{top}/systemd")
        monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def proc(self):
        return "".join(f"{number}:{names}:{path}\n" for number, (names, path) in enumerate(self.memberships))

    def mount(self, name, kind, options, root="/"):
        self.lines.append(f"30 22 0:26 {root} {self.top}/{name} rw,nosuid - {kind} {kind} rw,{options}")

    def group(self, path, enabled="", offered="", procs="", **limits):
        """Make a group; what its children have is offered to it, too, where nothing else is said."""
        folder = self.top / path.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        files = {"cgroup.procs": procs, "cgroup.subtree_control": enabled, "cgroup.controllers": offered or enabled}
        files |= {name.replace("_", "."): text for name, text in limits.items()}
        if "/" in path.strip("/"):
            files["cgroup.type"] = "domain"  # the real root has none
        for file, text in files.items():
            (folder / file).write_text(text)
        return str(folder)

    def systemd(self):
        (self.top / "systemd").mkdir()

    def discover(self, euid=1000):
        return cgroups.discover(self.lines, euid)


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


ALL = "cpu io memory pids"
MINE = f"{os.getpid()}\n"
OTHERS = f"{os.getpid()}\n1\n"


@pytest.fixture
def tree(host):
    """A version 2 tree whose root is not ours."""
    host.mount("v2", "cgroup2", "nsdelegate")
    host.denied = {host.group("v2", ALL)}
    return host


def at(tree, path):
    tree.memberships = [("", path)]
    return tree.discover()


def test_version_2_by_a_delegated_parent(tree):
    parent = tree.group("v2/user", ALL)
    tree.group("v2/user/app", offered=ALL, procs=OTHERS)
    found = at(tree, "/user/app")
    assert found.bases == (cgroups.Base(parent, ("memory", "pids", "cpu", "io"), 2),)
    assert (found.via, found.missing) == ("", ())
    assert all(found.has(name) for name in ("memory", "pids", "cpu", "cpuacct", "io"))


def test_a_parent_without_processes_is_divided(tree):
    """As systemd leaves it with DelegateSubgroup=: the caller stands below, with others."""
    parent = tree.group("v2/judge.service", "", ALL)
    tree.group("v2/judge.service/main", "", ALL, OTHERS)
    found = at(tree, "/judge.service/main")
    assert (found.bases[0].path, found.via) == (parent, "enable")
    tree.group("v2/judge.service", "", ALL, "1\n")
    assert at(tree, "/judge.service/main").bases[0].controllers == (), "a process stands in it"


def test_controllers_that_are_offered_and_not_enabled_are_enabled(tree):
    parent = tree.group("v2/own", "memory pids", ALL)
    tree.group("v2/own/shell", "", "memory pids", OTHERS)
    found = at(tree, "/own/shell")
    assert (found.bases, found.via) == ((cgroups.Base(parent, ("memory", "pids", "cpu", "io"), 2),), "enable")


def test_version_2_prefers_the_nearest_group_that_gives_both(tree):
    tree.group("v2/a", ALL)
    near = tree.group("v2/a/b", "memory pids")
    tree.group("v2/a/b/c", "pids", "pids", OTHERS)
    assert at(tree, "/a/b/c").bases == (cgroups.Base(near, ("memory", "pids"), 2),)


def test_version_2_alone_in_its_own_group_becomes_a_leaf(tree):
    own = tree.group("v2/own", "", "cpu memory pids", MINE)
    found = at(tree, "/own")
    assert (found.via, found.own) == ("leaf", own)
    assert found.bases == (cgroups.Base(own, ("memory", "pids", "cpu"), 2),)


@pytest.mark.parametrize("enabled", ["cpu memory pids", ""])
def test_a_launcher_that_is_in_its_leaf_stays_there(tree, enabled):
    """The next runs' groups come beside it, as the first one's did."""
    own = tree.group("v2/own", enabled, "cpu memory pids")
    tree.group("v2/own/jailpy-7-99-4026531836-0", "", "cpu memory pids", MINE)
    found = at(tree, "/own/jailpy-7-99-4026531836-0")
    assert found.bases == (cgroups.Base(own, ("memory", "pids", "cpu"), 2),)
    assert found.via == ("" if enabled else "enable")


def test_version_2_in_company_cannot_and_says_why(tree):
    own = tree.group("v2/own", "", "memory pids", OTHERS)
    found = at(tree, "/own")
    assert found.via == ""
    reasons = dict(found.missing)
    assert set(reasons) == {"memory", "pids", "cpu", "io"}
    assert own in reasons["memory"]
    assert "other processes occupy" in reasons["memory"]


def test_the_group_to_mend_is_the_one_that_has_the_controllers(tree):
    """The caller was moved below by hand, and others still stand in the delegated group."""
    parent = tree.group("v2/own", "", ALL, "1\n")
    tree.group("v2/own/main", "", "", MINE)
    found = at(tree, "/own/main")
    assert found.own == parent
    assert "other processes occupy the delegated group" in dict(found.missing)["memory"]


def test_in_company_a_scope_is_asked_for_where_there_is_a_manager(tree):
    tree.group("v2/own", "", "memory pids", OTHERS)
    tree.offered = ["cpu", "memory", "pids"]
    found = at(tree, "/own")
    assert (found.via, [base.path for base in found.bases]) == ("scope", [cgroups.SCOPE])


def test_the_real_root_needs_no_leaf(host):
    """Root without systemd: the root of the hierarchy may hold processes and divide itself."""
    host.mount("v2", "cgroup2", "")
    root = host.group("v2", "", ALL, OTHERS)
    found = at(host, "/")
    assert (found.bases[0].path, found.via) == (root, "enable")


@pytest.mark.parametrize(
    ("path", "marked", "ours"),
    [
        ("/user.slice/user@1000.service/app.slice/run-1.scope", False, False),
        ("/user.slice/user@1000.service/app.slice/run-1.scope", True, True),
        ("/user.slice/user@1000.service/app.slice/run-1.scope/sub", True, True),
        ("/user.slice/user@1000.service/app.slice", True, False),
        ("/user.slice/user@1000.service", True, False),
        ("/system.slice/judge.service", False, True),
        ("/system.slice/judge.service/main", False, True),
    ],
)
def test_below_systemd_only_what_is_delegated(tree, path, marked, ours):
    """All of a user manager's groups can be written by the user, but they are the manager's. The system's are chowned if delegated."""
    tree.systemd()
    steps = path.strip("/").split("/")
    for depth in range(1, len(steps) + 1):
        folder = tree.group("v2/" + "/".join(steps[:depth]), "" if depth == len(steps) else ALL, ALL)
        if marked and steps[depth - 1] == next(step for step in reversed(steps) if "." in step):
            tree.marked.add(folder)
        if steps[depth - 1] in ("user.slice", "system.slice"):
            tree.denied.add(folder)
    found = at(tree, path)
    assert bool(found.own) == ours
    assert bool(found.bases) == ours
    if ours:
        assert "slice" not in os.path.basename(found.bases[0].path)
    (tree.top / "systemd").rmdir()
    assert at(tree, path).own, "the control: without systemd it can be written and so is ours"


def test_root_takes_only_what_systemd_marks(tree, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    tree.systemd()
    tree.denied.clear()
    tree.group("v2/system.slice", "memory pids")
    own = tree.group("v2/system.slice/judge.service", "", ALL, MINE)
    tree.memberships = [("", "/system.slice/judge.service")]
    assert tree.discover(euid=0).bases == ()
    tree.marked.add(own)
    assert tree.discover(euid=0).bases[0].path == own
    tree.memberships = [("", "/")]
    assert tree.discover(euid=0).bases == (), "the root is systemd's too"


def test_version_2_by_a_scope_of_the_user_manager(tree):
    tree.denied.add(tree.group("v2/session"))
    tree.offered = ["cpu", "memory", "pids"]
    found = at(tree, "/session")
    assert (found.via, dict(found.missing).keys()) == ("scope", {"io"})
    assert found.bases == (cgroups.Base(cgroups.SCOPE, ("memory", "pids", "cpu"), 2),)


def test_a_scope_without_memory_is_not_enough(tree):
    tree.denied.add(tree.group("v2/session"))
    tree.offered = ["pids"]
    found = at(tree, "/session")
    assert (found.via, found.bases) == ("", ())
    assert [name for name, _ in found.missing] == ["memory", "pids", "cpuacct", "cpu", "io"]


def test_a_kernel_without_memory_gives_the_rest(host):
    """cgroup_disable=memory: what --allow-missing cgroup then still gets."""
    host.mount("v2", "cgroup2", "")
    host.denied = {host.group("v2", "cpu pids")}
    own = host.group("v2/own", "", "cpu pids", MINE)
    found = at(host, "/own")
    assert (found.bases, found.via) == ((cgroups.Base(own, ("pids", "cpu"), 2),), "leaf")
    assert [name for name, _ in found.missing] == ["memory", "io"]


def test_the_lowest_limit_around_is_known(tree):
    tree.group("v2/outer", ALL, memory_max="1000\n", pids_max="max\n")
    tree.group("v2/outer/own", ALL, memory_max="max\n", pids_max="7\n")
    tree.group("v2/outer/own/shell", "", ALL, OTHERS, pids_max="3\n")
    found = at(tree, "/outer/own/shell")
    assert set(found.around) == {("memory.max", 1000, f"{tree.top}/v2/outer"), ("pids.max", 7, f"{tree.top}/v2/outer/own")}


def test_a_mark_is_an_attribute_or_a_line_of_a_transient_unit(tmp_path, monkeypatch):
    assert not cgroups._marked(str(tmp_path))
    (tmp_path / "run-1.scope").write_text("[Scope]\nDelegate=yes\n")
    (tmp_path / "run-2.scope").write_text("[Scope]\nDelegate=no\n")
    (tmp_path / "run-3.scope").write_text("[Scope]\nDelegate=cpu pids\n")
    assert [cgroups._says_delegate(f"{tmp_path}/run-{number}.scope") for number in (1, 2, 3, 4)] == [True, False, True, False]
    monkeypatch.setattr(os, "getxattr", lambda path, name: b"1" if name == "user.delegate" else b"")
    assert cgroups._marked(str(tmp_path))
    monkeypatch.setattr(os, "getxattr", lambda path, name: b"0")
    assert not cgroups._marked(str(tmp_path))


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
    assert [name for name, _ in found.missing] == ["io"]


def test_version_1_by_a_folder_made_for_the_account(version1):
    for names in ("memory", "pids", "cpu,cpuacct"):
        version1.denied |= {f"{version1.top}/{names}", f"{version1.top}/{names}/own"}
    found = version1.discover()
    assert found.bases == ()
    assert [name for name, _ in found.missing] == ["memory", "pids", "cpuacct", "cpu", "io"]
    assert "delegated to this account" in dict(found.missing)["memory"]
    for names in ("memory", "pids", "cpu,cpuacct"):
        version1.group(f"{names}/jailpy-1000")
    found = version1.discover()
    assert {base.path.rpartition("/")[2] for base in found.bases} == {"jailpy-1000"}
    assert len(found.bases) == 3
    assert version1.discover(euid=1001).bases == (), "made for another account"


def test_version_1_without_a_controller(version1):
    version1.denied = {f"{version1.top}/pids", f"{version1.top}/pids/own"}
    found = version1.discover()
    assert [name for name, _ in found.missing] == ["pids", "io"]
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
    assert [name for name, _ in found.missing] == ["io"]


def test_a_mount_that_shows_a_part_of_the_hierarchy(host):
    """As in a container: the mount's root is the container's group."""
    host.mount("v2", "cgroup2", "", root="/docker/abc")
    host.memberships = [("", "/docker/abc/inner")]
    host.group("v2", "memory pids")
    inner = host.group("v2/inner", "", "memory pids", OTHERS)
    assert host.discover().bases[0].path == f"{host.top}/v2"
    assert host.discover().own == inner
    host.memberships = [("", "/docker/abcdef")]
    assert host.discover().bases == (), "another container's group, not below this mount"
    host.memberships = [("", "/docker/abc")]
    assert host.discover().own == f"{host.top}/v2"


def test_a_mount_over_another_is_the_one_that_counts(host):
    """As where a container's own cgroup namespace is mounted over the host's tree."""
    host.mount("v2", "cgroup2", "", root="/../..")
    host.mount("v2", "cgroup2", "")
    root = host.group("v2", "memory pids")
    assert at(host, "/").own == root


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
    assert len(found.missing) == 5


def test_this_hosts_own_facts_are_consistent():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        found = cgroups.discover(file.read().splitlines(), os.geteuid())
    given = {name for base in found.bases for name in base.controllers}
    assert not given & {name for name, _ in found.missing}
    if not found.via:
        assert all(cgroups.writable(base.path) for base in found.bases)
