"""The filesystem of a live jail: what is shown, what may be written, what is private, and what the host keeps."""

from __future__ import annotations

import json
import os
import random
import stat
import subprocess
import sys
import threading
import time

import pytest

from tests.core import PATIENCE, PYTHON, execute

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLOW = ("--wall", f"{60 * PATIENCE}", "--cpu", f"{60 * PATIENCE}")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The caller's folder, with something to show."""
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "f").write_text("of the host\n")
    (tmp_path / "data" / "sub" / "g").write_text("below\n")
    (tmp_path / "writable").mkdir()
    (tmp_path / "one.txt").write_text("one\n")
    (tmp_path / "tool").write_text("#!/bin/sh\necho ran\n")
    (tmp_path / "tool").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sh(jailpy):
    """Return a function that runs a shell script in a jail with options."""
    return lambda script, *options: execute(jailpy, *options, "--", "/bin/sh", "-c", script)


def out(done):
    assert done.status == 0, (done.err, done.report)
    return done.out.decode(errors="surrogateescape").split()


def refusal(done, *words):
    """Check a refusal before the start: one line and perhaps hints, status 125, and a report that says so."""
    lines = done.err.decode().splitlines()
    assert done.status == 125, done.err
    assert lines[0].startswith("jailpy: error: ")
    assert all(line.startswith("jailpy: hint: ") for line in lines[1:]), lines
    assert all(word in lines[0] for word in words), lines
    assert done.verdict == "not_started"
    assert done.out == b""
    return lines[0]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def tree_of(path):
    """Return everything below a folder: names, types, modes, owners, contents, times of change."""
    found = {}
    for folder, folders, names in os.walk(path):
        for name in (*folders, *names):
            at = os.path.join(folder, name)
            state = os.lstat(at)
            content = read(at) if stat.S_ISREG(state.st_mode) else b""
            found[at] = (state.st_mode, state.st_uid, state.st_gid, state.st_mtime_ns, content)
    return found


def driven(here, argv, overrides, put=(), get=(), **changes):
    """Run a plan made for changed host facts, in an interpreter of its own; return stdout and the report."""
    program = """
import json, os, sys
from jailpy import api
from jailpy.host import facts
from jailpy.profile.overrides import Override
told = json.loads(sys.argv[1])
overrides = tuple(Override(key, value, "test") for key, value in told["overrides"].items())
request = api.Request(tuple(told["argv"]), "strict", overrides, (), tuple(map(tuple, told["put"])), tuple(map(tuple, told["get"])))
plan = api.plan(request, facts.gather().replace(**told["changes"]))
result = api.run(plan, request.get, (-1, 1, 2))
with open(told["report"], "w") as file:
    json.dump(result.report, file)
sys.exit(result.outcome.exit_status())
"""
    told = {"argv": argv, "overrides": overrides, "put": put, "get": get, "changes": changes, "report": str(here / "report")}
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(told)],
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode(), json.loads((here / "report").read_text())


# What a jail has by itself


def test_the_root_holds_what_a_system_needs_and_nothing_else(sh):
    names = set(out(sh("ls -A /; ls -A /home /root /mnt /var /sys /opt /boot 2>/dev/null; true")))
    expected = {
        "bin",
        "dev",
        "etc",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "proc",
        "run",
        "sbin",
        "tmp",
        "usr",
        "work",
        "nix",
        "gnu",
    }
    assert {"dev", "etc", "proc", "tmp", "usr", "work"} <= names
    assert names <= expected | {".landlock"}


def test_dev_is_minimal(sh):
    names = set(out(sh("ls -A /dev; ls -A /dev/shm")))
    assert names == {"null", "zero", "full", "random", "urandom", "shm", "fd", "stdin", "stdout", "stderr"}
    done = sh(
        "echo x > /dev/null && head -c 3 /dev/zero | wc -c && head -c 4 /dev/urandom | wc -c; head -c 1 /dev/zero > /dev/full"
    )
    assert done.out.split() == [b"3", b"4"]
    assert done.status == 1
    assert b"No space left" in done.err


MOUNTS = 'while read -r _ _ _ _ at options rest; do echo "$at $options ${rest#*- }"; done < /proc/self/mountinfo'


