"""Launches without namespaces: what is claimed holds, what is not claimed is seen, and what is started is killed.

As root these are runs of the tier container-root, as an ordinary user of no-namespaces. Outside of the jail each attack works.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile

import pytest

from jailpy.kernel import landlock
from tests.core import PATIENCE, PYTHON, alive, eventually, execute, groups_of, python, start, token

PROFILE = "strict-nonamespaces"
ROOT = os.geteuid() == 0
TIER = "container-root" if ROOT else "no-namespaces"
BUILT_IN = ("-p", PROFILE)
NAMESPACES = ("user", "mount", "pid", "net", "ipc", "uts", "cgroup-ns")
pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.skipif(not ROOT and landlock.abi()[0] < 6, reason="this kernel's Landlock keeps no signals inside (ABI 6)"),
]


def bases():
    named = [os.environ.get(name, "") for name in ("XDG_RUNTIME_DIR", "TMPDIR")]
    return [path for path in (*named, "/tmp", "/var/tmp") if path and os.path.isdir(path)]


def work_folders(launcher):
    """List the work folders of one launcher."""
    return [f"{base}/{name}" for base in bases() for name in os.listdir(base) if name.startswith(f"jailpy-{launcher}-")]


def go(jailpy, *words, **options):
    done = execute(jailpy, *BUILT_IN, *words, **options)
    assert work_folders(done.pid) == []
    return done


def shell(jailpy, script, *words, **options):
    return go(jailpy, *words, "--", "sh", "-c", script, **options)


def tried(jailpy, script, *words, argument=""):
    """Run a Python script in the jail and outside of it; return what each printed, as JSON."""
    inside = go(jailpy, *words, *python(script, argument))
    assert inside.status == 0, inside.err
    outside = subprocess.run([PYTHON, "-I", "-c", script, argument], capture_output=True, check=True, timeout=60)
    return json.loads(inside.out), json.loads(outside.stdout)


ANSWER = """
import ctypes, errno, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def ask(act, *args):
    try:
        result = act(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "worked" if result != -1 else errno.errorcode[ctypes.get_errno()]
"""


def test_the_report_names_the_tier_and_what_was_seen(jailpy):
    done = shell(jailpy, "id -u; id -G; pwd; echo $HOME $TMPDIR")
    uid, groups, pwd, homes = done.out.decode().splitlines()
    layers = {layer["name"]: layer for layer in done.report["layers"]}
    assert done.verdict == "ok"
    assert TIER in done.report["tiers"]
    assert {layers[name]["state"] for name in NAMESPACES} == {"off"}
    assert layers["landlock"]["state"] == layers["seccomp"]["state"] == layers["capabilities"]["state"] == "enforced"
    assert f"uid {uid}" in layers["user"]["verified"]
    assert "leads process group and session" in layers["pid"]["verified"]
    assert homes == f"{pwd} {pwd}"
    assert any("kill -9 of both" in note for note in done.report["notes"])
    if ROOT:
        assert int(uid) > 1 << 16
        assert groups == uid
    else:
        assert int(uid) == os.geteuid()


def test_every_run_has_a_uid_of_its_own(jailpy):
    if not ROOT:
        pytest.skip("an ordinary user has one uid")
    found = {shell(jailpy, "id -u").out for _ in range(2)}
    assert len(found) == 2


def test_verbose_and_explain_say_it(jailpy):
    done = shell(jailpy, "true", "-v")
    assert f"jailpy: tier {TIER}: ".encode() in done.err
    explained = subprocess.run([jailpy, "explain", *BUILT_IN, "--", "true"], capture_output=True, text=True, check=True).stdout
    assert f"tier {TIER}: " in explained
    assert "note: without a pid namespace the kernel ends nothing by itself" in explained


def test_files_go_in_and_come_out(jailpy, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "in.txt").write_text("from outside")
    script = "tr a-z A-Z <a/in.txt >out.txt; mkdir deep; cp out.txt deep/two"
    done = shell(jailpy, script, "--put", tmp_path / "a", "--get", f"out.txt:{tmp_path}/", "--get", f"deep:{tmp_path}/deep")
    assert done.verdict == "ok", done.err
    assert (tmp_path / "out.txt").read_text() == (tmp_path / "deep" / "two").read_text() == "FROM OUTSIDE"
    assert [entry["refused"] for entry in done.report["collected"]] == [None, None]


@pytest.mark.skipif(ROOT, reason="the run's own uid can be shown nothing with --rw")
def test_what_landlock_cannot_take_back_from_a_writable_folder_is_refused(jailpy, tmp_path):
    (tmp_path / "in").mkdir()
    kept, program = tmp_path / "in" / "kept", tmp_path / "in" / "t"
    kept.write_text("of the caller")
    done = shell(jailpy, f"echo changed >{kept}", "--rw", tmp_path, "--ro", kept)
    assert kept.read_text() == "of the caller"
    assert done.status == 125
    assert b"makes --ro" in done.err
    script, options = f"cp /usr/bin/true {program} && {program} && echo executed", ("--ro", tmp_path, "--rw", tmp_path / "in")
    done = shell(jailpy, script, *options)
    assert done.status == 125
    assert b"could be executed" in done.err
    assert shell(jailpy, script, *options, "--set", "filesystem.exec=any").out == b"executed\n"
    assert shell(jailpy, script, "--rw", tmp_path / "in").status == 126


@pytest.mark.parametrize("place", ["link", "link/b", "link/c/b"])
def test_nothing_is_put_through_a_link_of_what_was_put_before(jailpy, tmp_path, place):
    """As root the launcher itself copies, and could write anywhere."""
    victim = tmp_path / "victim"
    for folder in (victim, tmp_path / "left", tmp_path / "b"):
        folder.mkdir()
    (tmp_path / "left" / "own").write_text("of a payload")
    (tmp_path / "b" / "f").write_text("of the caller")
    words = ("--put", f"{tmp_path}/left:/work", "--put", f"{tmp_path}/b:/work/{place}")
    done = shell(jailpy, f"cat own {place}/f", *words)
    assert done.out == b"of a payloadof the caller", done.err
    (tmp_path / "left" / "link").symlink_to(victim)
    done = shell(jailpy, "true", *words)
    assert list(victim.iterdir()) == []
    assert done.status == 125
    assert b"has a link on the way there" in done.err


def test_what_is_put_in_counts_against_the_disk_limit(jailpy, tmp_path):
    (tmp_path / "big").write_bytes(b"x" * (3 << 20))
    done = go(jailpy, "--put", tmp_path / "big", "--disk", "1M", "--", "true")
    assert done.status == 125
    assert b"--disk" in done.err


def test_what_is_put_in_is_bounded_while_it_is_copied(jailpy, tmp_path):
    """A file with holes has any size at no cost, and the copy has no holes."""
    (tmp_path / "many").mkdir()
    for number in range(100):
        (tmp_path / "many" / str(number)).touch()
    with open(tmp_path / "holes", "wb") as file:
        file.truncate(1 << 42)
    for name in ("holes", "many"):
        done = go(jailpy, "--put", tmp_path / name, "--disk", "1M", "--set", "limits.inodes=50", "--", "true")
        assert (done.status, b"No space left on device" in done.err) == (125, True)
    assert go(jailpy, "--put", tmp_path / "many", "--set", "limits.inodes=200", "--", "ls", "many").out.split()[-1] == b"99"


def test_a_file_shown_where_it_is(jailpy):
    with tempfile.NamedTemporaryFile("w", dir="/var/tmp", prefix="jailpy-test-") as shown, open(shown.name, "a") as file:
        file.write("shown")
        file.flush()
        os.chmod(shown.name, 0o644)
        done = shell(jailpy, f"cat {shown.name}; echo more >>{shown.name}", "--ro", shown.name)
        assert done.out == b"shown"
        assert b"Permission denied" in done.err
        hidden = shell(jailpy, f"cat {shown.name}")
        assert hidden.out == b""
        assert b"Permission denied" in hidden.err


def test_a_folder_shown_read_write(jailpy, tmp_path):
    done = shell(jailpy, f"echo x >{tmp_path}/new", "--rw", tmp_path)
    if ROOT:
        assert done.status == 125
        assert b"--put and --get" in done.err
    else:
        assert done.verdict == "ok"
        assert (tmp_path / "new").read_text() == "x\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--ro", "/usr/bin/env:/elsewhere"], "a path can only be shown where it is"),
        (["--tmpfs", "/data"], "the work folder alone"),
        (["--tty"], "--tty"),
        (["--net", "loopback"], "network namespace"),
        (["--set", 'seccomp.allow=["@unix"]'], "no @unix"),
        (["--set", "seccomp.violation=record"], "a filter that denies"),
        (["--put", "/etc/hostname:/elsewhere"], "work folder"),
    ],
)
def test_what_cannot_be_had_is_refused(jailpy, words, why):
    done = go(jailpy, *words, "--", "true")
    assert done.status == 125
    assert why in done.err.decode()
    assert b"Traceback" not in done.err


def test_a_root_of_its_own(jailpy):
    """root changes it by chroot; the one thing in an empty root is what was put there. An ordinary user is refused."""
    done = go(
        jailpy,
        "--set",
        "filesystem.root=empty",
        "--set",
        "filesystem.exec=any",
        "--put",
        "/bin/true:/work/prog",
        "--",
        "/work/prog",
    )
    if ROOT:
        assert done.status == 127, done.err
        assert b"interpreter" in done.err, "the program is found in the new root, its loader is not"
    else:
        assert done.status == 125
        assert b"only root can change the root" in done.err


def test_a_profile_must_accept_the_tier_by_name(jailpy, tmp_path):
    (tmp_path / "bold.toml").write_text(
        f'schema = 1\nname = "bold"\nextends = ["{PROFILE}"]\n[require]\ntiers = ["!no-namespaces", "!container-root"]\n'
    )
    done = execute(jailpy, "-p", tmp_path / "bold.toml", "--", "true")
    assert done.status == 125
    assert b"expected a namespace layer, or the tier that does without" in done.err
    assert TIER.encode() in done.err


def test_the_tier_of_another_account_is_refused(jailpy, tmp_path):
    other = {"container-root": "no-namespaces", "no-namespaces": "container-root"}[TIER]
    (tmp_path / "one.toml").write_text(f'schema = 1\nname = "one"\nextends = ["{PROFILE}"]\n[require]\ntiers = ["!{TIER}"]\n')
    done = execute(jailpy, "-p", tmp_path / "one.toml", "--", "true")
    assert done.status == 125
    assert f"accepts {other} only" in done.err.decode()


REACHES = (
    ANSWER
    + """
decoy = int(sys.argv[1])
found = {
    "kill": ask(os.kill, decoy, 0),
    "kill group": ask(os.killpg, decoy, 0),
    "queue": ask(libc.syscall, 129, decoy, 0, ctypes.create_string_buffer(b"\\0" * 8 + b"\\xff" * 4, 128)),
    "setpriority": ask(os.setpriority, os.PRIO_PROCESS, decoy, 5),
    "sched_setaffinity": ask(os.sched_setaffinity, decoy, os.sched_getaffinity(0)),
    "sched_setscheduler": ask(os.sched_setscheduler, decoy, os.SCHED_BATCH, os.sched_param(0)),
    "ioprio_set": ask(libc.syscall, 251, 1, decoy, 3 << 13),
    "prlimit": ask(libc.prlimit, decoy, 7, None, ctypes.create_string_buffer(16)),
    "shmget": ask(libc.shmget, 0x7A110000 + os.getpid() % 4096, 4096, 0o600 | 0o1000),
}
print(json.dumps(found))
"""
)


@pytest.fixture
def decoy():
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield str(process.pid)
        process.kill()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of system calls of x86-64")
def test_other_processes_of_the_account_are_out_of_reach(jailpy, decoy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inside, outside = tried(jailpy, REACHES, argument=decoy)
    subprocess.run(["sh", "-c", "ipcs -m | awk '$1 ~ /^0x7a11/ {print $2}' | xargs -r -n1 ipcrm -m"], check=True)
    assert set(outside.values()) == {"worked"}, outside
    assert all(value in ("EPERM", "ESRCH", "EACCES") for value in inside.values()), inside


BY_FILE = """
import fcntl, os, signal, sys, time
reader, writer = os.pipe()
try:
    fcntl.fcntl(reader, fcntl.F_SETOWN, int(sys.argv[1]))
    fcntl.fcntl(reader, 10, signal.SIGKILL)
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC)
    os.write(writer, b"x")
