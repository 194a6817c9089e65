"""Sources shown by a launcher that is root: what only root may read is shown, what is made belongs to the source's owner."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess

import pytest

from tests.core import KERNEL, PYTHON, execute
from tests.kernel.test_filesystem import out, read, refusal, tree_of

pytestmark = pytest.mark.root
ALICE = (4711, 4712)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o700)
    (tmp_path / "secret").write_text("for root alone\n")
    (tmp_path / "secret").chmod(0o600)
    folder = tmp_path / "alice"
    (folder / "sub").mkdir(parents=True)
    (folder / "f").write_text("of alice\n")
    for path in (folder, folder / "sub", folder / "f"):
        os.chown(path, *ALICE)
        path.chmod(0o700 if path.is_dir() else 0o600)
    return tmp_path


@pytest.fixture
def sh(jailpy):
    return lambda script, *options: execute(jailpy, *options, "--", "/bin/sh", "-c", script)


def owners(path):
    return {(os.lstat(found).st_uid, os.lstat(found).st_gid) for found in [path, *tree_of(path)]}


def test_the_payload_is_a_high_unused_uid(sh):
    done = sh("id -u; cat /proc/self/uid_map; cat /proc/self/gid_map")
    uid, *maps = map(int, done.out.split())
    assert uid == 1000
    assert maps[0] == maps[3] == 1000
    assert maps[2] == maps[5] == 1
    assert maps[1] == maps[4] > 100_000
    assert str(maps[1]) not in read("/etc/passwd").decode()


@pytest.mark.parametrize("option", ["--ro", "--put", "--cow"])
def test_the_hosts_processes_are_not_shown_by_another_path(jailpy, here, option):
    """A folder for chroot(8) has the host's proc mounted in it."""
    (here / "tree" / "proc").mkdir(parents=True)
    (here / "tree" / "usr").mkdir()
    script = f"""
        "{jailpy}" exec {option} tree/usr -- sh -c 'ls -d usr' && mount --rbind /proc tree/proc || exit 1
        "{jailpy}" exec {option} tree/usr -- sh -c 'ls -d usr' || exit 2
        "{jailpy}" exec {option} tree -- sh -c 'cat tree/proc/[1-9]*/cmdline'; echo status $?
        "{jailpy}" exec {option} tree/proc/sys -- ls sys; echo status $?
        "{jailpy}" exec --set filesystem.root=./tree -- nothing; echo status $?
    """
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, cwd=here, timeout=60)
    assert done.stdout.split("\n") == ["usr", "usr", "status 125", "status 125", "status 127", ""], done.stderr
    assert done.stderr.count("nothing of what is mounted at ") == 2


def test_what_only_root_may_read_can_be_shown(sh, here):
    for option in ("--ro", "--put", "--cow"):
        assert out(sh("cat secret; stat -c %u:%g secret", option, "secret"))[-1] == "1000:1000"
    assert sh("cat /etc/shadow").status != 0
    assert sh("echo x > secret", "--ro", "secret").status != 0
    assert read(here / "secret") == b"for root alone\n"
    assert stat.S_IMODE(os.stat(here / "secret").st_mode) == 0o600
    assert owners(here / "secret") == {(0, 0)}


def test_what_is_made_in_a_writable_folder_belongs_to_its_owner(sh, here):
    script = """
        stat -c %u:%g alice alice/f; cat alice/f
        echo new > alice/new; mkdir alice/d; ln -s new alice/l; mkfifo alice/p; cp alice/f alice/sub/copy; ln alice/new alice/hard
        mv alice/f alice/moved; chmod 640 alice/moved
    """
    assert out(sh(script, "--rw", "alice")) == ["1000:1000", "1000:1000", "of", "alice"]
    assert owners(here / "alice") == {ALICE}
    assert stat.S_IMODE(os.stat(here / "alice" / "moved").st_mode) == 0o640
    assert sorted(os.listdir(here / "alice")) == ["d", "hard", "l", "moved", "new", "p", "sub"]


def test_a_writable_folder_of_root(sh, here):
    (here / "own").mkdir()
    out(sh("echo x > own/x", "--rw", "own"))
    assert owners(here / "own") == {(0, 0)}
    refused = sh("echo x > own/y; chmod 4755 own/y", "--rw", "own")
    assert refused.status != 0
    assert stat.S_IMODE(os.stat(here / "own" / "y").st_mode) == 0o644


def test_a_copy_of_anothers_folder(sh, here):
    before = tree_of(here)
    done = sh(
        "echo changed > alice/f; rm -r alice/sub; echo n > alice/new; ls -A alice; cat alice/f",
        "--cow",
        "alice",
        "--get",
        "alice/new:new",
    )
    assert out(done) == ["f", "new", "changed"]
    assert owners(here / "new") == {(0, 0)}
    (here / "new").unlink()
    assert {path: state for path, state in tree_of(here).items() if "alice" in path} == {
        path: state for path, state in before.items() if "alice" in path
    }


