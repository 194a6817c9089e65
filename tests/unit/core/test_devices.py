"""The block devices behind host paths: partitions, filesystems without a device, filesystems in memory."""

from __future__ import annotations

import os
import types

import pytest

from jailpy.host import devices

MOUNTS = [
    "22 1 8:1 / / rw - ext4 /dev/sda1 rw",
    "23 22 0:40 /@home /home rw - btrfs /dev/mapper/home rw",
    "24 22 0:41 / /homework rw - nfs4 server:/x rw",
    "25 22 0:42 / /run rw - tmpfs tmpfs rw",
]
NUMBERS = {
    "/usr": os.makedev(8, 1),
    "/home/a": os.makedev(0, 40),
    "/homework/b": os.makedev(0, 41),
    "/run/c": os.makedev(0, 42),
}


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A made-up host with a partition of 8:0."""
    sda = tmp_path / "sda" / "sda1"
    sda.mkdir(parents=True)
    (tmp_path / "sda" / "dev").write_text("8:0\n")
    real = os.path.exists

    def stat(path):
        return types.SimpleNamespace(st_dev=NUMBERS.get(path, 0), st_rdev=os.makedev(253, 5))

    def exists(path):
        if path.startswith("/sys/dev/block/"):
            return path == "/sys/dev/block/8:1/partition"
        return path == "/dev/mapper/home" or real(path)

    monkeypatch.setattr(devices.os, "stat", stat)
    monkeypatch.setattr(devices.os.path, "exists", exists)
    monkeypatch.setattr(devices.os.path, "realpath", lambda path: str(sda) if path == "/sys/dev/block/8:1" else path)


@pytest.mark.parametrize(
    ("paths", "found", "without"),
    [
        (["/usr"], ("8:0",), ()),
        (["/home/a"], ("253:5",), ()),
        (["/homework/b"], (), ("/homework/b (nfs4)",)),
        (["/run/c"], (), ()),
        (["/usr", "/home/a", "/usr"], ("8:0", "253:5"), ()),
    ],
)
def test_what_is_behind_a_path(host, paths, found, without):
    assert devices.behind(paths, MOUNTS) == (found, without)


def test_here():
    """Whatever this host has: the names are those of whole block devices."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        mounts = file.read().splitlines()
    found, without = devices.behind(["/usr", "/proc"], mounts)
    assert not any("proc" in path for path in without)
    for name in found:
        assert not os.path.exists(f"/sys/dev/block/{name}/partition")
