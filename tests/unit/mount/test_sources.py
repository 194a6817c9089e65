"""Where sources come from and where they go in the jail: everything that is refused before the plan, in one line."""

from __future__ import annotations

import os
import socket

import pytest

from jailpy.errors import UsageError
from jailpy.host import sources
from jailpy.host.facts import Entry
from jailpy.host.sources import Place, Source


@pytest.fixture
def here(tmp_path):
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "f").write_text("x")
    (tmp_path / "one.txt").write_text("1")
    return tmp_path


def look(here, source, destination="", mode="ro", workdir="/work", hidden=()):
    return sources.look(mode, source, destination, workdir, str(here), hidden)


@pytest.mark.parametrize(
    ("source", "mode", "where"),
    [
        ("one.txt", "ro", "/work/one.txt"),
        ("data/", "ro", "/work/data"),
        ("./data/.", "cow", "/work/data"),
        ("data/sub/..", "rw", "/work/data"),
        ("{here}/data", "ro", "{here}/data"),
        ("{here}/data/../one.txt", "rw", "{here}/one.txt"),
        ("{here}/data", "put", "/work/data"),
        (".", "ro", "/work/{name}"),
    ],
)
def test_default_destinations(here, source, mode, where):
    found = look(here, source.format(here=here), mode=mode)
    assert found.destination == where.format(here=here, name=here.name)
    assert os.path.isabs(found.path)
    assert "//" not in look(here, "one.txt", workdir="/").destination


def test_a_source_has_a_kind_and_an_owner(here):
    assert look(here, "data").kind == "folder"
    assert look(here, "one.txt").kind == "file"
    assert look(here, "one.txt").owner == (os.geteuid(), os.stat(here / "one.txt").st_gid)


def test_sources_that_are_refused(here):
    (here / "link").symlink_to("data")
    (here / "dangling").symlink_to("nothing")
    os.mkfifo(here / "fifo")
    for name, words in [
        ("link", "is a symbolic link"), ("dangling", "is a symbolic link"), ("fifo", "neither a file nor a folder"),
        ("nothing", "No such file"), ("one.txt/x", "Not a directory"), ("/dev/null", "neither a file nor a folder"),
    ]:  # fmt: skip
        with pytest.raises(UsageError, match=words):
            look(here, name)
    assert look(here, "link/").path == str(here / "data")  # a slash says that the folder is meant


@pytest.mark.parametrize(
    "place", ["/", "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/proc/sys", "/sys/fs", "/dev/shm"]
)
def test_places_that_are_never_shown(here, place):
    if not os.path.isdir(place):
        pytest.skip(f"{place} is not there")
    with pytest.raises(UsageError, match=r"is never shown whole|nothing below /\w+ is shown|is a symbolic link"):
        look(here, place)


def test_the_runtime_folder_is_never_shown(here, monkeypatch):
    (here / "runtime" / "inside").mkdir(parents=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(here / "runtime"))
    with pytest.raises(UsageError, match="never shown whole"):
        look(here, "runtime")
    assert look(here, "runtime/inside").kind == "folder"


def test_a_folder_with_a_socket_is_refused(here):
    assert look(here, "data").kind == "folder"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(here / "data" / "s"))
        with pytest.raises(UsageError, match="holds the socket s"):
            look(here, "data")
        assert look(here, "data", mode="put").kind == "folder"  # sockets are not copied


def test_jailpys_own_folders_are_never_shown(here):
    hidden = (str(here / "data"),)
    for name in ("data", "data/f", "data/sub"):
        with pytest.raises(UsageError, match="JailPy's own folder"):
            look(here, name, hidden=hidden)
    assert look(here, ".", hidden=hidden).kind == "folder"  # shown, with the folder masked: see test_plan


def test_files_that_a_copy_cannot_change_are_named(here, monkeypatch):
    assert look(here, "data", mode="cow").foreign == ""
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 7)
    assert look(here, "data", mode="cow").foreign.endswith("another owner or group: ., f, sub")
    assert look(here, "data", mode="ro").foreign == ""


@pytest.mark.root
def test_foreign_files_of_a_folder_shown_by_root(here):
    for number in range(5):
        (here / "data" / f"o{number}").touch()
        os.chown(here / "data" / f"o{number}", 4711, 4711)
    assert look(here, "data", mode="cow").foreign.endswith(" and 2 more")


def source(mode, destination, kind="folder", path="/host/x"):
    return Source(mode, path, destination, kind, (0, 0))


def check(*shown, private=("/tmp", "/work"), workdir="/work", taken=()):
    sources.check(tuple(shown), tuple(private), workdir, list(taken))


SYSTEM = sources.system_places(
    (
        Entry("/usr", "folder"),
        Entry("/bin", "link", "usr/bin"),
        Entry("/etc/hosts.x", "file"),
        Entry("/etc/ssl/certs", "folder"),
    )
)


@pytest.mark.parametrize(
    "destination",
    ["/work/x", "/work/deep/er", "/x", "/opt/x", "/usr/lib", "/usr", "/bin", "/etc", "/etc/passwd", "/etc/hosts.x"],
)
def test_destinations_that_are_taken(destination):
    check(source("ro", destination), taken=SYSTEM)


@pytest.mark.parametrize(
    ("destination", "words"),
    [
        ("/", "JailPy's own place"),
        ("/proc", "JailPy's own place"),
        ("/proc/self", "JailPy's own place"),
        ("/dev/null", "JailPy's own place"),
        ("/usr/no such folder", "has no folder to cover"),
        ("/usr/bin/env", "has no folder to cover"),
        ("/bin/env", "is a link to usr/bin"),
        ("/etc/hosts.x/y", "which is a file"),
        ("/tmp", "is taken by --ro /host/x"),
    ],
)
def test_destinations_that_are_refused(destination, words, monkeypatch):
    monkeypatch.setattr(os, "readlink", lambda path: "usr/bin")
    with pytest.raises(UsageError, match=words):
        check(source("ro", destination), taken=SYSTEM)


