"""--get on the live command line: what comes out of a real run, and what does not."""

from __future__ import annotations

import json
import os
import resource
import shutil
import stat
import subprocess
import sys

import pytest

import jailpy as package
from tests.core import PATIENCE, PYTHON, execute
from tests.kernel.test_filesystem import read, refusal

SECRET = "content of the host\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "f").write_text("shown\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sh(jailpy):
    return lambda script, *options: execute(jailpy, *options, "--", "/bin/sh", "-c", script)


def entries(done):
    return {entry["name"]: entry for entry in done.report["collected"]}


def test_a_file_and_a_folder(sh, here):
    script = "echo result > out.txt; mkdir -p d/e; echo deep > d/e/f; printf '#!/bin/sh\\n' > d/tool; chmod 755 d/tool; exit 3"
    done = sh(script, "--get", "out.txt:o", "--get", "d:taken")
    assert (done.status, done.verdict) == (3, "nonzero_exit")
    assert read(here / "o") == b"result\n"
    assert read(here / "taken" / "e" / "f") == b"deep\n"
    assert stat.S_IMODE(os.stat(here / "taken" / "tool").st_mode) & 0o111
    assert not stat.S_IMODE(os.stat(here / "o").st_mode) & 0o111
    assert (os.stat(here / "o").st_uid, os.stat(here / "taken" / "e").st_uid) == (os.geteuid(), os.geteuid())
    assert entries(done)["d/e/f"] == {
        "name": "d/e/f", "destination": "taken/e/f", "bytes": 5, "refused": None, "warning": None,
    }  # fmt: skip


def test_what_is_refused_is_said_and_the_status_stays_the_payloads(sh, here):
    script = """
        echo good > good; ln -s /etc/passwd link; ln -s / way; mkfifo fifo; echo x > x; ln x hard; truncate -s 60M big
    """
    names = ["good", "link", "way/etc/passwd", "fifo", "hard", "big", "none"]
    done = sh(
        script, *(word for name in names for word in ("--get", f"{name}:{name.replace('/', '_')}")), "--disk", "32M", "-q"
    )
    assert done.status == 0
    assert {name: entry["refused"] for name, entry in entries(done).items()} == {
        "good": None, "link": "symlink", "way/etc/passwd": "symlink", "fifo": "fifo", "hard": "hard link",
        "big": f"too large: {60 << 20} bytes where {32 << 20} are allowed", "none": "not there",
    }  # fmt: skip
    assert sorted(os.listdir(here)) == ["data", "good", "secret"]
    assert b"jailpy: --get link: refused: symlink\n" in done.err
    assert done.err.count(b"refused") == len(names) - 1


TOWER = """
import os
name, count = b"\\x01" * 255, 0
os.mkdir("out")
os.chdir("out")
for _ in range(30):
    os.mkdir(name)
    os.chdir(name)
try:
    while True:
        os.close(os.open(b"%05d" % count + b"\\x01" * 250, os.O_CREAT | os.O_WRONLY))
        count += 1
except OSError:
    print(count)
"""


def test_names_that_would_fill_the_report(here, jailpy):
    """16,000 files, each with a path of 8,000 bytes that no text has: 1.3 GB of JSON if all of it were said."""
    (here / "tower.py").write_text(TOWER)
    done = execute(jailpy, "--ro", "tower.py", "--get", "out:out", "--wall", "60s", "-q", "--", PYTHON, "tower.py")
    assert done.verdict == "ok"
    assert int(done.out) > 10_000, "control: the names were there"
    said = sum(len(entry["name"]) + len(entry["destination"]) for entry in done.report["collected"])
    assert 8 << 20 < said < 16 << 20
    assert done.report["collected"][-1]["refused"] == "names too long in all"
    taken = [entry for entry in done.report["collected"] if entry["refused"] is None]
    assert len(taken) > 50
    assert sum(len(files) for _, _, files, _ in os.fwalk(here / "out")) == len(taken)


