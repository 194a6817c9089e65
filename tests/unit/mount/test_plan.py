"""What [filesystem] turns into: steps, their order, their attributes, and the view that Landlock is given."""

from __future__ import annotations

import os

import pytest

from jailpy.errors import UsageError
from jailpy.host.facts import Entry
from jailpy.kernel.mount import NODEV, NOEXEC, NOSUID, RDONLY
from jailpy.layers.tree import COW, HOST, PRIVATE, Tree
from jailpy.steps import mounts, process


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "f").write_text("x")
    (tmp_path / "one.txt").write_text("1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


MAKING = mounts.MakeFolder | mounts.MakeFile | mounts.MakeLink | mounts.CopyTree | mounts.Attach


def find(steps, kind, **values):
    return [
        step for step in steps if type(step) is kind and all(getattr(step, name) == value for name, value in values.items())
    ]


def one(steps, kind, **values):
    (step,) = find(steps, kind, **values)
    return step


def test_ro_becomes_open_and_attach(here, mount_steps):
    steps = mount_steps({"filesystem.ro": ["data"]})
    source = one(steps, mounts.OpenSource)
    shown = one(steps, mounts.Attach, slot=source.slot)
    assert (source.path, source.attributes) == (str(here / "data"), RDONLY | NOSUID | NODEV)
    assert (shown.path, shown.what) == ("work/data", str(here / "data"))
    assert steps.index(source) < steps.index(shown)
    assert source.describe() == f"open {here}/data to show it read-only, nosuid, nodev"
    assert shown.describe() == f"show {here}/data at /work/data"


def test_rw_is_writable_and_noexec(here, mount_steps):
    assert one(mount_steps({"filesystem.rw": ["data"]}), mounts.OpenSource).attributes == NOSUID | NODEV | NOEXEC
    steps = mount_steps({"filesystem.rw": ["data"], "filesystem.exec": "any"})
    assert one(steps, mounts.OpenSource).attributes == NOSUID | NODEV


def test_root_maps_sources(here, mount_steps):
    steps = mount_steps({"filesystem.ro": ["data"]}, put=[("one.txt", "")], real_root=True, outside=(4000, 4000))
    mapped = find(steps, mounts.MapSource)
    assert [(step.path, step.owner, step.outside, step.side) for step in mapped] == [
        (str(here / name), (os.geteuid(), os.stat(here / name).st_gid), (4000, 4000), "launcher")
        for name in ("data", "one.txt")
    ]
    assert find(steps, mounts.OpenSource) == []
    assert len({step.slot for step in mapped}) == 2


def test_one_source_shown_twice_has_two_slots(here, mount_steps):
    steps = mount_steps({"filesystem.ro": ["data:/x", "data:/y"]}, real_root=True)
    assert len({step.slot for step in find(steps, mounts.MapSource)}) == 2


def test_cow_by_overlay_and_by_copy(here, mount_steps):
    steps = mount_steps({"filesystem.cow": ["data"]}, tmpfs_user_xattr=True)
    overlay = one(steps, mounts.NewOverlay)
    assert overlay.attributes == NOSUID | NODEV | NOEXEC
    assert one(steps, mounts.OpenSource).attributes & RDONLY
    assert one(steps, mounts.AttachBehind, path=overlay.lower).what == str(here / "data")
    assert find(steps, mounts.CopyTree) == []
    steps = mount_steps({"filesystem.cow": ["data"]}, tmpfs_user_xattr=False)
    assert find(steps, mounts.NewOverlay) == []
    copy = one(steps, mounts.CopyTree)
    assert copy.path.startswith(f"{mounts.DISK}/")
    assert one(steps, mounts.TakeFolder, path=copy.path).attributes == NOSUID | NODEV | NOEXEC
    assert one(steps, mounts.Attach, path="work/data")


def test_a_file_is_copied_into_its_place(here, mount_steps):
    """A mount on it would forbid to rename over it, which is how most programs save a file."""
    steps = mount_steps({"filesystem.cow": ["one.txt"]})
    assert one(steps, mounts.CopyTree).path == "work/one.txt"
    assert find(steps, mounts.Attach, path="work/one.txt") == []


def test_put_outside_of_private_folders_gets_a_place(here, mount_steps):
    steps = mount_steps(put=[("data", "/in/data")])
    copy = one(steps, mounts.CopyTree)
    assert copy.path.startswith(f"{mounts.DISK}/")
    assert one(steps, mounts.TakeFolder, path=copy.path).attributes == NOSUID | NODEV | NOEXEC
    assert one(steps, mounts.Attach, path="in/data")
    assert one(steps, mounts.MakeFolder, path="in")


def test_put_into_the_work_folder_and_into_a_copy(here, mount_steps):
    steps = mount_steps({"filesystem.cow": ["data"]}, put=[("one.txt", ""), ("one.txt", "/work/data/sub/new")])
    assert [step.path for step in find(steps, mounts.CopyTree)] == ["work/one.txt", "work/data/sub/new"]


def test_outer_places_come_first(here, mount_steps):
    steps = mount_steps({"filesystem.ro": ["one.txt:/work/data/f", "data"]})
    at = [step.path for step in find(steps, mounts.Attach)]
    assert at.index("work") < at.index("work/data") < at.index("work/data/f")
    assert find(steps, mounts.MakeFile, path="work/data/f") == []  # never made in a folder of the host


def test_every_mount_is_nosuid_and_only_devices_lack_nodev(here, mount_steps):
    steps = mount_steps({"filesystem.ro": ["data"], "filesystem.rw": ["one.txt"], "filesystem.cow": ["data:/c"]}, terminal=True)
    with_attributes = [step for step in steps if hasattr(step, "attributes")]
    assert len(with_attributes) > 20
    for step in with_attributes:
        assert step.attributes & NOSUID, step
        device = isinstance(step, mounts.ShowSystem) and step.path.startswith("/dev/")
        assert bool(step.attributes & NODEV) != device, step
    for step in with_attributes:
        if not step.attributes & RDONLY and not (isinstance(step, mounts.NewTmpfs) and step.mode == 0o755):
            assert step.attributes & NOEXEC, step


def test_private_folders_share_the_disk_limit(mount_steps):
    steps = mount_steps({"filesystem.tmpfs": ["/data:16M"], "limits.disk": 64 << 20, "limits.inodes": 1000})
    root, shared, own = find(steps, mounts.NewTmpfs)
    assert root.size == 4 << 20
    assert (shared.size, own.size) == (48 << 20, 16 << 20)
    assert (shared.inodes, own.inodes) == (750, 250)
    assert [step.path for step in find(steps, mounts.OfferFolder, purpose="disk")] == ["data", mounts.DISK]
    everything = mount_steps({"filesystem.tmpfs": ["/data:64M"], "limits.disk": 64 << 20})
    assert find(everything, mounts.NewTmpfs)[1].size == 4096  # size 0 would be no bound at all


def test_private_folders_have_the_modes_that_programs_expect(mount_steps):
    steps = mount_steps()
    modes = {step.path: step.mode for step in find(steps, mounts.MakeFolder) if step.path.startswith(f"{mounts.DISK}/")}
    taken = {step.path: step.slot for step in find(steps, mounts.TakeFolder)}
    by_place = {find(steps, mounts.Attach, slot=slot)[0].path: modes[path] for path, slot in taken.items()}
    assert by_place == {"tmp": 0o1777, "work": 0o755, "dev/shm": 0o1777}


@pytest.mark.parametrize(
    ("workdir", "made"),
    [
        ("/work", "mount"),
        ("/tmp/a/b", "folder"),
        ("/other", "mount"),
        ("/usrx", "mount"),
        ("/", "nothing"),
        ("/usr/lib", "nothing"),
    ],
)
def test_the_work_folder_is_there(mount_steps, workdir, made):
    steps = mount_steps({"filesystem.workdir": workdir})
    place = workdir.strip("/")
    attached = bool(find(steps, mounts.Attach, path=place))
    folder = bool(find(steps, mounts.MakeFolder, path=place))
    assert attached == (made == "mount")
    assert (folder and not attached) == (made == "folder")


def test_collect_offers_the_work_folder_and_the_jails_own_mounts_below_it(here, mount_steps):
    overrides = {"filesystem.cow": ["data"], "filesystem.ro": ["one.txt"], "filesystem.tmpfs": ["/work/t", "/elsewhere"]}
    steps = mount_steps(overrides, get=[("x", "x")])
    offered = [step.path for step in find(steps, mounts.OfferFolder, purpose="collect")]
    assert offered[0] == "work"
    assert sorted(offered[1:]) == ["work/data", "work/t"]
    assert find(mount_steps(), mounts.OfferFolder, purpose="collect") == []


def test_nothing_of_the_host_is_opened_or_made_by_path_once_the_root_is_entered(here, mount_steps):
    """Relative paths are the jail's, absolute ones the host's: those are only used once the disk covers what is there."""
    steps = mount_steps({"filesystem.rw": ["data"], "filesystem.cow": ["data:/c"]}, put=[("one.txt", ""), ("data", "/in/d")])
    (covered,) = [index for index, step in enumerate(steps) if step == mounts.AttachBehind(step_slot(steps), mounts.DISK, "it")]
    for index, step in enumerate(steps):
        if isinstance(step, MAKING):
            aside = index > covered and step.path.startswith(f"{mounts.DISK}/")
            assert aside or not step.path.startswith("/"), step
            assert not step.path.startswith("work/data/"), step


def step_slot(steps):
    """Return the slot of the disk's tmpfs: the first one after the root's."""
    return find(steps, mounts.NewTmpfs)[1].slot


def test_what_the_user_shows_replaces_what_the_system_would(here, mount_steps):
    steps = mount_steps({"filesystem.ro": ["one.txt:/etc/passwd", "one.txt:/etc/localtime", "data:/lib64"]})
    assert find(steps, mounts.MakeFile, path="etc/passwd") == [mounts.MakeFile(path="etc/passwd")]
    assert find(steps, mounts.MakeLink, path="etc/localtime") == []
    assert find(steps, mounts.MakeLink, path="lib64") == []
    assert find(mount_steps(), mounts.MakeFile, path="etc/passwd") != [mounts.MakeFile(path="etc/passwd")]
    steps = mount_steps({"filesystem.ro": ["data:/etc"]})
    assert [step for step in find(steps, mounts.ShowSystem) if step.at.startswith("etc/")] == []


def test_a_root_of_its_own(here, mount_steps):
    for name in ("usr", "etc", "proc"):
        (here / "root" / name).mkdir(parents=True)
    (here / "root" / "bin").symlink_to("usr/bin")
    steps = mount_steps({"filesystem.root": "./root"})
    assert [step.path for step in find(steps, mounts.OpenSource)] == [str(here / "root" / name) for name in ("etc", "usr")]
    assert one(steps, mounts.MakeLink, path="bin").target == "usr/bin"
    assert [step.path for step in find(steps, mounts.ShowSystem) if not step.path.startswith("/dev/")] == []
    assert find(steps, mounts.MakeFile, path="etc/passwd") == []
    mapped = mount_steps({"filesystem.root": "./root"}, real_root=True, outside=(4000, 4000))
    assert [step.owner for step in find(mapped, mounts.MapSource)] == [(os.geteuid(), os.stat(here / "root").st_gid)] * 2


def test_an_empty_root(mount_steps):
    steps = mount_steps({"filesystem.root": "empty"})
    assert [step.path for step in find(steps, mounts.ShowSystem) if not step.path.startswith("/dev/")] == []
    assert find(steps, mounts.MakeFolder, path="etc") == []


def test_no_proc(mount_steps):
    steps = mount_steps({"filesystem.proc": "none"})
    assert find(steps, mounts.NewProc) == []
    assert find(steps, mounts.Mask) == []
    assert find(steps, mounts.MakeFolder, path="proc") == []


def test_proc_is_masked_where_it_tells_of_the_host(mount_steps):
    facts = (
        Entry("keys", "file"),
        Entry("irq", "folder"),
        Entry("cpuinfo", "file"),
        Entry("self", "link"),
        Entry("sys", "folder"),
    )
    mask = one(mount_steps(proc=facts), mounts.Mask)
    assert (mask.files, mask.folders) == (("proc/keys",), ("proc/irq",))


def test_only_what_root_alone_may_use_goes_without_a_mask():
    from jailpy.host import facts

    named = {entry.path for entry in facts.gather().proc}
    assert {"keys", "kallsyms", "sys"} <= named
    for name in set(os.listdir("/proc")) - named:
        if not name.isdecimal():
            found = os.lstat(f"/proc/{name}")
            assert not found.st_mode & 0o077, name
            assert found.st_uid in (0, 65534), name


def test_etc_links_that_lead_out_of_the_jail_are_followed(tmp_path, monkeypatch):
    from jailpy.host import facts

    (tmp_path / "certs").mkdir()
    (tmp_path / "link").symlink_to("certs")
    (tmp_path / "inside").symlink_to("/usr/share")
    (tmp_path / "dangling").symlink_to("nothing")
    assert facts._followed(facts.entry(f"{tmp_path}/link")) == Entry(f"{tmp_path}/link", "folder", f"{tmp_path}/certs")
    for name in ("inside", "dangling"):
        assert facts._followed(facts.entry(f"{tmp_path}/{name}")).kind == "link"


def test_jailpys_own_folders_are_masked_wherever_they_appear(here, mount_steps):
    hidden = (str(here / "data" / "sub"),)
    for mode in ("ro", "rw", "cow"):
        steps = mount_steps({f"filesystem.{mode}": ["data:/home/data"]}, hidden=hidden)
        assert one(steps, mounts.Mask, files=()).folders == ("home/data/sub",)
    steps = mount_steps(put=[("data", "")], hidden=hidden)
    mask = one(steps, mounts.Mask, files=())
    assert mask.folders == ("work/data/sub",)
    assert steps.index(one(steps, mounts.CopyTree)) < steps.index(mask)
    with pytest.raises(UsageError, match="JailPy's own folder"):
        mount_steps({"filesystem.ro": ["data/sub"]}, hidden=hidden)


def test_chroot_where_the_root_is_an_initramfs(mount_steps):
    assert one(mount_steps(), mounts.ChangeRoot).method == "pivot_root"
    assert one(mount_steps(root_filesystem="rootfs"), mounts.ChangeRoot).method == "chroot"


def test_the_landlock_rules_follow_what_is_shown(here, planned):
    overrides = {"filesystem.ro": ["data"], "filesystem.rw": ["one.txt:/w"], "filesystem.cow": ["data:/c"]}
    plan = planned(overrides, put=[("one.txt", "/in/one.txt")])
    rules = [step for step in plan.steps if isinstance(step, process.RestrictLandlock)]
    if not rules:
        pytest.skip("this kernel has no Landlock")
    paths = dict(rules[0].paths)
    assert {"/work/data", "/w", "/c", "/in/one.txt", "/work", "/tmp", "/usr", "/etc"} <= set(paths)
    read_only, writable, put = paths["/work/data"], paths["/c"], paths["/in/one.txt"]
    execute, write_file, make_reg = 1, 2, 1 << 8
    assert read_only & execute
    assert not read_only & (write_file | make_reg)
    assert writable & write_file
    assert writable & make_reg
    assert not writable & execute
    assert put & write_file
    assert not put & (execute | make_reg)


def test_nearer_landlock_rules_grant_what_the_system_folder_above_grants(here, planned):
    def rules(overrides):
        return dict(one(planned(overrides).steps, process.RestrictLandlock).paths)

    system = rules({})
    assert system["/usr/lib"] == system["/usr/share"] == system["/usr"]
    replaced = rules({"filesystem.ro": ["data:/usr"]})
    assert "/usr/lib" not in replaced
    assert "/usr" in replaced


def test_steps_describe_themselves(here, mount_steps):
    steps = mount_steps({"filesystem.cow": ["data"]}, put=[("one.txt", "/x")], get=[("a", "b")], terminal=True, real_root=True)
    words = [step.describe() for step in steps]
    assert len({type(step) for step in steps}) > 15
    assert all(text and text[0].islower() and "\n" not in text for text in words)


def test_tree_places():
    tree = Tree()
    tree.places.update({"/work": PRIVATE, "/work/data": COW, "/usr": HOST})
    assert [tree.around(path) for path in ("/work", "/work/x", "/work/data/x/y", "/usr/lib", "/workshop", "/etc/x")] == [
        "", PRIVATE, COW, HOST, "", "",
    ]  # fmt: skip
    tree.folder("/work/a/b")
    tree.place("/usr/lib", "folder", HOST)
    assert [step.path for step in tree.steps] == ["work", "work/a", "work/a/b"]
