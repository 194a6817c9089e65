"""Plans that are kept: each thing that they hang on makes a new one when it changes, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from jailpy import api
from jailpy.host import changes, facts
from jailpy.profile.merge import Override
from jailpy.server.plans import Plans

RUN = ("true",)


def request(*argv, **options):
    return api.Request(argv=argv or RUN, **options)


@pytest.fixture
def made(monkeypatch):
    """Count how often a plan is compiled, and the host looked at."""
    counts = {"plans": 0, "looks": 0}
    compiled, gather = api.compiled, facts.gather

    def count(what, inner):
        def counted(*args):
            counts[what] += 1
            return inner(*args)

        return counted

    monkeypatch.setattr(api, "compiled", count("plans", compiled))
    monkeypatch.setattr(facts, "gather", count("looks", gather))
    return counts


@pytest.fixture
def plans(monkeypatch):
    """Return plans that never grow old, of a host where nothing was written just now."""
    monkeypatch.setattr("jailpy.server.plans._LONGEST_S", 3600.0)
    monkeypatch.setattr(changes, "_SETTLED_NS", -(10**18))
    found = Plans()
    yield found
    found.close()


@pytest.fixture
def profile(tmp_path):
    """Return the path of a profile that was written long ago."""
    path = tmp_path / "own.toml"
    write(path, "128M")
    return path


def write(path, memory, seconds_ago=100):
    path.write_text(f'schema = 1\nname = "own"\nextends = ["strict"]\n[limits]\nmemory = "{memory}"\n')
    at = time.time() - seconds_ago
    os.utime(path, (at, at))


def test_a_plan_is_made_once(plans, made):
    first, _ = plans.of(request())
    for argv in (("true",), ("echo", "x"), ("/bin/cat", "y")):
        plan, known = plans.of(request(*argv))
        assert plan == api.plan(request(*argv), first.host), "the control: it is the plan that would be made now"
        assert known.reused
    assert made == {"plans": 4, "looks": 1}  # the controls are three of these


@pytest.mark.parametrize(
    "options",
    [
        {"overrides": (Override("limits.memory", "100M", "memory"),)},
        {"overrides": (Override("environment.set", {"A": "b"}, "env"),)},
        {"profile": "grade"},
        {"excused": ("apparmor",)},
        {"get": (("a", "b"),)},
        {"terminal": True},
        {"keep": (9,)},
    ],
)
def test_what_is_asked_for_makes_a_plan_of_its_own(plans, made, options):
    plain, _ = plans.of(request())
    other, _ = plans.of(request(**options))
    assert made["plans"] == 2
    assert other.replace(command=plain.command) != plain
    assert plans.of(request())[0] == plain
    assert made["plans"] == 2


def test_a_profile_that_changes(plans, made, profile, monkeypatch):
    monkeypatch.setattr("jailpy.profile.locate.is_settled", lambda stamp: True)
    wanted = request(profile=str(profile))
    assert plans.of(wanted)[0].profile.limits.memory == 128 << 20
    assert plans.of(wanted)[0].profile.limits.memory == 128 << 20
    assert made["plans"] == 1
    write(profile, "64M")
    assert plans.of(wanted)[0].profile.limits.memory == 64 << 20
    os.rename(profile, profile.with_suffix(".old"))
    write(profile, "96M")
    assert plans.of(wanted)[0].profile.limits.memory == 96 << 20


def test_a_profile_written_just_now_is_read_again_each_time(plans, made, profile):
    write(profile, "64M", seconds_ago=0)
    for _ in range(3):
        assert plans.of(request(profile=str(profile)))[1] is None


def test_a_users_profile_that_takes_a_built_in_name_is_refused_at_once(plans, tmp_path, monkeypatch):
    from jailpy.errors import ProfileError

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    plans.of(request())
    folder = tmp_path / "jailpy" / "profiles"
    folder.mkdir(parents=True)
    write(folder / "strict.toml", "64M")
    with pytest.raises(ProfileError, match="never replaced"):
        plans.of(request())


def test_a_source_that_changes(plans, made, tmp_path):
    folder = tmp_path / "shown"
    folder.mkdir()
    wanted = request(overrides=(Override("filesystem.ro", [f"{folder}:/work/x"], "ro"),))
    first, _ = plans.of(wanted)
    assert plans.of(wanted)[0] == first
    assert made["plans"] == 1
    folder.rmdir()
    folder.write_text("a file now")
    assert [source.kind for source in plans.of(wanted)[0].command.sources] == ["file"]
    folder.unlink()
    os.symlink("/etc", folder)
    from jailpy.errors import UsageError

    with pytest.raises(UsageError, match="symbolic link"):
        plans.of(wanted)


def test_the_variables_that_are_passed_on_are_those_of_now(plans, made, monkeypatch):
    monkeypatch.setenv("LANG", "one")
    assert dict(plans.of(request())[0].command.environment)["LANG"] == "one"
    monkeypatch.setenv("LANG", "two")
    plan, known = plans.of(request())
    assert known.reused
    assert dict(plan.command.environment)["LANG"] == "two"
    assert (b"LANG", b"two") in plan.steps[-1].environment


def test_a_plan_is_kept_for_a_second_at_most(monkeypatch, made):
    monkeypatch.setattr(changes, "_SETTLED_NS", -(10**18))
    plans, now = Plans(), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for at, looks in ((0.0, 1), (0.9, 1), (1.1, 2), (2.0, 2), (2.2, 3)):
        now[0] = 100.0 + at
        plans.of(request())
        assert made == {"plans": looks, "looks": looks}, at
    plans.close()


def test_weaker_tiers_are_looked_at_each_time(plans, made):
    for _ in range(2):
        try:
            plans.of(request(profile="strict-nonamespaces"))
        except api.HostError:
            pytest.skip("this host cannot run it")
    assert made["plans"] == 2


def test_no_plan_of_another_folder_for_a_relative_profile(plans, profile, tmp_path, monkeypatch):
    monkeypatch.setattr("jailpy.profile.locate.is_settled", lambda stamp: True)
    other = tmp_path / "other"
    other.mkdir()
    write(other / "own.toml", "64M")
    found = []
    for folder in (tmp_path, other, tmp_path):
        monkeypatch.chdir(folder)
        found.append(plans.of(request(profile="./own.toml"))[0].profile.limits.memory >> 20)
    assert found == [128, 64, 128]


@pytest.fixture
def settled(monkeypatch):
    monkeypatch.setattr(changes, "_SETTLED_NS", -(10**18))
    found = changes.Changes()
    before = len(os.listdir("/proc/self/fd"))
    assert found.none(), "the control: nothing changes by itself"
    assert found.none()
    yield found
    assert len(os.listdir("/proc/self/fd")) == before
    found.close()


def test_a_limit_that_changes(settled):
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[0] - 1, before[1]))
    try:
        assert not settled.none()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert settled.none()


def test_a_folder_that_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(changes, "_FOLDERS", (str(tmp_path), str(tmp_path / "new")))
    monkeypatch.setattr(changes, "_SETTLED_NS", -(10**18))
    found = changes.Changes()
    assert found.none()
    (tmp_path / "new").write_text("x")
    assert not found.none()
    found.close()


def test_a_folder_that_was_written_just_now_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(changes, "_FOLDERS", (str(tmp_path),))
    (tmp_path / "new").write_text("x")
    for long_enough, wanted in ((10**12, False), (0, True)):
        monkeypatch.setattr(changes, "_SETTLED_NS", long_enough)
        found = changes.Changes()
        assert found.none() is wanted
        found.close()


def test_a_file_of_proc_that_comes(settled, monkeypatch):
    """Modules bring such files; here the list of before lacks one."""
    whole, ends = settled._entries, [0]
    while ends[-1] < len(whole):
        ends.append(ends[-1] + int.from_bytes(whole[ends[-1] + 16 : ends[-1] + 18], "little"))
    settled._entries = whole[: ends[-2]]
    assert not settled.none()
    settled._entries = whole[: ends[-2]] + b"x" * (ends[-1] - ends[-2])
    assert not settled.none(), "one that goes"
    settled._entries = whole
    assert settled.none()


def test_the_list_of_proc_is_that_of_listdir(settled):
    listed, at = [], 0
    while at < len(settled._entries):
        listed.append(changes._name(settled._entries, at).decode())
        at += int.from_bytes(settled._entries[at + 16 : at + 18], "little")
    assert sorted(listed) == sorted([".", "..", *(name for name in os.listdir("/proc") if not name.isdigit())])


@pytest.mark.root
@pytest.mark.parametrize(
    "change",
    ["mount -t tmpfs none {0}", "mount --bind {0} {0}", "mount -o remount,ro {1}", "umount {1}", "mount --move {1} {0}"],
)
def test_a_mount_that_changes(tmp_path, change):
    """In a mount namespace of its own, which the kernel tells of by itself."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    script = f"""