@pytest.mark.parametrize("mode", ["system", "any"])
def test_mount_flags(sh, here, mode):
    options = ("--ro", "data", "--rw", "writable:/rw", "--cow", "data:/cow", "--tmpfs", "/own:1M", "--put", "data:/put/data")
    done = sh(MOUNTS, *options, "--set", f"filesystem.exec={mode}")
    rows = [line.split(" ", 3) for line in done.out.decode().splitlines()]
    flags = {row[0]: row[1].split(",") for row in rows}
    assert len(flags) > 20
    assert {
        "/",
        "/usr",
        "/tmp",
        "/work",
        "/dev/shm",
        "/proc",
        "/proc/sys",
        "/work/data",
        "/rw",
        "/cow",
        "/own",
        "/put/data",
    } <= set(flags)
    for at, options in flags.items():
        assert "nosuid" in options, at
        device = at in ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
        masked = at.startswith("/proc/") and "nodev" not in options  # covered by /dev/null
        assert ("nodev" in options) != (device or masked), at
        if "rw" in options:
            assert ("noexec" in options) == (mode == "system" or at == "/proc"), at
    writable = {at for at, options in flags.items() if "rw" in options}
    assert writable == {"/tmp", "/work", "/dev/shm", "/proc", "/rw", "/cow", "/own", "/put/data"}


def test_no_mount_of_the_host_can_be_seen_or_changed(sh, jailpy):
    script = "import os,ctypes; c=ctypes.CDLL(None,use_errno=True); r=[c.mount(b'none',b'/work',b'tmpfs',0,None), c.mount(None,b'/usr',None,0x1020,None), c.umount2(b'/work',2)]; print(r)"
    done = execute(jailpy, "--", PYTHON, "-c", script)
    assert done.out == b"[-1, -1, -1]\n"
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        outside = {line.split()[4] for line in file}
    inside = set(out(sh("while read -r _ _ _ _ at _; do echo $at; done < /proc/self/mountinfo")))
    assert {at for at in inside & outside if not at.startswith(("/proc", "/dev", "/etc"))} <= {"/", "/usr", "/tmp"}


def test_mounts_outside_are_the_same_before_and_after(sh, here):
    with open("/proc/self/mountinfo", "rb") as file:
        before = file.read()
        out(sh("true", "--ro", "data", "--cow", "data:/c", "--rw", "writable:/r", "--put", "data:/p"))
        file.seek(0)
        assert file.read() == before


def test_etc_is_what_programs_look_up(jailpy):
    script = """
import grp, os, pwd, socket, ssl, time
print(pwd.getpwuid(os.getuid()).pw_name, pwd.getpwnam("root").pw_uid, grp.getgrgid(os.getgid()).gr_name, pwd.getpwnam("nobody").pw_uid)
print(os.path.expanduser("~"), socket.gethostbyname("localhost"), socket.gethostname())
print(len(ssl.create_default_context().get_ca_certs()) > 0 or not os.path.exists("/etc/ssl/certs/ca-certificates.crt"))
print(os.path.exists("/etc/localtime"), bool(time.tzname[0]), os.path.exists("/etc/ld.so.cache"))
"""
    done = execute(jailpy, "--set", 'seccomp.allow=["@inet", "@unix"]', "--", PYTHON, "-I", "-c", script)
    if done.status == 125:
        done = execute(jailpy, "--set", 'seccomp.allow=["@unix"]', "--", PYTHON, "-I", "-c", script)
    assert done.out.decode().splitlines() == ["jail 0 jail 65534", "/work 127.0.0.1 jail", "True", "True True True"], done.err


@pytest.mark.parametrize("link", ["awk", "java", "cc"])
def test_alternatives_lead_somewhere(sh, link):
    if not os.path.islink(f"/etc/alternatives/{link}"):
        pytest.skip(f"no alternative named {link} on this host")
    assert out(sh(f"readlink -e /etc/alternatives/{link}")) == [os.path.realpath(f"/etc/alternatives/{link}")]


def test_the_hosts_accounts_do_not_show(sh):
    users = {line.partition(":")[0] for line in read("/etc/passwd").decode().splitlines()} - {"root", "nobody", "jail"}
    assert users
    shown = sh("cat /etc/passwd /etc/group; ls -A /etc").out.decode()
    assert "shadow" not in shown
    assert not [user for user in users if f"{user}:" in shown]


def test_proc_tells_nothing_of_the_host(sh):
    hidden = (
        "cmdline keys kallsyms sched_debug timer_list interrupts partitions kcore kmsg sysrq-trigger config.gz slabinfo vmstat"
    )
    for name in hidden.split():
        if os.path.exists(f"/proc/{name}"):
            done = sh(f"cat /proc/{name} | wc -c; echo x > /proc/{name}")
            assert done.out == b"0\n", name
    assert out(sh("cat /proc/uptime /proc/meminfo /proc/cpuinfo | wc -l"))[0] != "0"
    assert out(sh("for f in bus irq fs driver tty; do ls -A /proc/$f; done 2>/dev/null; echo end")) == ["end"]
    assert sh("echo 1 > /proc/sys/kernel/domainname").status != 0


def test_no_proc_at_all(sh):
    done = sh("ls -A /proc; echo alive", "--set", "filesystem.proc=none")
    assert done.out == b"alive\n"
    assert {layer["state"] for layer in done.report["layers"] if layer["required"]} == {"enforced"}


