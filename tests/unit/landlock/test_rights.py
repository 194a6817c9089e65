"""Landlock rights by ABI: clamped, complete, and each missing one covered by a named layer."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import py_landlock
import pytest
from py_landlock import abi as library

from jailpy.errors import ProfileError
from jailpy.layers import landlock_rights as rights
from jailpy.profile.model import LAYERS

NEWEST = 10
ABIS = range(1, NEWEST + 1)


@pytest.mark.parametrize("abi", ABIS)
def test_handled_is_what_the_abi_knows(abi):
    handled = rights.handled(abi)
    clamped = min(abi, library.MAX_KNOWN_ABI)
    assert handled.fs & 0xFFFF == library.get_supported_fs(clamped)
    assert handled.net & 3 == library.get_supported_net(clamped)
    assert handled.scoped == library.get_supported_scope(clamped)
    assert bool(handled.fs & 1 << 16) == (abi >= 9)
    assert bool(handled.net & 0b1100) == (abi >= 10)
    assert rights.handled(abi, network=False) == handled.replace(net=0)


def test_an_absent_landlock_handles_nothing():
    assert rights.handled(0) == rights.Handled(0, 0, 0)


@pytest.mark.parametrize("abi", ABIS)
def test_what_a_path_gets_is_handled(abi):
    handled = rights.handled(abi).fs
    for access in (rights.read_only(abi, True), rights.writable(abi, True), rights.device(abi)):
        assert access & ~handled == 0


def test_read_only_reads_and_executes_only():
    fs = py_landlock.AccessFs
    assert rights.read_only(7, False) == fs.READ_FILE | fs.READ_DIR
    assert rights.read_only(7, True) == fs.READ_FILE | fs.READ_DIR | fs.EXECUTE


def test_the_systems_folders_leave_truncation_to_the_mounts():
    assert rights.system(7) == rights.read_only(7, True) | py_landlock.AccessFs.TRUNCATE
    assert rights.system(2) == rights.read_only(2, True)


@pytest.mark.parametrize("abi", ABIS)
def test_writable_never_makes_devices_nor_reaches_foreign_sockets(abi):
    fs = py_landlock.AccessFs
    access = rights.writable(abi, False)
    assert access & (fs.MAKE_CHAR | fs.MAKE_BLOCK | fs.IOCTL_DEV | fs.EXECUTE | 1 << 16) == 0
    assert access & fs.WRITE_FILE
    assert bool(access & fs.TRUNCATE) == (abi >= 3)
    assert bool(access & fs.REFER) == (abi >= 2)
    assert rights.writable(abi, True) == access | fs.EXECUTE


def test_a_device_may_be_truncated_and_asked():
    fs = py_landlock.AccessFs
    assert rights.device(7) == fs.READ_FILE | fs.WRITE_FILE | fs.TRUNCATE | fs.IOCTL_DEV
    assert rights.device(2) == fs.READ_FILE | fs.WRITE_FILE


def test_on_a_file_folder_rights_are_left_out():
    fs = py_landlock.AccessFs
    assert rights.on_file(rights.writable(7, True)) == fs.READ_FILE | fs.WRITE_FILE | fs.TRUNCATE | fs.EXECUTE


def test_names_to_bits():
    fs = py_landlock.AccessFs
    assert rights.bits(["make_sock", "make_fifo", "make_sock"]) == fs.MAKE_SOCK | fs.MAKE_FIFO
    assert rights.bits(()) == 0
    with pytest.raises(ProfileError) as caught:
        rights.bits(["make_sock", "sing", "dance"])
    assert [problem.split(":")[1] for problem in caught.value.problems] == [" 'dance' is no right", " 'sing' is no right"]


def test_every_lacking_right_is_covered_by_a_named_layer():
    for abi in ABIS:
        covering = rights.covering_layers(abi)
        assert len(rights.missing(abi)) == len(covering)
        assert all(layers and set(layers) <= set(LAYERS) for _, layers in covering)
        assert all(words for pair in rights.missing(abi) for words in pair)
    assert rights.missing(NEWEST) == ()
    names = {abi: {name for name, _ in rights.covering_layers(abi)} for abi in ABIS}
    assert names[1] - names[2] == {"refer"}
    assert names[2] - names[3] == {"truncate"}
    assert names[3] - names[4] == {"bind_tcp", "connect_tcp"}
    assert names[4] - names[5] == {"ioctl_dev"}
    assert names[5] - names[6] == {"abstract_unix_socket", "signal"}
    assert names[6] == names[8] == {"resolve_unix", "bind_udp", "connect_send_udp"}
    assert names[8] - names[9] == {"resolve_unix"}


def test_every_right_beyond_the_first_abi_has_its_cover():
    later = {name for kind in rights._rights().values() for name, (_, first) in kind.items() if first > 1}
    assert later == set(rights._COVERED)


def test_the_second_process_does_not_load_the_library(tmp_path):
    tmp_path.chmod(0o700)
    script = (
        "import sys, json; from jailpy.layers import landlock_rights as r; h = r.handled(7);"
        "print(json.dumps([h.fs, h.net, h.scoped, 'py_landlock' in sys.modules]))"
    )
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": os.getcwd()}
    first, second = (
        json.loads(subprocess.run([sys.executable, "-c", script], env=env, stdout=-1, check=True).stdout) for _ in range(2)
    )
    assert first == [0xFFFF, 3, 3, True]
    assert second == [0xFFFF, 3, 3, False]


def test_another_library_is_read_again(monkeypatch):
    rights._loaded.clear()
    monkeypatch.setattr(rights.cache, "load", lambda *_: ([("/no/such/file", [1, 2, 3])], {"fs": {}, "net": {}, "scope": {}}))
    monkeypatch.setattr(rights.cache, "store", lambda *_: None)
    assert rights.handled(7).fs == 0xFFFF
    rights._loaded.clear()
