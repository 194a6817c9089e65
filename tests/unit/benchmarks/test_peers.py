"""The peers: found or named as missing, as strict as the table says, and a failing one is no result."""

import json
import os

import pytest

from benchmarks import contestants, peers
from benchmarks.common import UnavailableError

KINDS = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
LOOK = ["/bin/sh", "-c", "cd /proc/self/ns; for kind in user mnt pid net ipc uts cgroup; do readlink $kind; done"]


def program(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_peers_that_are_missing_are_named(stage, monkeypatch):
    monkeypatch.setattr(peers.shutil, "which", lambda name: f"/usr/bin/{name}" if name == "bwrap" else None)
    found = contestants.all_peers(stage, ["/usr/bin/true"])
    assert [entry.name for entry in found] == ["bubblewrap", "sandlock"]
    assert [entry["name"] for entry in stage.skipped] == ["nsjail", "crun", "firejail", "isolate"]
    assert all("is not installed" in entry["why"] for entry in stage.skipped)
    assert stage.failed == []


def test_nothing_is_installed_in_place(stage):
    with pytest.raises(UnavailableError, match="--in-place"):
        stage.environments.get("sandlock")
    assert stage.times([contestants.sandlock(["/usr/bin/true"])], 1) == {}
    assert [entry["name"] for entry in stage.skipped] == ["sandlock"]


def test_versions(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "bwrap", "echo bubblewrap 0.8.0")
    program(tmp_path, "nsjail", "echo unknown option; exit 1")
    by_name = {entry.name: entry for entry in peers.PEERS}
    assert by_name["bubblewrap"].version() == "0.8.0"
    assert by_name["nsjail"].version() == ""
    with pytest.raises(UnavailableError, match="apt-get install firejail"):
        by_name["firejail"].version()


def test_the_command_comes_last(tmp_path, monkeypatch):
    for entry in peers.PEERS:
        program(tmp_path, entry.program, "true")
    monkeypatch.setenv("PATH", str(tmp_path))
    for entry in peers.PEERS:
        commands = entry.commands(["/usr/bin/env", "X=1"], str(tmp_path))
        assert all(argv[0] == f"{tmp_path}/{entry.program}" for argv in commands)
        if entry.name != "crun":
            assert [argv[-3:] for argv in commands if len(argv) > 3] == [["--", "/usr/bin/env", "X=1"]]


def test_isolate_makes_and_cleans_its_box(stage, tmp_path, monkeypatch):
    program(tmp_path, "isolate", f'echo "$*" >>{tmp_path}/log')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    entry = next(entry for entry in peers.PEERS if entry.name == "isolate")
    assert stage.times([contestants.peer(entry, stage, ["/usr/bin/true"])], 1)["isolate"][0] > 0
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[:3] == ["--init", f"{entry.options} --run -- /usr/bin/true", "--cleanup"]


def test_a_peer_that_fails_is_noted_and_the_others_go_on(stage, tmp_path):
    broken = program(tmp_path, "broken", "echo first; echo it is broken >&2; exit 3")
    entries = [contestants.program("broken", [[broken]], "broken"), contestants.plain(["/usr/bin/true"])]
    times = stage.times(entries, 2)
    assert {name: len(values) for name, values in times.items()} == {"plain process": 2}
    assert stage.failed == [{"name": "broken", "why": f"{broken}: status 3: it is broken"}]
    assert stage.skipped == []


def test_the_bundle(tmp_path):
    peers.write_bundle(str(tmp_path / "bundle"), ["/usr/bin/true"])
    with open(tmp_path / "bundle/config.json") as file:
        config = json.load(file)
    assert {entry["type"] for entry in config["linux"]["namespaces"]} == {
        "user", "mount", "pid", "network", "ipc", "uts", "cgroup",
    }  # fmt: skip
    assert not any(config["process"]["capabilities"].values())
    assert config["process"]["noNewPrivileges"] is True
    assert config["root"]["readonly"] is True
    assert config["linux"]["uidMappings"][0]["hostID"] != 0
    assert os.readlink(tmp_path / "bundle/rootfs/bin") == "usr/bin"


def own():
    return [os.readlink(f"/proc/self/ns/{kind}") for kind in KINDS]


def look(stage, entry):
    caller = stage.caller(entry.where)
    return caller.call("calls:output", call=entry.call).splitlines()


@pytest.mark.parametrize("name", ["bubblewrap", "crun"])
def test_all_namespaces_are_new(stage, need_tool, name):
    need_tool({"bubblewrap": "bwrap"}.get(name, name))
    os.chmod(stage.scratch, 0o755)
    peer = next(entry for entry in peers.PEERS if entry.name == name)
    assert look(stage, contestants.plain(LOOK))[3] == own()[3]
    try:
        found = look(stage, contestants.peer(peer, stage, LOOK))
    except UnavailableError as error:
        pytest.skip(str(error))
    assert len(found) == len(KINDS)
    assert [kind for kind, mine, theirs in zip(KINDS, own(), found, strict=True) if mine == theirs] == []