def test_private_folders_are_empty_writable_and_gone_afterwards(sh):
    for place in ("/tmp", "/work", "/dev/shm"):
        assert out(sh(f"ls -A {place}; echo x > {place}/left && cat {place}/left")) == ["x"]
    assert sh("echo x > /x || echo x > /usr/x || echo x > /etc/x").status != 0


# ro, rw, cow


def test_ro(sh, here):
    before = tree_of(here)
    assert out(sh("cat data/f data/sub/g", "--ro", "data")) == ["of", "the", "host", "below"]
    done = sh(
        "echo x > data/f; echo x > data/new; rm data/f; mv data/sub data/x; ln -s x data/l; chmod 777 data/f", "--ro", "data"
    )
    assert done.err.count(b"Read-only file system") >= 5
    assert tree_of(here) == before


def test_rw(sh, here):
    assert out(sh("echo changed > data/f && mkdir data/made && echo new > data/made/n && rm -r data/sub && ls data", "--rw", "data")) == [
        "f", "made",
    ]  # fmt: skip
    assert (here / "data" / "f").read_text() == "changed\n"
    owner = os.stat(here)
    made = os.stat(here / "data" / "made" / "n")
    assert (made.st_uid, made.st_gid) == (owner.st_uid, os.stat(here / "data").st_gid)
    done = sh("true", "--rw", "data")
    assert done.report["unbounded"] == [str(here / "data")]


def test_rw_of_a_single_file(sh, here):
    out(sh("echo changed > one.txt", "--rw", "one.txt"))
    assert (here / "one.txt").read_text() == "changed\n"


COW = """
echo changed > data/f && echo more >> data/sub/g && echo new > data/new && mv data/new data/renamed &&
rm -r data/sub && mkdir data/sub && ls -A data/sub && ls -A data && cat data/f
"""


def test_cow(sh, here):
    before = tree_of(here)
    assert out(sh(COW, "--cow", "data")) == ["f", "renamed", "sub", "changed"]
    assert tree_of(here) == before


def test_cow_of_a_file_can_be_replaced_as_editors_do(sh, here):
    assert out(sh("echo new > aside && mv aside one.txt && cat one.txt", "--cow", "one.txt")) == ["new"]
    assert (here / "one.txt").read_text() == "one\n"
    assert out(sh("echo new > /in/one.txt && cat /in/one.txt", "--cow", "one.txt:/in/one.txt")) == ["new"]


def test_cow_is_bounded_by_the_disk_limit(sh, here):
    done = sh("head -c 9000000 /dev/zero > data/big", "--cow", "data", "--disk", "4M")
    assert done.verdict == "disk_limit", done.report
    assert b"No space left" in done.err


def test_nested(sh, here):
    (here / "inner").mkdir()
    (here / "inner" / "i").write_text("inner\n")
    before = tree_of(here)
    for outer in ("--ro", "--cow"):
        done = sh("cat data/f data/sub/i; ls data/sub", outer, "data", "--cow", "inner:/work/data/sub")
        assert out(done) == ["of", "the", "host", "inner", "i"]
    done = sh("echo x > data/sub/new && ls data/sub; echo y > data/y", "--ro", "data", "--cow", "inner:/work/data/sub")
    assert done.out.split() == [b"i", b"new"]
    assert b"Read-only" in done.err
    assert out(sh("cat data/f", "--cow", "data", "--ro", "one.txt:/work/data/f")) == ["one"]
    done = sh("cat data/f; echo two >data/f; cat data/f", "--cow", "data", "--cow", "one.txt:/work/data/f")
    assert out(done) == ["one", "two"]
    refusal(sh("true", "--cow", "data", "--put", "one.txt:/work/data/f"), "is there already, in /work/data")
    assert out(sh("ls data/sub; touch data/sub/t; echo ok", "--ro", "data", "--tmpfs", "/work/data/sub")) == ["ok"]
    assert tree_of(here) == before


def test_cow_without_user_xattrs_on_tmpfs_is_a_bounded_copy(here):
    """Before Linux 6.6 an overlay on tmpfs cannot keep opaque folders: the source is copied."""
    before = tree_of(here / "data")
    output, _ = driven(here, ["/bin/sh", "-c", COW], {"filesystem.cow": ["data"]}, tmpfs_user_xattr=False)
    assert output.split() == ["f", "renamed", "sub", "changed"]
    assert tree_of(here / "data") == before
    script = "echo x > /c/new; cat /c/f; while read -r _ _ _ _ at options _; do echo $at $options; done < /proc/self/mountinfo"
    output, _ = driven(here, ["/bin/sh", "-c", script], {"filesystem.cow": ["data:/c"]}, tmpfs_user_xattr=False)
    assert "of the host" in output
    assert "/c rw,nosuid,nodev,noexec" in output


