"""The collector against every trick of ATTACKS.md C1 to C8 and C10, each beside a file that it does take."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
import types

import pytest

from jailpy import collector
from jailpy.errors import UsageError

SECRET = "content of the host"


@pytest.fixture
def place(tmp_path):
    """A work folder of the payload, and a folder of the caller with a secret beside it."""
    work, out = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    out.mkdir()
    (tmp_path / "secret").write_text(SECRET)
    (work / "good").write_text("good")
    return types.SimpleNamespace(work=work, out=out, secret=tmp_path / "secret", top=tmp_path)


def limits(file_size=1 << 20, disk=1 << 20, inodes=100):
    return types.SimpleNamespace(file_size=file_size, disk=disk, inodes=inodes)


def collect(place, *names, views=(), **bounds):
    """Collect names of the work folder to the same names in `out`; return the entries by name."""
    wanted = [name if isinstance(name, tuple) else (name, f"{place.out}/{name.replace('/', '_')}") for name in names]
    orders = collector.order(tuple(wanted))
    opened = [("", os.open(place.work, os.O_PATH | os.O_DIRECTORY)), *views]
    try:
        entries = collector.collect(opened, orders, limits(**bounds))
    finally:
        collector.close(orders)
        os.close(opened[0][1])
    assert not list(place.out.rglob(".jailpy-*"))
    return {entry["name"]: entry for entry in entries}


def refused(place, name, **bounds):
    """Collect one bad name beside the good one, which is the positive control; return the reason."""
    entries = collect(place, name, "good", **bounds)
    assert entries["good"] == {
        "name": "good", "destination": f"{place.out}/good", "bytes": 4, "refused": None, "warning": None,
    }  # fmt: skip
    assert (place.out / "good").read_text() == "good"
    assert not os.path.lexists(place.out / name.replace("/", "_"))
    assert entries[name]["bytes"] is None
    return entries[name]["refused"]


def test_a_folder_in_a_files_place_replaces_nothing_of_the_callers(place):
    """The payload makes a folder of what is wanted, and names what is in it like files of DEST."""
    (place.work / "result.txt").mkdir()
    (place.work / "result.txt" / "Makefile").write_text("all:; evil\n")
    (place.out / "Makefile").write_text("all:\n")
    entries = collect(place, ("result.txt", str(place.out)))
    assert entries["result.txt"]["refused"] == "a folder, and DEST holds other files: NAME/ has its files go among them"
    assert (place.out / "Makefile").read_text() == "all:\n"
    for name in ("result.txt/", "result.txt/.", "./result.txt//"):
        (place.out / "Makefile").write_text("all:\n")
        assert [entry["refused"] for entry in collect(place, (name, f"{place.out}/")).values()] == [None], "the control"
        assert (place.out / "Makefile").read_text() == "all:; evil\n"


@pytest.mark.parametrize(("destination", "left"), [("out", ()), ("out/tree", ("tree/kept",)), ("out/new", ())])
def test_a_folder_goes_into_one_that_is_new_empty_or_has_its_name(place, destination, left):
    (place.work / "tree").mkdir()
    (place.work / "tree" / "file").write_text("1")
    for name in left:
        (place.out / name).parent.mkdir(exist_ok=True)
        (place.out / name).write_text("kept")
    entries = collect(place, ("tree", f"{place.top}/{destination}"))
    assert {name: entry["refused"] for name, entry in entries.items()} == {"tree/file": None}
    assert (place.top / destination / "file").read_text() == "1"
    assert all((place.out / name).read_text() == "kept" for name in left)


def test_a_file_is_copied_with_the_mode_of_the_caller(place):
    (place.work / "tool").write_text("#!/bin/sh\n")
    (place.work / "tool").chmod(0o4711)
    previous = os.umask(0o027)
    try:
        entries = collect(place, "good", "tool")
    finally:
        os.umask(previous)
    assert [entry["refused"] for entry in entries.values()] == [None, None]
    assert stat.S_IMODE((place.out / "good").stat().st_mode) == 0o640
    assert stat.S_IMODE((place.out / "tool").stat().st_mode) == 0o750
    assert (place.out / "tool").stat().st_uid == os.geteuid()


def test_c1_a_planted_link(place):
    (place.work / "link").symlink_to(place.secret)
    assert (place.work / "link").read_text() == SECRET  # what a naive collector would read
    assert refused(place, "link") == "symlink"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_c2_a_link_at_the_destination_is_never_written_through(place, kind):
    target = place.top / "victim"
    if kind == "file":
        target.write_text("untouched")
        (place.out / "good").symlink_to(target)
        assert collect(place, "good")["good"]["refused"] is None
        assert not (place.out / "good").is_symlink()
        assert target.read_text() == "untouched"
    else:
        target.mkdir()
        (place.work / "folder").mkdir()
        (place.work / "folder" / "f").write_text("x")
        (place.out / "folder").symlink_to(target)
        assert "a link or a file" in collect(place, "folder")["folder"]["refused"]
        assert list(target.iterdir()) == []


def test_c2_a_link_below_the_destination(place):
    """The second collection into one folder meets a link where the first made a folder."""
    victim = place.top / "victim"
    victim.mkdir()
    (place.work / "folder" / "below").mkdir(parents=True)
    (place.work / "folder" / "below" / "f").write_text("x")
    assert collect(place, "folder")["folder/below/f"]["refused"] is None
    (place.out / "folder" / "below" / "f").unlink()
    (place.out / "folder" / "below").rmdir()
    (place.out / "folder" / "below").symlink_to(victim)
    assert "a link or a file" in collect(place, "folder")["folder/below"]["refused"]
    assert list(victim.iterdir()) == []


def test_c2_the_folder_of_the_destination_is_the_one_from_before_the_run(place):
    """A run with a writable folder of the host may turn DEST's folder into a link: the order was opened before."""
    (place.out / "results").mkdir()
    victim = place.top / "victim"
    victim.mkdir()
    orders = collector.order((("good", f"{place.out}/results/good"),))
    (place.out / "results").rename(place.out / "moved")
    (place.out / "results").symlink_to(victim)
    view = os.open(place.work, os.O_PATH | os.O_DIRECTORY)
    entries = collector.collect([("", view)], orders, limits())
    collector.close(orders)
    os.close(view)
    assert entries[0]["refused"] is None
    assert list(victim.iterdir()) == []
    assert (place.out / "moved" / "good").read_text() == "good"