def test_nothing_of_the_host_comes_out_by_a_mount_point(sh, here):
    done = sh("echo own > own", "--ro", "data", "--ro", "secret", "--get", ".:all", "--get", "data/f:f", "--get", "secret:s")
    assert {name: bool(entry["refused"]) for name, entry in entries(done).items()} == {
        "./data": True, "./secret": True, "./own": False, "data/f": True, "secret": True,
    }  # fmt: skip
    assert os.listdir(here / "all") == ["own"]
    assert not (here / "f").exists()


@pytest.mark.parametrize("option", ["--cow", "--put"])
def test_results_of_a_copy_come_out(sh, here, option):
    done = sh("echo changed > data/f; echo new > data/new", option, "data", "--get", "data/f:f", "--get", "data:all")
    assert read(here / "f") == b"changed\n"
    assert sorted(os.listdir(here / "all")) == ["f", "new"]
    assert all(entry["refused"] is None for entry in entries(done).values())
    assert read(here / "data" / "f") == b"shown\n"


def test_results_of_other_private_places(sh, here):
    sh("echo t > t/x; echo w > w", "--tmpfs", "/work/t:1M", "--get", "t/x:t", "--get", "w:w")
    assert (read(here / "t"), read(here / "w")) == (b"t\n", b"w\n")
    sh("echo deep > x", "--workdir", "/tmp/a/b", "--get", "x:deep")
    assert read(here / "deep") == b"deep\n"
    sh("echo c > f; echo n > n", "--cow", "data:/work", "--get", "f:c", "--get", "n:n")
    assert (read(here / "c"), read(here / "n")) == (b"c\n", b"n\n")


@pytest.mark.parametrize(
    ("script", "options", "verdict"),
    [
        ("echo part > x; sleep 9", ("--wall", "0.5"), "wall_limit"),
        ("echo part > x; kill -9 $$", (), "signaled"),
        ("echo part > x; yes", ("--output", "1K"), "output_limit"),
    ],
)
def test_what_a_run_that_was_ended_left_is_collected(sh, here, script, options, verdict):
    done = sh(script, "--get", "x:x", *options)
    assert done.verdict == verdict
    assert read(here / "x") == b"part\n"


def test_links_that_the_payload_plants_in_a_writable_folder_of_the_host(sh, here):
    """C2: DEST lies in a folder that the payload may write: it turns the folders on the way, and DEST, into links."""
    (here / "shared" / "results").mkdir(parents=True)
    (here / "victim").mkdir()
    script = f"""
        echo mine > r; mv shared/results shared/old; ln -s {here}/victim shared/results
        ln -s {here}/secret shared/direct
    """
    done = sh(script, "--rw", "shared", "--get", "r:shared/results/r", "--get", "r:shared/direct")
    assert [entry["refused"] for entry in done.report["collected"]] == [None, None]
    assert os.listdir(here / "victim") == []
    assert (here / "secret").read_text() == SECRET
    assert read(here / "shared" / "old" / "r") == b"mine\n"
    assert not (here / "shared" / "direct").is_symlink()