def test_what_lies_in_a_copy_is_the_same_with_and_without_overlays(here):
    (here / "inner").mkdir()
    (here / "inner" / "i").write_text("inner\n")
    for able in (True, False):
        shown = {"filesystem.cow": ["data", "inner:/work/data/sub"]}
        output, _ = driven(here, ["/bin/ls", "data", "data/sub"], shown, tmpfs_user_xattr=able)
        assert output.split() == ["data:", "f", "sub", "data/sub:", "i"]
        put = [("one.txt", "/work/data/sub/new")]
        output, _ = driven(here, ["/bin/ls", "data/sub"], {"filesystem.cow": ["data"]}, put, tmpfs_user_xattr=able)
        assert output.split() == ["g", "new"]


def test_a_copy_that_does_not_fit_is_refused(sh, here):
    (here / "big").write_bytes(bytes(3 << 20))
    refusal(sh("true", "--put", "big", "--disk", "1M"), "could not copy", str(here / "big"), "No space left on device")
    assert out(sh("wc -c < big", "--put", "big", "--disk", "8M")) == [str(3 << 20)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root's sources are mapped: see test_filesystem_root.py")
def test_cow_of_files_of_another_owner_names_them(sh, here):
    """A rootless jail knows one uid: a file of root cannot be copied up, and that is said before the start."""
    source = next(path for path in ("/usr/share/doc", "/usr/share") if os.path.isdir(path))
    done = sh(f"echo x > {source}/new", "--cow", source)
    assert b"warning: --cow" in done.err
    assert b"cannot be changed in the copy" in done.err
    assert any("cannot be changed" in note for note in done.report["notes"])
    quiet = sh("true", "--cow", source, "-q")
    assert b"warning" not in quiet.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_put_of_what_the_caller_may_not_read(sh):
    refusal(sh("true", "--put", "/etc/shadow"), "could not copy /etc/shadow", "Permission denied")


# put, tmpfs, workdir


def test_put(sh, here):
    before = tree_of(here)
    script = "cat data/f one.txt && echo x > data/f && rm one.txt && ls"
    assert out(sh(script, "--put", "data", "--put", str(here / "one.txt"))) == ["of", "the", "host", "one", "data"]
    assert out(sh("cat /a/b/c", "--put", "one.txt:/a/b/c")) == ["one"]
    assert out(sh("ls; touch x; ls", "--put", "data:/work")) == ["f", "sub", "f", "sub", "x"]
    assert out(sh("cat data/sub/new; ls data/sub", "--cow", "data", "--put", "one.txt:/work/data/sub/new")) == [
        "one",
        "g",
        "new",
    ]
    assert tree_of(here) == before


def test_put_copies_links_as_links(sh, here):
    (here / "data" / "link").symlink_to("/etc/shadow")
    assert out(sh("readlink data/link", "--put", "data")) == ["/etc/shadow"]
    assert sh("cat data/link", "--put", "data").status != 0


@pytest.mark.parametrize(
    ("what", "at", "why"),
    [("data", "data", "symbolic links"), ("one.txt", "data/one.txt", "the folder /work/data: File exists")],
)
def test_nothing_is_put_through_a_link_of_what_was_put_before(sh, here, what, at, why):
    """A folder that an earlier payload filled has a link to the host where something else is then put."""
    victim = here / "victim"
    victim.mkdir()
    victim.chmod(0o777)
    (here / "left").mkdir()
    (here / "left" / "own").write_text("of a payload\n")
    assert sh("cat own data/f", "--put", "left:/work", "--put", "data").out == b"of a payload\nof the host\n"
    (here / "left" / "data").symlink_to(victim)
    done = sh("true", "--put", "left:/work", "--put", f"{what}:/work/{at}")
    assert list(victim.iterdir()) == []
    refusal(done, why)


def test_b12_a_folder_to_collect_from_swapped_for_a_link_meanwhile(here):
    """The link leads to a folder of the host that has the path of one of the jail's own, where the command then runs."""
    program = """
import json, os, sys
from jailpy import api
from jailpy.errors import LaunchError
from jailpy.profile.overrides import Override
shared, secret, swapped = sys.argv[1], sys.argv[2], sys.argv[3] == "swapped"
overrides = {"filesystem.rw": [f"{shared}:/shared"], "filesystem.workdir": "/shared/sub", "filesystem.tmpfs": [f"{secret}:1M"]}
request = api.Request(("true",), "strict", tuple(Override(key, value, "test") for key, value in overrides.items()), get=(("f", "got"),))
plan = api.plan(request)
if swapped:
    os.rename(f"{shared}/sub", f"{shared}/aside")
    os.symlink(secret, f"{shared}/sub")
try:
    print([entry["refused"] for entry in api.run(plan, request.get, (-1, 1, 2)).collected])
except LaunchError as error:
    print(error)
"""
    (here / "shared" / "sub").mkdir(parents=True)
    (here / "shared" / "sub" / "f").write_text("of the folder\n")
    (here / "secret").mkdir()
    (here / "secret" / "f").write_text("secret\n")
    said = []
    for how in ("as it was", "swapped"):
        argv = [sys.executable, "-c", program, str(here / "shared"), str(here / "secret"), how]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": ROOT})
        said.append(done.stdout)
        assert done.stderr == ""
        assert (here / "got").read_text() == "of the folder\n"
    assert said[0] == "[None]\n"
    assert "read-only view of /shared/sub" in said[1]
    assert "symbolic link" in said[1]


def test_tmpfs_with_a_size_of_its_own(sh):
    done = sh("head -c 3000000 /dev/zero > /data/x; exit 3", "--tmpfs", "/data:1M", "--disk", "8M")
    assert done.verdict == "disk_limit"
    assert done.evidence == {"limit": "disk", "configured": 1 << 20, "measured": 1 << 20, "source": "fill of /data (statfs)"}
    done = sh("head -c 8000000 /dev/zero > x; exit 3", "--tmpfs", "/data:1M", "--disk", "8M")
    assert done.verdict == "disk_limit"
    assert done.evidence["measured"] == 7 << 20
    done = sh("head -c 900000 /dev/zero > /data/x; head -c 900000 /dev/zero > x; exit 3", "--tmpfs", "/data:1M", "--disk", "8M")
    assert done.verdict == "nonzero_exit"
    assert 1_800_000 < done.usage["disk_bytes"] < 2_000_000


def test_inodes_are_bounded_over_all_private_folders(sh):
    script = "for i in $(seq 300); do for d in /tmp /work /dev/shm /data; do touch $d/$i 2>/dev/null; done; done; ls -A /tmp /work /dev/shm /data | grep -c '[0-9]'; exit 3"
    done = sh(script, "--set", "limits.inodes=400", "--tmpfs", "/data:16M", *SLOW)
    assert done.verdict == "disk_limit"
    assert done.evidence["limit"] == "inodes"
    assert 350 < int(done.out) <= 400


@pytest.mark.parametrize("workdir", ["/work/a/b", "/tmp/x", "/elsewhere", "/usrx", "/", "/usr/share"])
def test_workdir(sh, workdir):
    done = sh("pwd; touch made && echo ok", "--workdir", workdir)
    assert done.out.split() == [workdir.encode()] + ([] if workdir in ("/", "/usr/share") else [b"ok"])


def test_relative_sources_follow_the_work_folder(sh, here):
    assert out(sh("pwd; cat /elsewhere/one.txt /elsewhere/data/f", "--workdir", "/elsewhere", "--ro", "one.txt", "--put", "data")) == [
        "/elsewhere", "one", "of", "the", "host",
    ]  # fmt: skip
    assert out(sh(f"cat {here}/data/f", "--ro", str(here / "data"))) == ["of", "the", "host"]
    assert out(sh(f"ls {here.name}", "--ro", "."))[:2] == ["data", "one.txt"]


# Bad input


@pytest.mark.parametrize("destination", ["/", "/proc", "/proc/self", "/dev", "/dev/null", "/usr/none", "/usr/bin/x", "rel"])
@pytest.mark.parametrize("option", ["--ro", "--put", "--cow"])
def test_destinations_that_cannot_be(sh, here, option, destination):
    refusal(sh("true", option, f"data:{destination}"), "data")


def test_a_destination_may_not_climb(sh, here):
    for option in ("--ro", "--put"):
        refusal(sh("true", option, "data:/work/../etc"), "..")
    refusal(sh("true", "--get", "../x:x"), "NAME is a path below the work folder")


def test_sources_that_cannot_be(sh, here):
    (here / "link").symlink_to("data")
    (here / "dangling").symlink_to("nothing")
    os.mkfifo(here / "fifo")
    for option in ("--ro", "--rw", "--cow", "--put"):
        for source, word in (
            ("link", "symbolic link"),
            ("dangling", "symbolic link"),
            ("fifo", "neither a file nor"),
            ("no", "No such file"),
        ):
            refusal(sh("true", option, source), source, word)
    for source in ("/run", "/tmp", "/sys"):
        refusal(sh("true", "--ro", f"{source}:/x"), "is never shown whole")


@pytest.mark.parametrize("name", ["a b", "new\nline", "co:lon", "-dash", "'quote\"", "\udcff\udcfe", "é"])
def test_odd_names(sh, here, name):
    folder = here / name
    folder.mkdir()
    (folder / "f").write_text("odd\n")
    for option in ("--ro", "--put", "--cow"):
        done = sh("cat '/in/o d'/f", option, f"./{name}:/in/o d")
        assert out(done) == ["odd"]
        if ":" not in name:
            assert out(sh("cat ./*/f", option, f"./{name}")) == ["odd"]
    assert out(sh("cat /in/*/f", "--ro", f"{here}/data:/in/x{name}", "--set", "filesystem.tmpfs=[]"))[:1] == ["of"]


def test_a_colon_without_an_absolute_destination_is_told(sh, here):
    for option in ("--ro", "--put"):
        refusal(sh("true", option, "data:there"), "absolute DST")


# Execution


ELF = "/usr/bin/true"


@pytest.fixture
def copied(here):
    (here / "prog").write_bytes(read(ELF))
    (here / "prog").chmod(0o755)
    return "prog"


def test_exec_system(sh, jailpy, copied):
    """C12, C13: nothing that is writable is executed, by whatever way; what is shown with ro is."""
    loader = next(path for path in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1") if os.path.exists(path))
    ways = {
        "direct": "./prog", "copied": "cp /usr/bin/true /tmp/t && /tmp/t", "loader": f"{loader} ./prog", "shm": "cp prog /dev/shm/p && /dev/shm/p",
    }  # fmt: skip
    for way, script in ways.items():
        done = sh(f"{script} && echo executed", "--put", copied)
        assert b"executed" not in done.out, way
        control = sh(f"{script} && echo executed", "--put", copied, "--set", "filesystem.exec=any")
        assert b"executed" in control.out, (way, control.err)
    for option in ("--rw", "--cow"):
        assert sh("./prog", option, copied).status == 126
    assert out(sh("./prog && echo executed", "--ro", copied)) == ["executed"]


def test_exec_system_refuses_what_is_writable_at_another_place(sh, here):
    """One folder of the host at two places of the jail; where one covers the other, it is at one."""
    written = "cp /usr/bin/true {0}/t && {1}/t && echo executed"
    (here / "data" / "sub" / "t").touch(0o755)
    ways = {
        ("--ro", "data", "--rw", "data/sub"): ("sub", "data/sub"),
        ("--rw", "data", "--ro", "data/sub"): ("data/sub", "sub"),
        ("--rw", "data:/d", "--ro", "data/sub"): ("/d/sub", "sub"),
        ("--ro", "data", "--rw", "data:/d"): ("/d", "data"),
    }
    for options, (writable, executable) in ways.items():
        script = written.format(writable, executable)
        refusal(sh(script, *options), "--rw", "could be executed at /work/")
        assert out(sh(script, *options, "--set", "filesystem.exec=any")) == ["executed"]
    assert sh("cp /usr/bin/true data/sub/t && data/sub/t", "--ro", "data", "--rw", "data/sub:/work/data/sub").status == 126
    assert sh("cp /usr/bin/true data/sub/t", "--rw", "data", "--ro", "data/sub:/work/data/sub").status == 1
    assert out(sh("data/sub/t && echo executed", "--rw", "data", "--ro", "data/sub:/work/data/sub")) == ["executed"]


def test_exec_system_refuses_what_is_writable_below_a_root(sh, rootfs):
    root = ("--set", f"filesystem.root={rootfs}")
    (rootfs / "var" / "t").touch(0o755)
    script, twice = "echo 'echo executed' >/work/x/t && /var/t", ("--rw", f"{rootfs}/var:/work/x")
    refusal(sh(script, *root, *twice), "written at /work/x could be executed at /var")
    assert out(sh(script, *root, *twice, "--set", "filesystem.exec=any")) == ["executed"]
    assert sh("echo >/var/tmp/t", *root, "--rw", f"{rootfs}/var/tmp:/var/tmp").status == 0


MEMFD = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.memfd_create(b"x", int(sys.argv[1], 0))
if fd < 0: sys.exit(f"memfd refused: {os.strerror(ctypes.get_errno())}")
os.write(fd, open("/usr/bin/true", "rb").read())
try: os.execve(fd, ["true"], {})
except OSError as error: sys.exit(f"exec refused: {error.strerror}")
"""


def test_exec_system_holds_for_memfds(jailpy, here):
    for flags in ("0", "8"):  # 8: MFD_NOEXEC_SEAL
        done = execute(jailpy, "--", PYTHON, "-I", "-c", MEMFD, flags)
        assert done.status == 1, done.report
        assert b"refused" in done.err
    assert execute(jailpy, "--set", "filesystem.exec=any", "--", PYTHON, "-I", "-c", MEMFD, "0").status == 0


def test_exec_none(sh, jailpy):
    done = sh("echo first; /usr/bin/true && echo second", "--set", "filesystem.exec=none")
    assert done.out == b"first\n"
    assert sh("echo first; /usr/bin/true && echo second").out == b"first\nsecond\n"


def test_a_file_is_not_created_set_user_id_where_it_would_outlive_the_jail(jailpy, here):
    create = "import os, sys; os.close(os.open(sys.argv[1], 65, 0o4755)); print(oct(os.stat(sys.argv[1]).st_mode))"
    command = ["--", PYTHON, "-I", "-c", create]
    assert execute(jailpy, *command, "/tmp/made").out == b"0o104755\n"
    shown = execute(jailpy, "--rw", "data", *command, "data/made")
    assert shown.status == 1
    assert b"Operation not permitted" in shown.err
    assert not (here / "data" / "made").exists()


def test_setuid_files_give_nothing(sh, here):
    (here / "tool").chmod(0o6755)
    done = sh("id -u; id -ru; ./tool", "--ro", "tool")
    assert out(done) == ["1000", "1000", "ran"]


# Other roots


@pytest.fixture
def rootfs(tmp_path):
    """A small root filesystem: a shell, ls and cat with the libraries that they need."""
    root = tmp_path / "rootfs"
    for name in ("bin", "etc", "proc", "dev", "tmp", "var/tmp"):
        (root / name).mkdir(parents=True)
    needed = {"/bin/sh", "/bin/ls", "/bin/cat", "/bin/readlink"}
    listed = subprocess.run(["ldd", *needed], capture_output=True, text=True, check=True).stdout
    needed |= {word for word in listed.split() if word.startswith("/") and not word.endswith(":")}
    for path in needed:
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(read(path))
        target.chmod(0o755)
    (root / "etc" / "marker").write_text("of the root folder\n")
    (root / "link").symlink_to("etc/marker")
    root.chmod(0o755)
    return root


def test_a_root_filesystem_folder(sh, rootfs):
    before = tree_of(rootfs)
    done = sh(
        "cat /etc/marker /link; ls -A /; ls -A /etc /tmp /var; echo x > /etc/x; echo y > /tmp/y; cat /tmp/y",
        "--set",
        f"filesystem.root={rootfs}",
    )
    assert done.out.decode().count("of the root folder") == 2
    assert b"Read-only file system" in done.err
    words = done.out.split()
    assert words[-1] == b"y"
    assert b"usr" not in words or (rootfs / "usr").exists()
    assert b"passwd" not in words
    assert tree_of(rootfs) == before
    refusal(sh("true", "--set", f"filesystem.root={rootfs}/etc/marker"), "no folder")
    refusal(sh("true", "--set", f"filesystem.root={rootfs}/nowhere"), "No such file")
    refusal(sh("true", "--set", f"filesystem.root={rootfs}", "--tmpfs", "/var/none"), "--tmpfs /var/none", "lies in /var")
    assert out(sh("echo x > /var/tmp/x; cat /var/tmp/x", "--set", f"filesystem.root={rootfs}", "--tmpfs", "/var/tmp")) == ["x"]


@pytest.mark.parametrize("name", ["proc", "dev", "sys", "tmp"])
def test_b11_a_root_whose_own_places_are_links(sh, rootfs, name):
    if (rootfs / name).exists():
        (rootfs / name).rmdir()
    (rootfs / name).symlink_to("/etc")
    refusal(sh("true", "--set", f"filesystem.root={rootfs}"), name, "is a link, not a folder")


def test_b11_a_root_whose_folders_are_swapped_for_links_meanwhile(jailpy, rootfs):
    """Either the run sees the folder, or it is refused; never what the link points to."""
    victim = rootfs.parent / "victim"
    victim.mkdir()
    (victim / "marker").write_text("of the host\n")
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            os.rename(rootfs / "etc", rootfs / "aside")
            os.symlink(victim, rootfs / "etc")
            time.sleep(0.001)
            os.unlink(rootfs / "etc")
            os.rename(rootfs / "aside", rootfs / "etc")
            time.sleep(0.003)

    thread = threading.Thread(target=swap)
    thread.start()
    outcomes = set()
    try:
        for _ in range(25):
            done = execute(jailpy, "--set", f"filesystem.root={rootfs}", "--", "/bin/cat", "/etc/marker")
            assert b"of the host" not in done.out
            outcomes.add(done.out if done.status == 0 else done.status)
    finally:
        stop.set()
        thread.join()
    assert b"of the root folder\n" in outcomes
    assert (victim / "marker").read_text() == "of the host\n"
    assert [path.name for path in victim.iterdir()] == ["marker"]


def test_b12_a_source_swapped_for_a_link_meanwhile(jailpy, here):
    """A concurrent rename loop in the folder that holds the source: what the link points to is never mounted."""
    (here / "secret").mkdir()
    (here / "secret" / "f").write_text("secret\n")
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            os.rename(here / "data", here / "aside")
            os.symlink("secret", here / "data")
            time.sleep(0.002)
            os.unlink(here / "data")
            os.rename(here / "aside", here / "data")
            time.sleep(random.uniform(0, 0.02))

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        for option in ("--ro", "--rw", "--cow", "--put") * 8:
            done = execute(jailpy, option, "data", "--", "/bin/cat", "data/f")
            assert b"secret" not in done.out
            seen.add(done.status)
    finally:
        stop.set()
        thread.join()
    assert 0 in seen
    assert seen <= {0, 1, 125}


def test_an_empty_root(sh, here):
    (here / "static").mkdir()
    done = sh("true", "--set", "filesystem.root=empty")
    assert done.status == 127
    done = sh("ls -A /", "--set", "filesystem.root=empty", *(f"--ro={path}:{path}" for path in ("/usr",)), *links())
    assert set(out(done)) - {"lib", "lib64", "bin"} == {"usr", "dev", "proc", "run", "tmp", "work", ".landlock"}


def links():
    """Show the merged-/usr folders at their short names, where a jail with an empty root has no links."""
    for name in ("bin", "lib", "lib64"):
        if os.path.islink(f"/{name}"):
            yield f"--ro={os.path.realpath('/' + name)}:/{name}"


def test_chroot_where_pivot_root_cannot_work(here):
    """The method for an initramfs root, tried on an ordinary one: the payload sees no difference."""
    script = "cat data/f; echo new > data/new; cat data/new; ls -A /; cd /; cd ..; ls -A | wc -l; wc -l < /proc/self/mountinfo; ls /home"
    argv = ["/bin/sh", "-c", script + "; true"]
    overrides = {"filesystem.cow": ["data"]}
    chrooted, report = driven(here, argv, overrides, root_filesystem="rootfs")
    pivoted, _ = driven(here, argv, overrides)
    assert next(layer for layer in report["layers"] if layer["name"] == "mount")["mechanism"].endswith("chroot")
    assert chrooted == pivoted
    assert "of the host\nnew\n" in chrooted
    assert not (here / "data" / "new").exists()


def test_chroot_cannot_be_left(here):
    script = """
import os
found = os.open("/", os.O_RDONLY)
try: os.chroot("/tmp")
except OSError as error: print("chroot", error.errno)
for _ in range(50): os.chdir("..")
print(sorted(os.listdir(".")) == sorted(os.listdir("/")), os.path.exists("/home"), os.path.exists("/.dockerenv"))
print(any(os.path.exists(f"/proc/{pid}/root/home") for pid in os.listdir("/proc") if pid.isdigit()))
"""
    output, _ = driven(here, [PYTHON, "-I", "-c", script], {}, root_filesystem="rootfs")
    assert output.splitlines() == ["chroot 1", "True False False", "False"]


# JailPy's own folders


@pytest.fixture
def cache(here, monkeypatch):
    (here / "home" / "cache").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "home" / "cache"))
    return here / "home" / "cache" / "jailpy"


def test_the_cache_is_never_visible(sh, cache, here):
    out(sh("true"))  # fills it
    assert list(cache.iterdir())
    script = f"ls -A {here}/home/cache {here}/home/cache/jailpy"
    for option in ("--ro", "--cow"):
        assert out(sh(script, option, str(here / "home"))) == [f"{here}/home/cache:", "jailpy", f"{here}/home/cache/jailpy:"]
    assert out(sh("ls -A home/cache/jailpy; echo end", "--put", "home")) == ["end"]
    refusal(sh("true", "--rw", str(here / "home")), "JailPy's own")
    for option in ("--ro", "--cow", "--put", "--rw"):
        refusal(sh("true", option, str(cache)), "JailPy's own")


def test_the_cache_stays_hidden_behind_a_link(sh, cache, here, monkeypatch):
    (here / "alias").symlink_to("home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "alias" / "cache"))
    out(sh("true"))
    assert out(sh("ls -A /h/cache/jailpy; echo end", "--ro", "home:/h")) == ["end"]


def test_the_cache_cannot_be_uncovered_in_a_copy(sh, cache, here):
    out(sh("true"))
    script = "mv /h/cache /h/moved; ls -A /h/moved/jailpy; rm -r /h/moved/jailpy; cp -r /h/moved /tmp/c; ls -A /tmp/c/jailpy; echo end"
    assert sh(script, "--cow", "home:/h").out.split()[-1:] == [b"end"]
    assert not [name for name in os.listdir(cache) if name.encode() in sh(script, "--cow", "home:/h").out]
