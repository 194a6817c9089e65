"""Copying into the jail: what is copied and what is not, without a jail around it."""

from __future__ import annotations

import errno
import os
import socket
import stat

import pytest

from jailpy.child import copying


@pytest.fixture
def copy(tmp_path):
    """Return a function that copies a path and returns the copy."""

    def run(source, *room, name="copy"):
        opened = os.open(source, os.O_PATH | os.O_NOFOLLOW)
        try:
            copying.copy_tree(opened, str(tmp_path / name), *room)
        finally:
            os.close(opened)
        return tmp_path / name

    return run


@pytest.fixture
def tree(tmp_path):
    tree = tmp_path / "tree"
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "f").write_text("content")
    (tree / "sub" / "tool").write_text("#!/bin/sh\n")
    (tree / "sub" / "tool").chmod(0o4755)
    (tree / "link").symlink_to("/etc/passwd")
    return tree


def test_a_folder(tree, copy):
    (tree / "sub").chmod(0o500)
    done = copy(tree)
    (tree / "sub").chmod(0o755)
    assert (done / "f").read_text() == "content"
    assert os.readlink(done / "link") == "/etc/passwd"
    assert stat.S_IMODE((done / "sub" / "tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((done / "sub").stat().st_mode) == 0o700
    assert (done / "sub" / "empty").is_dir()


def test_a_file_keeps_its_mode_and_time(tree, copy):
    (tree / "f").chmod(0o444)
    os.utime(tree / "f", (1000, 2000))
    done = copy(tree / "f")
    assert done.read_text() == "content"
    assert stat.S_IMODE(done.stat().st_mode) == 0o444
    assert done.stat().st_mtime == 2000


def test_folders_keep_their_time(tree, copy):
    os.utime(tree / "sub", (1000, 2000))
    assert (copy(tree) / "sub").stat().st_mtime == 2000


def test_what_is_no_file_folder_or_link_is_left_out(tree, copy):
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "s"))
        done = copy(tree)
    assert sorted(path.name for path in done.iterdir()) == ["f", "link", "sub"]


@pytest.mark.timeout(20)
def test_what_takes_the_place_of_a_file_is_neither_waited_for_nor_read(tree, copy, monkeypatch):
    """Whoever owns a folder may put a FIFO there once JailPy has looked at it."""
    os.mkfifo(tree / "fifo")
    with pytest.raises(OSError) as caught:
        copy(tree / "fifo")
    assert caught.value.errno == errno.EINVAL
    looked_at, stat_of = os.stat(tree / "f"), os.stat
    monkeypatch.setattr(os, "stat", lambda name, **how: looked_at if name == "fifo" else stat_of(name, **how))
    with pytest.raises(OSError) as caught:
        copy(tree)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize(("size", "count", "fits"), [(7, 99, False), (99, 5, False), (17, 6, True)])
def test_a_bound(tree, copy, size, count, fits):
    """Bytes that are holes count."""
    os.truncate(tree / "f", 7)
    os.mkdir(tree / "another")
    if fits:
        copy(tree, copying.Room(size, count))
        return
    with pytest.raises(OSError) as caught:
        copy(tree, copying.Room(size, count))
    assert caught.value.errno == errno.ENOSPC


def test_odd_names(tmp_path, copy):
    (tmp_path / "odd").mkdir()
    names = [b"\xff", b"new\nline", b"n" * 255]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path / "odd"), name), "wb"):
            pass
    assert sorted(os.listdir(os.fsencode(copy(tmp_path / "odd")))) == sorted(names)


def test_too_deep_a_folder_is_refused_and_leaves_no_descriptor(tmp_path, copy):
    before = len(os.listdir("/proc/self/fd"))
    here = os.open(tmp_path, os.O_RDONLY)
    at = os.dup(here)
    for number in range(copying.DEEPEST + 2):
        os.mkdir("d" if number else "deep", dir_fd=at)
        below = os.open("d" if number else "deep", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    os.close(here)
    with pytest.raises(OSError) as caught:
        copy(tmp_path / "deep")
    assert caught.value.errno == errno.ENAMETOOLONG
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_an_error(tree, copy):
    (tree / "f").chmod(0)
    with pytest.raises(PermissionError):
        copy(tree)