@pytest.mark.parametrize("what", ["file", "folder"])
def test_c3_swaps_while_collecting(place, what):
    """A thread swaps a file (or a folder on the way) with a link to the secret: its content never comes out."""
    name = "swap" if what == "file" else "way/f"
    link = place.work / "link"
    link.symlink_to(place.secret if what == "file" else place.top / "host")
    (place.top / "host").mkdir()
    (place.top / "host" / "f").write_text(SECRET)
    swapped = place.work / name.split("/", maxsplit=1)[0]
    if what == "file":
        swapped.write_text("honest")
    else:
        swapped.mkdir()
        (swapped / "f").write_text("honest")
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            os.rename(swapped, place.work / "aside")
            os.rename(link, swapped)
            os.rename(swapped, link)
            os.rename(place.work / "aside", swapped)

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        until = time.monotonic() + 2
        while time.monotonic() < until:
            reason = collect(place, name)[name]["refused"]
            seen.add(reason)
            copy = place.out / name.replace("/", "_")
            if reason is None:
                assert copy.read_text() == "honest"
                copy.unlink()
    finally:
        stop.set()
        thread.join()
    assert None in seen
    assert "symlink" in seen
    assert seen <= {None, "symlink", "not there"}


@pytest.mark.parametrize("name", ["way/secret", "way/../secret", "./way/secret"])
def test_c4_a_linked_folder_on_the_way(place, name):
    (place.work / "way").symlink_to(place.top)
    assert (place.work / "way" / "secret").read_text() == SECRET
    assert refused(place, name) == "symlink"


def test_c4_dots_and_magic_links(place):
    assert (place.work / "../secret").read_text() == SECRET
    assert refused(place, "../secret") == "shown from the host, or a mount of its own"
    (place.work / "magic").symlink_to("/proc/self/root")
    assert refused(place, "magic/etc/passwd") == "symlink"


