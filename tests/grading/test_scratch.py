"""Folders of gradings: none stays, those of killed ones neither, and nobody's else is touched."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading

import pytest

from jailpy.services.grading import scratch
from jailpy.services.grading.scratch import Scratch

HOLD = "import sys\nfrom jailpy.services.grading.scratch import Scratch\nprint(Scratch().path, flush=True)\nsys.stdin.read()\n"
GRADE = """
import sys
from jailpy import grading
judge = grading.Judge(grading.Problem.load(sys.argv[1]), grading.Options(jobs=1))
print(judge.slots._all[0].folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Where such folders are made, here and in what the test starts."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", os.fspath(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def start():
    """Start a program that holds a folder; return the process and the path that it says."""
    started = []

    def hold(text=HOLD, *words):
        process = subprocess.Popen(
            [sys.executable, "-c", text, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def kill(process):
    process.kill()
    process.wait()


def test_it_is_private_and_removed(place):
    made = Scratch()
    assert os.stat(made.path).st_mode & 0o777 == 0o700
    os.mkdir(os.path.join(made.path, "folder"))
    made.close()
    made.close()
    assert os.listdir(place) == []


def test_what_a_killed_grading_left_is_removed_and_a_live_one_kept(place, start, tmp_path):
    (dead, left), (_, kept) = start(), start()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    for path in (left, kept):
        os.mkdir(os.path.join(path, "folder"))
        for target in ("folder/link", "link"):
            os.symlink(outside, os.path.join(path, target))
        os.symlink(outside / "file", os.path.join(path, "folder", "file"))
        with open(os.path.join(path, "data"), "w") as file:
            file.write("answers")
    scratch.remove_left()
    assert os.path.exists(left), "it lived"
    kill(dead)
    made = Scratch()
    assert not os.path.exists(left)
    assert sorted(os.listdir(kept)) == ["data", "folder", "link"]
    assert (outside / "file").read_text() == "mine"
    made.close()


def test_a_judge_that_was_killed_is_cleaned_up_after_by_the_next(place, start, sums, judge_of):
    process, folder = start(GRADE, os.fspath(sums))
    assert os.path.isdir(folder)
    kill(process)
    judge = judge_of(sums)
    assert not os.path.exists(os.path.dirname(folder))
    judge.close()
    assert os.listdir(place) == []


@pytest.mark.parametrize("kind", ["link", "file", "open to others", "another name"])
def test_what_was_not_made_so_is_not_touched(place, tmp_path, kind):
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    (target / "file").write_text("mine")
    path = place / ("jailpy-gradings" if kind == "another name" else "jailpy-grading-x")
    if kind == "link":
        path.symlink_to(target)
    elif kind == "file":
        path.write_text("mine")
    else:
        path.mkdir(mode=0o755 if kind == "open to others" else 0o700)
        (path / "file").write_text("mine")
    scratch.remove_left()
    assert os.path.lexists(path)
    assert (target / "file").read_text() == "mine"


def test_one_that_was_made_so_is_removed(place):
    """The control of the test above."""
    path = place / "jailpy-grading-x"
    path.mkdir(mode=0o700)
    (path / "file").write_text("left")
    scratch.remove_left()
    assert os.listdir(place) == []


@pytest.mark.root
def test_what_another_user_owns_is_not_touched(place):
    path = place / "jailpy-grading-x"
    path.mkdir(mode=0o700)
    os.chown(path, 1000, 1000)
    scratch.remove_left()
    assert path.exists()


def test_starting_and_removing_at_once_takes_no_folder_from_anybody(place):
    """A folder that was made and is not locked yet looks like one that was left."""
    lost = []

    def often():
        for _ in range(100):
            made = Scratch()
            lost.extend([] if os.path.isdir(made.path) else [made.path])
            made.close()

    threads = [threading.Thread(target=often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []
    assert os.listdir(place) == []