except OSError:
    pass
"""
TO_ALL = "import os, signal, sys\nsignal.signal(15, signal.SIG_IGN)\ntry:\n    os.kill(-1, 9)\nexcept OSError:\n    pass\nprint('alive')"


def test_signals_by_way_of_a_file(jailpy, decoy):
    """F_SETOWN, F_SETSIG: the kernel sends the signal later, in the name of who set it (fcntl(2))."""
    assert go(jailpy, *python(BY_FILE, decoy)).status == 0
    assert alive_and_well(decoy)
    subprocess.run([PYTHON, "-I", "-c", BY_FILE, decoy], check=True)
    assert eventually(lambda: not alive_and_well(decoy)), "the control"


def test_signals_to_all(jailpy, decoy):
    """The launcher, init and the decoy have the same uid, under no-namespaces."""
    done = go(jailpy, *python(TO_ALL))
    assert done.verdict in ("ok", "signaled"), done.report
    assert done.verdict == "signaled" or done.out == b"alive\n"
    assert alive_and_well(decoy)


def alive_and_well(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")


def test_own_processes_are_within_reach(jailpy):
    """The control of the test above: what the rules leave is what programs need."""
    script = (
        ANSWER
        + """
child = os.fork()
if child == 0:
    import time; time.sleep(30)