def test_c5_hard_links(place):
    os.link(place.secret, place.work / "hard")
    assert refused(place, "hard") == "hard link"


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_c6_nothing_hangs_the_collector(place, kind):
    path = str(place.work / kind)
    if kind == "fifo":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
    began = time.monotonic()
    assert refused(place, kind) == kind
    assert time.monotonic() - began < 0.1


@pytest.mark.root
def test_c6_a_device(place):
    os.mknod(place.work / "device", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert refused(place, "device") == "device"


def test_c7_an_apparent_size_is_a_size(place):
    with open(place.work / "sparse", "wb") as file:
        file.truncate(1 << 40)
    assert (place.work / "sparse").stat().st_blocks < 16
    assert refused(place, "sparse") == f"too large: {1 << 40} bytes where {1 << 20} are allowed"
    assert refused(place, "sparse", file_size=None).startswith("too large")


def test_c7_bytes_are_bounded_in_all(place):
    for number in range(4):
        (place.work / f"f{number}").write_bytes(bytes(300_000))
    entries = collect(place, *(f"f{number}" for number in range(4)))
    assert [entry["refused"] for entry in entries.values()] == [None] * 3 + ["too much in all: the bound is limits.disk"]
    assert sum(file.stat().st_size for file in place.out.iterdir()) == 900_000


def test_c7_a_file_that_grows_is_not_read_beyond_its_bound(place):
    """fstat(2) said little, then much comes: the copy is thrown away."""
    with open(place.work / "grows", "wb") as file:
        file.truncate(10)
    view = os.open(place.work / "grows", os.O_RDONLY)
    os.truncate(place.work / "grows", 1000)
    into = os.open(place.out, os.O_RDONLY)
    with pytest.raises(collector._RefusedError, match="grew"):
        collector._write(view, into, "grows", 0o644, 100)
    os.lseek(view, 0, os.SEEK_SET)
    assert collector._write(view, into, "grows", 0o644, 1000) == 1000
    os.close(view)
    os.close(into)
    assert [path.name for path in place.out.iterdir()] == ["grows"]


def test_c8_too_many_files(place):
    (place.work / "many").mkdir()
    for number in range(30):
        (place.work / "many" / f"{number:02}").touch()
    entries = collect(place, "many", inodes=10)
    assert entries["many/..."]["refused"] == "too many files"
    assert len(list((place.out / "many").iterdir())) == 10
    assert len([entry for entry in collect(place, "many", inodes=30).values() if entry["refused"] is None]) == 30


def test_c8_too_deep(place):
    deep = place.work / "deep"
    for _ in range(collector.DEEPEST + 5):
        deep.mkdir()
        (deep / "f").touch()
        deep /= "d"
    reasons = [entry["refused"] for entry in collect(place, "deep").values()]
    assert reasons.count(None) == collector.DEEPEST
    assert [reason for reason in reasons if reason] == [f"more than {collector.DEEPEST} folders deep"]


def test_c8_odd_names(place):
    odd = place.work / "odd"
    odd.mkdir()
    names = [b"\xff\xfe", b"new\nline", b"-rf", b"a b", b"\x1b]0;title\x07", b"n" * 255]
    for name in names:
        with open(os.path.join(os.fsencode(odd), name), "wb") as file:
            file.write(name)
    entries = collect(place, "odd")
    assert len(entries) == len(names)
    assert all(entry["refused"] is None for entry in entries.values())
    assert "odd/\\xff\\xfe" in entries
    assert "odd/new\\nline" in entries
    assert "odd/\\x1b]0;title\\x07" in entries
    assert sorted(os.listdir(os.fsencode(place.out / "odd"))) == sorted(names)


@pytest.mark.parametrize(
    "name",
    [".git/hooks/pre-commit", ".bashrc", "pkg/conftest.py", "sitecustomize.py", "x.pth", ".vscode/tasks.json", "CLAUDE.md"],
)
def test_c10_names_that_the_host_obeys_are_told(place, name):
    path = place.work / "tree" / name
    path.parent.mkdir(parents=True)
    path.write_text("echo bad")
    (place.work / "tree" / "plain.py").write_text("harmless")
    entries = collect(place, "tree")
    assert entries[f"tree/{name}"]["refused"] is None
    assert "execute or obey" in entries[f"tree/{name}"]["warning"]
    assert entries["tree/plain.py"]["warning"] is None


def test_a_folder_takes_regular_files_only(place):
    tree = place.work / "tree"
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "sub" / "f").write_text("f")
    (tree / "link").symlink_to("/etc/passwd")
    os.mkfifo(tree / "fifo")
    entries = collect(place, "tree")
    assert {name: entry["refused"] for name, entry in entries.items()} == {
        "tree/fifo": "fifo", "tree/link": "symlink", "tree/sub/f": None,
    }  # fmt: skip
    found = sorted(str(path.relative_to(place.out)) for path in place.out.rglob("*"))
    assert found == ["tree", "tree/sub", "tree/sub/empty", "tree/sub/f"]


