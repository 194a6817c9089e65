"""The private cache: what it keeps, and what it must never read."""

from __future__ import annotations

import os
import stat

import pytest

from jailpy import cache


@pytest.fixture
def kept(home):
    cache.store("kind", "key", {"a": (1, None, b"x", 1.5, True)})
    folder = cache.folder()
    (name,) = os.listdir(folder)
    return os.path.join(folder, name)


def test_round_trip(kept):
    assert cache.load("kind", "key") == {"a": (1, None, b"x", 1.5, True)}
    assert cache.load("kind", "other") is None
    assert cache.load("other", "key") is None


def test_modes(kept):
    assert stat.S_IMODE(os.stat(kept).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(kept)).st_mode) == 0o700


@pytest.mark.parametrize("cut", [0, 10, 64, 65, -1])
def test_a_torn_file_is_a_miss(kept, cut):
    with open(kept, "rb+") as file:
        file.truncate(cut if cut >= 0 else os.path.getsize(kept) + cut)
    assert cache.load("kind", "key") is None


def test_a_changed_byte_is_a_miss(kept):
    with open(kept, "rb+") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    assert cache.load("kind", "key") is None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_read(kept, mode):
    os.chmod(kept, mode)
    assert cache.load("kind", "key") is None


def test_a_link_is_not_read(kept, home):
    os.rename(kept, home / "elsewhere")
    os.symlink(home / "elsewhere", kept)
    assert cache.load("kind", "key") is None


def test_a_fifo_is_not_read(kept):
    os.unlink(kept)
    os.mkfifo(kept, 0o600)
    assert cache.load("kind", "key") is None


def test_too_large_is_neither_kept_nor_read(kept):
    cache.store("kind", "large", b"x" * cache.LARGEST)
    assert cache.load("kind", "large") is None
    with open(kept, "rb+") as file:
        file.truncate(cache.LARGEST * 2)
    assert cache.load("kind", "key") is None


@pytest.mark.root
def test_a_file_of_another_is_not_read(kept):
    os.chown(kept, 65534, 65534)
    assert cache.load("kind", "key") is None


@pytest.mark.root
def test_a_folder_of_another_is_not_used(kept):
    folder = os.path.dirname(kept)
    os.chown(folder, 65534, 65534)
    assert cache.folder() != folder


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_is_not_used(kept, mode):
    folder = os.path.dirname(kept)
    os.chmod(folder, mode)
    assert cache.folder() != folder


def test_a_linked_folder_is_not_used(home):
    (home / "else").mkdir(mode=0o700)
    os.symlink(home / "else", home / "cache" / "jailpy")
    assert cache.folder() != str(home / "cache" / "jailpy")


def test_nowhere_to_keep_is_no_error(monkeypatch):
    monkeypatch.setattr(cache, "folder", lambda: None)
    cache.store("kind", "key", 1)
    assert cache.load("kind", "key") is None


def test_a_full_disk_is_no_error(kept, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    cache.store("kind", "new", 1)
    assert cache.load("kind", "new") is None
    assert os.listdir(os.path.dirname(kept)) == [os.path.basename(kept)]


def test_another_version_is_another_key(kept, monkeypatch):
    monkeypatch.setattr("jailpy.__version__", "9.9.9", raising=False)
    assert cache.load("kind", "key") is None


def test_number_of_files_is_bounded(kept, monkeypatch):
    monkeypatch.setattr(cache, "MOST_FILES", 10)
    for number in range(50):
        cache.store("kind", str(number), number)
    assert len(os.listdir(os.path.dirname(kept))) <= 10
    assert cache.load("kind", "49") == 49


def test_digest():
    assert cache.digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_home_is_used_without_a_variable(home, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(home))
    expected = "/var/cache/jailpy" if os.geteuid() == 0 else f"{home}/.cache/jailpy"
    assert cache.folder() in {expected, None}