print(json.dumps({
    "affinity": ask(os.sched_setaffinity, 0, os.sched_getaffinity(0)), "nice": ask(os.nice, 1),
    "own priority": ask(os.setpriority, os.PRIO_PROCESS, 0, 2), "stop": ask(os.kill, child, 19), "kill": ask(os.kill, child, 9),
}))
os.wait()
"""
    )
    inside, outside = tried(jailpy, script)
    assert set(inside.values()) == set(outside.values()) == {"worked"}


CHANGES = (
    ANSWER
    + """
path = sys.argv[1]
def open_and(act, *args):
    number = os.open(path, os.O_RDONLY)
    return act(number, *args)
print(json.dumps({
    "chmod": ask(os.chmod, path, 0o666), "chown": ask(os.chown, path, -1, os.getgid()), "utime": ask(os.utime, path),
    "setxattr": ask(os.setxattr, path, "user.x", b"x"), "getxattr": ask(os.listxattr, path), "truncate": ask(os.truncate, path, 0), "unlink": ask(os.unlink, path),
    "fchmod": ask(open_and, os.fchmod, 0o666) if os.path.exists(path) else "worked",
    "rename": ask(os.rename, path, path + "x") if os.path.exists(path) else "worked",
}))
"""
)


@pytest.mark.parametrize("shown", [True, False], ids=["shown", "not shown"])
def test_files_of_the_account_keep_modes_owners_times_and_names(jailpy, shown):
    """Landlock guards none of modes, owners, times and attributes: the filter does, or the run's own uid."""
    descriptor, path = tempfile.mkstemp(dir="/var/tmp", prefix="jailpy-test-")
    os.fchmod(descriptor, 0o644)
    os.write(descriptor, b"kept")
    os.utime(path, (1, 1))
    before = os.stat(path)
    try:
        inside = go(jailpy, *(["--ro", path] if shown else []), *python(CHANGES, path))
        answers = json.loads(inside.out)
        after = os.stat(path)
        assert "worked" not in answers.values(), answers
        assert (after.st_mode, after.st_uid, after.st_gid, after.st_mtime, after.st_size) == (
            before.st_mode, before.st_uid, before.st_gid, before.st_mtime, before.st_size,
        )  # fmt: skip
        outside = json.loads(subprocess.run([PYTHON, "-I", "-c", CHANGES, path], capture_output=True, check=True).stdout)
        assert {name for name, value in outside.items() if value != "worked"} <= {"setxattr"}, outside
    finally:
        os.close(descriptor)
        if os.path.exists(path):
            os.unlink(path)