def test_missing_and_empty_names(place):
    assert refused(place, "nothing") == "not there"
    assert refused(place, "good/below") == "not there"


def test_a_name_is_looked_for_in_the_innermost_view(place):
    inner = place.top / "inner"
    (inner / "d").mkdir(parents=True)
    (inner / "f").write_text("of the inner view")
    (place.work / "proj").mkdir()
    (place.work / "projector").write_text("of the outer view")
    view = os.open(inner, os.O_PATH | os.O_DIRECTORY)
    entries = collect(place, "proj/f", "./proj//f", "projector", ("proj", f"{place.out}/all"), views=[("proj", view)])
    os.close(view)
    assert {name: entry["refused"] for name, entry in entries.items()} == {"proj/f": None, "./proj//f": None, "projector": None}
    assert (place.out / "proj_f").read_text() == "of the inner view"
    assert (place.out / "projector").read_text() == "of the outer view"
    assert sorted(path.name for path in (place.out / "all").iterdir()) == ["d", "f"]


def test_an_existing_folder_receives_the_file(place):
    assert collect(place, ("good", f"{place.out}/"))["good"]["destination"] == f"{place.out}/good"
    assert (place.out / "good").read_text() == "good"


def test_an_existing_file_is_replaced_whole(place):
    (place.out / "good").write_text("older and longer")
    with open(place.out / "good", encoding="utf-8") as old:
        assert collect(place, "good")["good"]["refused"] is None
        assert old.read() == "older and longer"
    assert (place.out / "good").read_text() == "good"


def test_a_file_over_a_folder_is_refused(place):
    (place.work / "d").mkdir()
    (place.work / "d" / "x").write_text("file")
    (place.out / "d" / "x").mkdir(parents=True)
    assert "cannot be written" in collect(place, "d")["d/x"]["refused"]


def test_without_anonymous_files_a_private_name_is_used(place, monkeypatch):
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)  # what a filesystem without O_TMPFILE makes of it: EISDIR
    assert collect(place, "good")["good"]["refused"] is None
    assert (place.out / "good").read_text() == "good"


@pytest.mark.parametrize("anonymous", [True, False])
def test_nothing_is_left_where_writing_fails(place, monkeypatch, anonymous):
    if not anonymous:
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "sendfile", full)
    assert collect(place, "good")["good"]["refused"] == "cannot be written: No space left on device"
    assert list(place.out.iterdir()) == []


def test_destinations_are_checked_before_the_run(place):
    with pytest.raises(UsageError, match="No such file"):
        collector.order((("good", f"{place.out}/no/good"),))
    with pytest.raises(UsageError, match="Not a directory"):
        collector.order((("good", f"{place.secret}/good"),))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told_before_the_run(place):
    place.out.chmod(0o555)
    with pytest.raises(UsageError, match="may not be written"):
        collector.order((("good", f"{place.out}/good"),))


def test_no_descriptor_is_left(place):
    (place.work / "tree" / "sub").mkdir(parents=True)
    (place.work / "tree" / "sub" / "f").write_text("f")
    (place.work / "tree" / "link").symlink_to("f")
    before = len(os.listdir("/proc/self/fd"))
    collect(place, "good", "tree", "missing", "tree/link")
    assert len(os.listdir("/proc/self/fd")) == before