import os, subprocess, sys
sys.path.insert(0, {os.path.dirname(os.path.dirname(os.path.abspath(api.__file__)))!r})
subprocess.run(["mount", "-t", "tmpfs", "none", sys.argv[2]], check=True)
from jailpy.host import changes
changes._SETTLED_NS = -10**18
found = changes.Changes()
print(found.none(), found.none())
subprocess.run(sys.argv[3].format(*sys.argv[1:3]), shell=True, check=True)
print(found.none())
"""
    words = ["unshare", "--mount", "--propagation", "private", "/usr/bin/python3", "-c", script, tmp_path / "a", tmp_path / "b"]
    done = subprocess.run([*words, change], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True", "False"], done.stderr


def test_what_a_worker_keeps_leaves_the_numbers_that_a_run_passes_on(settled, monkeypatch):
    from jailpy.launcher import sources

    kept = os.open("/dev/null", os.O_RDONLY)
    monkeypatch.setattr(sources, "_namespaces", {((0, 0), (1, 1)): kept})
    sources.make_room(200)
    settled.move(200)
    (moved,) = sources._namespaces.values()
    assert min(moved, settled._proc, settled._mounts) >= 200
    assert os.path.samestat(os.stat("/dev/null"), os.fstat(moved))
    assert not os.path.exists(f"/proc/self/fd/{kept}")
    assert settled.none()
    os.close(moved)


def test_a_kernel_in_which_no_policy_was_ever_loaded(tmp_path, monkeypatch):
    """Its file of AppArmor's revision gives nothing to read, and blocks."""
    os.mkfifo(tmp_path / "revision")
    writer = os.open(tmp_path / "revision", os.O_RDWR)
    monkeypatch.setattr(changes, "_APPARMOR", str(tmp_path / "revision"))
    try:
        assert changes._revision() == b""
        os.write(writer, b"7\n")
        assert changes._revision() == b"7\n"
    finally:
        os.close(writer)