def test_files_of_a_third_owner_keep_to_others_rights(sh, here):
    (here / "alice" / "theirs").write_text("theirs\n")
    os.chown(here / "alice" / "theirs", 4999, 4999)
    (here / "alice" / "theirs").chmod(0o600)
    done = sh("cat alice/theirs; cat alice/f; echo x > alice/theirs", "--cow", "alice")
    if KERNEL < (6, 6):  # no user.* xattrs on tmpfs: all of the folder is copied, or nothing runs
        assert (done.status, done.out) == (125, b"")
        assert b"could not copy" in done.err
        assert b"Permission denied" in done.err
        return
    assert done.out == b"of alice\n"
    assert done.err.count(b"Permission denied") == 2
    assert b"cannot be changed in the copy, having another owner or group: theirs" in done.err


def test_a_root_filesystem_below_a_folder_of_root(sh, here):
    """The payload's uid may not enter the folder that the root filesystem lies in; the launcher opens it."""
    root = here / "rootfs"
    for name in ("bin", "lib", "lib64", "etc"):
        (root / name).mkdir(parents=True)
    (root / "etc" / "marker").write_text("of the root folder\n")
    (root / "etc" / "marker").chmod(0o600)
    listed = subprocess.run(["ldd", "/bin/sh", "/bin/cat"], capture_output=True, text=True, check=True).stdout.split()
    for path in {"/bin/sh", "/bin/cat", *(word for word in listed if word.startswith("/") and not word.endswith(":"))}:
        (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / path.lstrip("/"))
    assert sh("cat /etc/marker", "--set", f"filesystem.root={root}").out == b"of the root folder\n"
    assert owners(root) == {(0, 0)}


def test_nothing_that_a_jail_does_leaves_a_file_of_its_uid(sh, here):
    """The uid of a run is found nowhere in the folders that it could write."""
    (here / "own").mkdir()
    uid = int(sh("cat /proc/self/uid_map; echo x > own/a; echo y > alice/b", "--rw", "own", "--rw", "alice").out.split()[1])
    assert uid not in {owner for path in ("own", "alice") for owner, _ in owners(here / path)}


def in_new_mounts(jailpy, here, script):
    """Run a script as root in a mount namespace of its own, with the jailpy command as $0; 77 skips the test."""
    done = subprocess.run(["unshare", "--mount", "/bin/sh", "-c", script, jailpy], capture_output=True, text=True, cwd=here)
    if done.returncode == 77:
        pytest.skip("this kernel cannot mount that")
    return done


def test_b13_mounts_below_a_source_are_shown_and_as_restricted(jailpy, here):
    (here / "outer" / "inner").mkdir(parents=True)
    script = """
        mount -t tmpfs -o suid,dev,exec none outer/inner && echo below > outer/inner/f && cp /usr/bin/true outer/inner/ || exit 77
        "$0" exec --ro outer -- /bin/sh -c 'cat outer/inner/f; echo x > outer/inner/f; touch outer/inner/new; cat /proc/self/mountinfo'
        "$0" exec --rw outer -- /bin/sh -c 'echo changed > outer/inner/f; outer/inner/true || echo no exec'
        cat outer/inner/f
        ls outer/inner
    """
    done = in_new_mounts(jailpy, here, script)
    assert done.stderr.count("Read-only file system") == 2
    lines = done.stdout.splitlines()
    assert lines[0] == "below"
    flags = [line.split()[5].split(",") for line in lines if "/work/outer/inner" in line]
    assert len(flags) == 1
    assert {"ro", "nosuid", "nodev"} <= set(flags[0])
    if KERNEL < (6, 3):  # no idmapped mounts of tmpfs
        assert "its filesystem has no idmapped mounts" in done.stderr
        assert lines[-3:] == ["below", "f", "true"]
        return
    assert lines[-4:] == ["no exec", "changed", "f", "true"]


def test_b14_no_mount_of_a_jail_reaches_a_shared_host(jailpy, here):
    """Propagation: the host's mounts are shared, as systemd makes them."""
    script = """
        mount --make-rshared / && mkdir -p outer/inner && mount -t tmpfs none outer/inner || exit 77
        before=$(sort /proc/self/mountinfo)
        "$0" exec --ro outer --cow alice --rw alice:/a --put secret -- /bin/true || exit 1
        test "$before" = "$(sort /proc/self/mountinfo)"
    """
    assert in_new_mounts(jailpy, here, script).returncode == 0


def test_a_filesystem_without_idmapped_mounts(jailpy, here):
    """Read-only it is shown with the rights of others; writable it is refused: its new files would have no owner."""
    script = """
        mount -t ramfs none mnt && mkdir mnt/d && echo shown > mnt/d/f && echo hidden > mnt/d/g && chmod 600 mnt/d/g && chmod 777 mnt/d || exit 77
        "$0" exec --ro mnt/d -- /bin/sh -c 'cat d/f; cat d/g'
        echo status $?
        "$0" exec --rw mnt/d -- /bin/sh -c 'echo x > d/x'
        echo status $?
        ls -A mnt/d
    """
    (here / "mnt").mkdir()
    done = in_new_mounts(jailpy, here, script)
    words = done.stdout.split()
    if words[:3] == ["shown", "hidden", "status"]:
        pytest.skip("ramfs has idmapped mounts here")
    assert words == ["shown", "status", "1", "status", "125", "f", "g"], done
    assert "Permission denied" in done.stderr
    assert "its filesystem has no idmapped mounts" in done.stderr


def test_a_deleted_or_replaced_source_is_told(jailpy, here):
    (here / "gone").mkdir()
    refusal(execute(jailpy, "--ro", "gone/x", "--", PYTHON, "-V"), "No such file")
