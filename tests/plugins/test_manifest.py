"""Manifests: every problem at once with its line; grants; the intersection; the words of `jailpy plugin`."""

from __future__ import annotations

import os
import subprocess

import pytest

import jailpy
from jailpy.services.plugins import access, manifest, words

RIGHT = """\
schema = 1
name = "titles"
version = "1.0"
module = "titles"
entries = ["transform", "count"]

[asks]
read = ["/usr/share/dict"]
environment = ["LANG"]
host = ["lookup"]
memory = "64M"
cpu = "1s"
wall = 3
"""
WRONG = """\
schema = 2
nam = "titles"
module = "tit les"
command = ["node", 3]
entries = ["a", "_b"]

[asks]
read = ["relative"]
network = "all"
memory = "64 pounds"
cpu = 0
processes = true
wirte = true
"""


@pytest.fixture
def write(tmp_path):
    def write(text, folder="plugin"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / manifest.FILE).write_text(text)
        return str(tmp_path / folder)

    return write


@pytest.fixture
def profile():
    return jailpy.Profile.load("plugin")


def problems(path):
    with pytest.raises(jailpy.ManifestError) as caught:
        manifest.load(path)
    return [line.rpartition("/")[2] for line in caught.value.problems]


def test_a_manifest(write):
    found = manifest.load(write(RIGHT))
    assert (found.name, found.module, found.entries) == ("titles", "titles", ("transform", "count"))
    assert (found.asks.memory, found.asks.cpu, found.asks.wall) == (64 << 20, 1.0, 3.0)


def test_every_problem_at_once_with_its_line(write):
    found = problems(write(WRONG))
    places = {line.split(": ")[1]: line.split(":")[1] for line in found}
    assert places == {
        "schema": "1", "nam": "2", "module": "3", "command": "4", "entries": "5", "asks.read": "8", "asks.network": "9",
        "asks.memory": "10", "asks.cpu": "11", "asks.processes": "12", "asks.wirte": "13", "name": "1",
    }  # fmt: skip
    assert any("asks.wirte: unknown key: did you mean write?" in line for line in found)
    assert any("command: expected one of module, command, filter, got module and command" in line for line in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = ", "jailpy-plugin.toml: "),
        (RIGHT.replace('entries = ["transform", "count"]', ""), ":1: entries: expected the names that the plugin offers"),
        (RIGHT.replace("count", "close"), ":5: entries: close is a name of the plugin object's own"),
        (RIGHT.replace("count", "transform"), ":5: entries: expected each name once"),
        (RIGHT + '[other]\n"x\\u001b" = 1\n', ":14: other: unknown key"),
        ("x" * (2 << 20), "is over 1048576 bytes"),
    ],
)
def test_bad_manifests(write, text, said):
    (problem,) = problems(write(text))
    assert said in problem


@pytest.mark.timeout(20)
def test_a_manifest_that_is_no_file(tmp_path):
    """A plugin's folder is its own: its host must not wait for what never comes."""
    for name, make, said in (("fifo", os.mkfifo, "is no file"), ("folder", os.mkdir, "Is a directory")):
        os.mkdir(tmp_path / name)
        make(tmp_path / name / manifest.FILE)
        assert problems(str(tmp_path / name)) == [f"{manifest.FILE}: {said}"]


def test_a_folder_that_is_missing(write, tmp_path):
    (problem,) = problems(write(RIGHT.replace("\n[asks]", 'packages = "vendor"\n[asks]')))
    assert ":6: packages: there is no folder vendor beside the manifest" in problem
    assert "No such file" in problems(str(tmp_path / "nowhere"))[0]


def test_it_gets_what_it_asks_for_and_is_granted(write, profile):
    found = manifest.load(write(RIGHT))
    granted = {"read": ["/usr/share"], "host": {"lookup": len, "other": len}, "memory": "32M", "wall": "1s", "network": "none"}
    gets = access.of(found, granted, profile)
    assert (gets.read, gets.host, gets.environment) == (("/usr/share/dict",), ("lookup",), ())
    assert (gets.memory, gets.cpu, gets.wall) == (32 << 20, 1.0, 1.0)
    assert dict(gets.missing) == {"environment": "LANG", "memory": "64M, gets 32M", "wall": "3s, gets 1s"}
    bare = access.of(found, None, profile)
    assert (bare.read, bare.host, bare.write) == ((), (), "")


def test_a_link_does_not_lead_out_of_a_granted_folder(write, tmp_path, profile):
    (tmp_path / "granted").mkdir()
    (tmp_path / "granted" / "out").symlink_to("/etc")
    (tmp_path / "granted" / "in").mkdir()
    ask = [str(tmp_path / "granted" / name) for name in ("out", "in")]
    found = manifest.load(write(RIGHT.replace('["/usr/share/dict"]', str(ask).replace("'", '"'))))
    assert access.of(found, {"read": [str(tmp_path / "granted")]}, profile).read == (ask[1],)


def test_grants_are_checked_and_never_wider_than_the_profile(write, profile):
    found = manifest.load(write(RIGHT))
    with pytest.raises(jailpy.ManifestError) as caught:
        access.of(found, {"memory": "10G", "network": "host", "reed": [], "cpu": "x"}, profile)
    assert [line.split(": ")[2] for line in caught.value.problems] == ["reed", "cpu", "memory", "network"]
    assert "memory: is wider than the profile: 10G against 256M" in caught.value.problems[2]
    wide = profile.replace(memory="20G")
    assert access.of(found, {"memory": "10G"}, wide).memory == 64 << 20


def test_what_a_new_version_asks_on_top(write):
    old = manifest.load(write(RIGHT))
    new = RIGHT.replace("64M", "32M").replace('"lookup"', '"lookup", "send"').replace('cpu = "1s"\n', 'network = "host"\n')
    later = manifest.load(write(new.replace("1.0", "1.1"), "later"))
    assert words.more(old, later) == [
        "use the host's network", "call the host's function send", "use processor time without a bound of its own",
    ]  # fmt: skip
    assert words.more(old, old) == words.less(old, old) == []
    assert words.less(old, later) == ["use 64M of memory"]


def test_the_command(jailpy, write, tmp_path):
    def run(*words):
        done = subprocess.run([jailpy, "plugin", *words], capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})
        return done.returncode, done.stdout, done.stderr

    right, wrong = write(RIGHT), write(WRONG, "wrong")
    status, out, _ = run("check", right, wrong)
    assert (status, out.count("\n")) == (1, 14)
    (tmp_path / "grants.toml").write_text('read = ["/usr"]\nhost = ["lookup"]\n')
    status, out, _ = run("show", right, "--grants", str(tmp_path / "grants.toml"))
    assert status == 0
    assert "It asks to:\n  read /usr/share/dict\n" in out
    assert "  calls the host's function lookup\n" in out
    assert "It does not get:\n  environment: LANG\n" in out
    status, _, err = run("show", wrong)
    assert (status, err.count("\n")) == (1, 13)
    later = write(RIGHT.replace('"lookup"', '"lookup", "send"').replace("1.0", "1.1"), "later")
    assert run("diff", right, later) == (1, "titles 1.1 asks, on top of titles 1.0, to:\n  call the host's function send\n", "")
    assert run("diff", right, right)[0] == 0