def test_a_destination_inside_a_shown_folder_must_be_there(here):
    outer = source("ro", "/work/data", path=str(here / "data"))
    check(outer, source("ro", "/work/data/sub"))
    check(outer, source("ro", "/work/data/f", kind="file"))
    for place, kind in (("no", "folder"), ("sub", "file"), ("f", "folder"), ("sub/no", "folder")):
        with pytest.raises(UsageError, match="to cover there"):
            check(outer, source("ro", f"/work/data/{place}", kind=kind))


def test_a_link_inside_a_shown_folder_is_no_destination(here):
    (here / "data" / "way").symlink_to("sub")
    with pytest.raises(UsageError, match="to cover there"):
        check(source("rw", "/work/data", path=str(here / "data")), source("ro", "/work/data/way"))


def test_put_goes_into_what_is_the_jails_own(here):
    folder = {"path": str(here / "data")}
    check(source("put", "/work/new", kind="file"))
    check(source("cow", "/work/data", **folder), source("put", "/work/data/new", kind="file"))
    for shown in (source("ro", "/work/data", **folder), source("rw", "/work/data", **folder)):
        with pytest.raises(UsageError, match="a folder of the host"):
            check(shown, source("put", "/work/data/new", kind="file"))
    with pytest.raises(UsageError, match="is there already, in /work/data"):
        check(source("cow", "/work/data", **folder), source("put", "/work/data/f", kind="file"))


def test_put_covers_nothing_that_is_shown():
    for shown in (source("ro", "/d/s", kind="file"), source("cow", "/d/s/u")):
        for kind in ("file", "folder"):
            with pytest.raises(UsageError, match="destination /d is around /d/s"):
                check(source("put", "/d", kind=kind), shown)
    with pytest.raises(UsageError, match="destination /work/d is around /work/d/s"):
        check(source("put", "/work/d", kind="file"), source("ro", "/work/d/s"))
    check(source("put", "/work/d", kind="folder"), source("ro", "/work/d/s"))
    check(source("put", "/d", kind="folder"), source("ro", "/ds"))


def test_interfaces_of_the_kernel_are_not_shown_by_another_path():
    for path in ("/srv/root", "/srv/root/proc", "/srv/root/proc/1", "/srv"):
        with pytest.raises(UsageError, match="--ro x: nothing of what is mounted at /srv/root/proc is shown"):
            sources.check_interfaces([("--ro x", path)], ("/srv/root/proc",))
    sources.check_interfaces([("--ro x", "/srv/root/usr"), ("--ro y", "/srv/root/procs")], ("/srv/root/proc",))


def test_one_destination_for_one_thing():
    with pytest.raises(UsageError, match="is taken by --ro /host/x"):
        check(source("ro", "/work/a"), source("put", "/work/a"))
    with pytest.raises(UsageError, match="is taken by --put /host/x"):
        check(source("put", "/work/a"), source("put", "/work/a"))


def test_private_folders_inside_the_system():
    check(private=("/usr/lib",), taken=SYSTEM)
    with pytest.raises(UsageError, match="--tmpfs /usr/no such: it lies in /usr"):
        check(private=("/usr/no such",), taken=SYSTEM)
    with pytest.raises(UsageError, match="--tmpfs /bin: it is a link of the host's system"):
        check(private=("/bin",), taken=SYSTEM)


def test_the_work_folder():
    for workdir in ("/", "/usr/lib", "/tmp/new/one", "/elsewhere"):
        check(workdir=workdir, taken=SYSTEM)
    with pytest.raises(UsageError, match="--workdir /usr/no such: it lies in /usr"):
        check(workdir="/usr/no such", taken=SYSTEM)
    with pytest.raises(UsageError, match="it is a file: --ro /host/x"):
        check(source("ro", "/work/f", kind="file"), workdir="/work/f")


def test_a_root_filesystem_folder(here):
    for name in ("usr", "proc", "dev", "etc"):
        (here / "root" / name).mkdir(parents=True)
    (here / "root" / "bin").symlink_to("usr/bin")
    entries, owner = sources.root_folder(str(here / "root"), ())
    assert owner == (os.geteuid(), os.stat(here / "root").st_gid)
    assert [(os.path.basename(entry.path), entry.kind) for entry in entries] == [
        ("bin", "link"), ("etc", "folder"), ("usr", "folder"),
    ]  # fmt: skip
    assert sources.root_places(entries)[0] == Place("/bin", "link", str(here / "root" / "bin"), "root")


@pytest.mark.parametrize("name", ["proc", "dev", "sys", "run", "tmp"])
@pytest.mark.parametrize("kind", ["link", "file"])
def test_b11_jailpys_own_places_must_be_folders_in_a_root(here, name, kind):
    (here / "root").mkdir()
    if kind == "link":
        (here / "root" / name).symlink_to("/etc")
    else:
        (here / "root" / name).touch()
    with pytest.raises(UsageError, match=f"is a {kind}, not a folder"):
        sources.root_folder(str(here / "root"), ())


def test_a_root_that_is_no_folder(here):
    with pytest.raises(UsageError, match="is no folder"):
        sources.root_folder(str(here / "one.txt"), ())
    (here / "link").symlink_to(here)
    with pytest.raises(UsageError, match="is a symbolic link"):
        sources.root_folder(str(here / "link"), ())