def test_nothing_is_written_into_jailpys_own_folders(here, jailpy):
    """A payload names the files of a folder, and DEST is the folder around them: JailPy imports from there later."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(package.__file__)))
    shutil.copytree(f"{root}/jailpy", here / "jailpy")
    environment = {
        **os.environ,
        "PYTHONPATH": str(here),
        "XDG_CONFIG_HOME": f"{here}/config",
        "XDG_CACHE_HOME": f"{here}/cache",
    }
    places = ["jailpy/cli", "config/jailpy/profiles", "cache/jailpy", "other/jailpy"]
    script = (
        "for place in "
        + " ".join(places)
        + "; do mkdir -p out.txt/$place; echo 'raise SystemExit(77)' >out.txt/$place/unshown.py; done; exit 3"
    )
    command = [
        sys.executable,
        "-P",
        "-m",
        "jailpy",
        "exec",
        "--report",
        "r.json",
        "--get",
        "out.txt/:.",
        "--",
        "sh",
        "-c",
        script,
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    collected = json.loads(read(here / "r.json"))["collected"]
    assert {entry["name"]: entry["refused"] for entry in collected} == {
        "out.txt/jailpy": "JailPy's own folder", "out.txt/config": "JailPy's own folder", "out.txt/cache/jailpy": "JailPy's own folder",
        "out.txt/other/jailpy/unshown.py": None,
    }  # fmt: skip
    assert done.returncode == 3
    shutil.copy(here / "other" / "jailpy" / "unshown.py", here / "jailpy" / "cli" / "unshown.py")
    assert subprocess.run(command, env=environment, capture_output=True, timeout=60).returncode == 77, "it would be imported"


def test_names_that_the_host_obeys_are_told(sh, here):
    done = sh("mkdir -p t/.git/hooks; touch t/.git/hooks/post-checkout t/conftest.py t/plain", "--get", "t:t")
    warned = {name for name, entry in entries(done).items() if entry["warning"]}
    assert warned == {"t/.git/hooks/post-checkout", "t/conftest.py"}
    assert done.err.count(b"warning: --get") == 2
    assert b"warning" not in sh("touch conftest.py", "--get", "conftest.py:x", "-q").err


BOMB = """
import os, sys
os.mkdir("b"); os.chdir("b")
kind = sys.argv[1]
try:
    for number in range(20000):
        if kind == "deep":
            os.mkdir("d" * 200); os.chdir("d" * 200)
        else:
            os.close(os.open(os.fsencode(f"{number}") + b"\\xff\\n" * 80, os.O_CREAT))
except OSError as error:
    print(error.errno)
"""


@pytest.mark.parametrize("kind", ["deep", "many"])
def test_c8_bombs_of_files_and_folders_end_in_time(jailpy, here, kind):
    done = execute(
        jailpy,
        "--set",
        "limits.inodes=3000",
        "--cpu",
        "60",
        "--wall",
        "60",
        "--get",
        "b:b",
        "--",
        PYTHON,
        "-I",
        "-c",
        BOMB,
        kind,
    )
    assert done.out == b"28\n"
    assert done.seconds < 20 * PATIENCE
    found = done.report["collected"]
    assert len(found) <= 3001
    if kind == "deep":
        assert [entry["refused"] for entry in found] == ["more than 32 folders deep"]
    else:
        assert len(os.listdir(os.fsencode(here / "b"))) == len([entry for entry in found if entry["refused"] is None]) > 2900


def test_c7_a_sparse_file_of_an_exbibyte(sh, here):
    done = sh("truncate -s 1E x && ls -l x | wc -l", "--set", "limits.file_size=off", "--get", "x:x")
    assert done.out == b"1\n"
    assert entries(done)["x"]["refused"].startswith("too large: 1152921504606846976 bytes")
    assert not (here / "x").exists()


def test_destinations_are_looked_at_before_the_run(sh, here):
    refusal(sh("echo ran > x", "--get", "x:none/x"), "--get x:none/x", "No such file")
    refusal(sh("true", "--get", "x"), "expected NAME:DEST")
    refusal(sh("true", "--get", "/etc/passwd:x"), "NAME is a path below the work folder")
    assert sorted(os.listdir(here)) == ["data", "secret"]


def test_a_copy_that_cannot_be_written_is_said_and_leaves_nothing(sh, here):
    """As on a full disk: here the launcher may write no large file (it inherits RLIMIT_FSIZE, the payload has its own)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        done = sh("head -c 2000000 /dev/zero > x; echo small > y", "--get", "x:x", "--get", "y:y")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {name: entry["refused"] for name, entry in entries(done).items()} == {
        "x": "cannot be written: File too large", "y": None,
    }  # fmt: skip
    assert sorted(os.listdir(here)) == ["data", "secret", "y"]