def test_what_is_not_claimed_is_seen(jailpy):
    """The threat model says so: names that are guessed can be looked at, and the loader maps what was written."""
    script = (
        ANSWER
        + 'print(json.dumps({"stat": ask(os.stat, "/etc/passwd"), "open": ask(os.open, "/etc/passwd", 0), "list": ask(os.listdir, "/etc")}))'
    )
    inside, outside = tried(jailpy, script)
    assert outside == {"stat": "worked", "open": "worked", "list": "worked"}
    assert inside == {"stat": "worked", "open": "EACCES", "list": "EACCES"}
    loader = 'cat /bin/true >prog; for ld in /lib64/ld-linux-*; do "$ld" ./prog && echo mapped; done; ./prog || echo refused'
    done = shell(jailpy, loader)
    assert done.out.decode().split() == ["mapped", "refused"]


def test_sockets_of_the_host(jailpy, tmp_path):
    """Control: the same client outside gets through."""
    import socket

    path = tempfile.mkdtemp(prefix="jailpy-test-", dir="/var/tmp") + "/s"
    os.chmod(os.path.dirname(path), 0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(path)
            os.chmod(path, 0o777)
            listener.listen()
            script = (
                ANSWER + "import socket\nprint(json.dumps(ask(lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[1]))))"
            )
            inside, outside = tried(jailpy, script, argument=path)
        finally:
            os.unlink(path)
            os.rmdir(os.path.dirname(path))
    assert (inside, outside) == ("EPERM", "worked")


DAEMONS = """
import os, sys, time
for _ in range(5):
    if os.fork() == 0:
        for act in (os.setsid, lambda: os.setpgid(0, 0)):
            try:
                act()
            except OSError:
                pass
        if os.fork() == 0:
            import signal
            for number in set(range(1, 65)) - {9, 19, 32, 33}:
                signal.signal(number, signal.SIG_IGN)
            for n in (0, 1, 2):
                os.close(n)
            time.sleep(300)
        os._exit(0)
time.sleep(0.3)
print("up", flush=True)
time.sleep(float(sys.argv[1]))
"""


@pytest.mark.parametrize(("stay", "verdict"), [("0", "ok"), ("300", "wall_limit")])
def test_daemons_end_with_the_run(jailpy, stay, verdict):
    word = token()
    done = go(jailpy, "--wall", "2s", *python(DAEMONS, stay, word))
    assert done.verdict == verdict
    assert alive(word) == []


def test_a_fork_bomb_ends(jailpy):
    word = token()
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    done = go(jailpy, "--wall", "2s", "--set", "seccomp.deny=[]", *python(bomb, word))
    assert done.verdict in ("wall_limit", "cpu_limit", "process_limit", "memory_limit")
    assert alive(word) == []


def started(jailpy, word):
    process = start(jailpy, *BUILT_IN, "--wall", "100s", *python(DAEMONS, "300", word))
    assert process.stdout.readline() == b"up\n"
    assert len(alive(word)) >= 7
    return process


def init_of(launcher):
    """Return the launcher's child, and init's."""
    with open(f"/proc/{launcher}/task/{launcher}/children") as file:
        (child,) = file.read().split()
    return int(child)


def test_a_killed_launcher_takes_everything_along(jailpy):
    word = token()
    with started(jailpy, word) as process:
        process.kill()
    assert eventually(lambda: not alive(word)), alive(word)
    assert work_folders(process.pid), "its folder waits for the next start"
    shell(jailpy, "true")
    assert work_folders(process.pid) == []


def test_a_killed_init_is_noticed_and_nothing_lives_on(jailpy):
    word = token()
    with started(jailpy, word) as process:
        os.kill(init_of(process.pid), signal.SIGKILL)
        process.wait(timeout=20)
        assert process.returncode == 125
        assert alive(word) == []
    assert work_folders(process.pid) == []


HEADLESS = """
import ctypes, os, threading, time
def lose_first_thread():
    threading.Thread(target=time.sleep, args=(100,)).start()
    ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)  # exit(2), not exit_group(2)
if os.fork() == 0:
    os.closerange(0, 3)
    lose_first_thread()
print("up", flush=True)
lose_first_thread()
"""


def threads_of_group(group):
    """List the threads that run in a process group; what /proc/PID says of its first thread is not all of a process."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/stat") as file:
                    state, _, its_group = file.read().rpartition(")")[2].split()[:3]
                if int(its_group) == group and state not in "ZX":
                    found.append(int(thread))
        except OSError:
            continue  # ended since the listing
    return found


def test_what_looks_like_a_zombie_is_killed_as_well(jailpy):
    """A process whose first thread has ended is a zombie in /proc, and its other threads go on."""
    with start(jailpy, *BUILT_IN, "--wall", "100s", *python(HEADLESS)) as process:
        assert process.stdout.readline() == b"up\n"
        init = init_of(process.pid)
        group = init_of(init)  # the payload: its child that leads the group
        assert eventually(lambda: len(threads_of_group(group)) == 2), "control: both live, by another thread"
        os.kill(init, signal.SIGKILL)
        process.wait(timeout=20)
        assert process.returncode == 125
        assert threads_of_group(group) == []
    assert work_folders(process.pid) == []


def test_both_killed_at_once_is_not_claimed(jailpy):
    """The survivors that the report's note speaks of; where there is a cgroup the next start, anybody's, ends them."""
    word = token()
    with started(jailpy, word) as process:
        init = init_of(process.pid)
        left = set(alive(word)) - {process.pid, init}
        os.kill(init, signal.SIGSTOP)
        process.kill()
        os.kill(init, signal.SIGKILL)
    try:
        assert left & set(alive(word)), "what the note says does not happen (any more): tell so"
        if groups_of(process.pid):
            shell(jailpy, "true")
            assert eventually(lambda: not alive(word))
            assert groups_of(process.pid) == []
    finally:
        for pid in alive(word):
            os.kill(pid, signal.SIGKILL)
        shell(jailpy, "true")


def test_the_work_folder_is_bounded(jailpy):
    filler = "for i in 1 2 3 4 5 6; do head -c 600K /dev/zero >f$i; done; sleep 60"
    done = shell(jailpy, filler, "--disk", "2M", "--file-size", "700K")
    assert (done.verdict, done.evidence["limit"], done.status) == ("disk_limit", "disk", 137)
    assert done.evidence["measured"] > done.evidence["configured"] == 2 << 20
    assert done.seconds < 10 * PATIENCE
    within = shell(jailpy, filler.replace("; sleep 60", ""), "--disk", "8M", "--file-size", "700K")
    assert within.verdict == "ok"
    assert within.usage["disk_bytes"] >= 6 * 600 << 10


@pytest.mark.parametrize("script", [
    "import time, os\nfor n in range(500): open(str(n), 'w')\ntime.sleep(20)",
    "import time, os\nfor n in range(500): os.mkdir('d'); os.chdir('d')\ntime.sleep(20)",
], ids=["many", "deep"])  # fmt: skip
def test_files_are_counted_and_depth_hides_nothing(jailpy, script):
    done = go(jailpy, "--set", "limits.inodes=300", *python(script))
    assert (done.verdict, done.evidence["limit"]) == ("disk_limit", "inodes")


@pytest.mark.parametrize("mode", ["700", "300"])
def test_a_folder_that_cannot_be_listed_hides_nothing(jailpy, mode):
    """Whoever may write into a folder and search it can fill it; to list it takes a right that the payload leaves out."""
    filler = f"mkdir -m {mode} d; for i in 1 2 3 4 5 6; do head -c 600K /dev/zero >d/f$i; done; sleep 60"
    done = shell(jailpy, filler, "--disk", "2M", "--file-size", "700K")
    assert (done.verdict, done.evidence["limit"]) == ("disk_limit", "disk")


def test_a_file_of_two_names_is_counted_once(jailpy):
    done = shell(jailpy, "head -c 1400K /dev/zero >a; ln a b; sleep 0.3", "--disk", "2M", "--file-size", "2M")
    assert done.verdict == "ok", done.evidence
    assert 1400 << 10 <= done.usage["disk_bytes"] < 2 << 20
    assert done.usage["inodes"] == 2


def test_whatever_it_leaves_is_removed(jailpy):
    script = """
import os
os.mkdir("none", 0)
os.mkdir("full"); open("full/x", "w"); os.symlink("/etc", "full/link"); os.mkfifo("full/pipe")
open(b"\\xff\\n", "w")
for n in range(1500):
    os.mkdir("d" * 200); os.chdir("d" * 200)
"""
    done = go(jailpy, "--set", "limits.inodes=100000", *python(script))
    assert done.verdict in ("ok", "disk_limit"), done.err
    assert os.path.isdir("/etc")


def test_environment_and_descriptors(jailpy, tmp_path):
    (tmp_path / "secret").write_text("s")
    with open(tmp_path / "secret") as leak:
        os.set_inheritable(leak.fileno(), True)
        script = "import json, os\nprint(json.dumps([sorted(os.environ), [n for n in range(100) if os.path.exists(f'/proc/self/fd/{n}')]]))"
        done = go(jailpy, *python(script), close_fds=False, env={**os.environ, "SECRET": "x"})
    names, numbers = json.loads(done.out)
    assert "SECRET" not in names
    assert {"HOME", "PATH", "TMPDIR"} <= set(names)
    assert numbers == [0, 1, 2]


def test_signals_are_forwarded_once(jailpy):
    with start(
        jailpy, *BUILT_IN, "--", "sh", "-c", "trap 'echo got; exit 3' TERM; echo up; while :; do sleep 0.1; done"
    ) as process:
        assert process.stdout.readline() == b"up\n"
        process.terminate()
        assert process.stdout.read() == b"got\n"
    assert process.returncode == 143


@pytest.mark.skipif("CI" not in os.environ and not os.path.exists("/usr/bin/gcc"), reason="gcc is not installed")
def test_real_programs_run(jailpy, need_tool, tmp_path):
    need_tool("gcc")
    (tmp_path / "a.c").write_text('#include <stdio.h>\nint main() { puts("compiled"); }\n')
    options = ["--put", tmp_path / "a.c", "--set", "filesystem.exec=any", "--processes", "64", "--wall", "60s", "--cpu", "60s"]
    done = go(jailpy, *options, "--", "sh", "-c", "gcc -o a a.c; sh -c ./a || echo no mode")
    assert done.out.decode().strip() in ("compiled", "no mode"), done.err
    assert (done.out == b"compiled\n") or not ROOT


def test_namespaces_are_used_where_they_are_only_preferred(jailpy, tmp_path):
    names = ", ".join(f'"{name}"' for name in NAMESPACES)
    taken = ", ".join(f'"!{name}"' for name in NAMESPACES)
    text = f'schema = 1\nextends = ["strict"]\n[require]\nlayers = [{taken}]\nprefer = [{names}]\ntiers = ["{TIER}"]\n'
    (tmp_path / "either.toml").write_text(text)
    with_them = execute(jailpy, "-p", tmp_path / "either.toml", "--", "id", "-u")
    assert with_them.report["tiers"] == []
    assert with_them.out == b"1000\n"
    assert {layer["state"] for layer in with_them.report["layers"] if layer["name"] in NAMESPACES} == {"enforced"}
    behind = tmp_path / "behind"
    behind.write_text(f"#!{sys.executable}\n{REFUSING}")
    behind.chmod(0o755)
    without = execute(str(behind), "-p", tmp_path / "either.toml", "--", "pwd")
    assert without.report["tiers"] == [TIER], without.err
    assert b"/work\n" in without.out
    assert {layer["state"] for layer in without.report["layers"] if layer["name"] in NAMESPACES} == {"absent"}


REFUSING = """
import os, sys
sys.path.insert(0, %r)
import pyseccomp
building = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
for name, number in (("unshare", 1), (435, 38), ("mount", 1)):
    building.add_rule(pyseccomp.ERRNO(number), name)
building.add_rule(pyseccomp.ERRNO(1), "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, 0x10000000, 0x10000000))
building.load()
os.environ["PYTHONPATH"] = %r
os.execv(sys.executable, [sys.executable, "-P", "-m", "jailpy", *sys.argv[1:]])
""" % ((os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),) * 2)


def test_the_python_interface_has_the_tiers_too():
    import jailpy as package

    with package.Launcher(profile=PROFILE) as launcher:
        done = list(launcher.map([["sh", "-c", "pwd; echo x >left; ls"]] * 4))
    assert all(each.stdout.endswith(b"/work\nleft\n") for each in done)
    assert {tuple(each.report()["tiers"]) for each in done} == {(TIER,)}
    assert len({each.stdout for each in done}) == 4, "a folder of its own for each"
