"""Attacks that are made from outside of the jail, or that take two jails. Each beside what happens without it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time

import pytest

import jailpy as package
from tests.core import PYTHON, alive, eventually, execute, python, start, token

DENIED = (
    "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nprint(libc.ptrace(0, 0, 0, 0), ctypes.get_errno(), flush=True)"
)


@pytest.fixture(scope="module")
def launcher():
    with package.Launcher() as found:
        yield found


def test_a_stopped_supervisor_lets_nothing_through(jailpy):
    script = f"input()\n{DENIED}"
    with start(jailpy, *python(script), stdin=subprocess.PIPE) as process:
        assert eventually(lambda: children(process.pid))
        payload = eventually(lambda: [pid for init in children(process.pid) for pid in children(init)])[0]
        process.send_signal(signal.SIGSTOP)
        process.stdin.write(b"\n")
        process.stdin.close()
        time.sleep(1)
        assert state(payload) in "SD", "the call waits"
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read() == b"-1 1\n"
        assert process.wait(20) == 0


def children(pid):
    """List the children of a process; a launcher also has some that end at once."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def state(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_a_working_folder_behind_a_descriptor_is_refused(jailpy, tmp_path):
    number = os.open("/", os.O_RDONLY)
    os.set_inheritable(number, True)
    try:
        for folder in (f"/proc/self/fd/{number}", f"/proc/self/fd/{number}/../..", "/proc/self/cwd"):
            done = execute(jailpy, "--workdir", folder, "--", "pwd", pass_fds=[number])
            assert (done.status, done.verdict, done.out) == (125, "not_started", b""), folder
        # the caller's own folder may be such a place: the payload's is its work folder all the same
        done = execute(jailpy, "--", "pwd", pass_fds=[number], cwd=f"/proc/self/fd/{number}")
        assert (done.status, done.out) == (0, b"/work\n")
    finally:
        os.close(number)


def test_words_of_the_command_are_no_options(jailpy):
    done = execute(jailpy, "--", "--rw", "/", "--", "true")
    assert (done.status, done.verdict) == (127, "not_started")
    assert done.report["command"] == ["--rw", "/", "--", "true"]
    assert execute(jailpy, "--", "echo", "--profile=observe", "-p", "observe").out == b"--profile=observe -p observe\n"


def charged():
    """Return the bytes that the memory controller counts for this process's own cgroup, of all below it too."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        lines = [line.rstrip("\n").split(":", 2) for line in file]
    for _, controllers, path in lines:
        if "memory" in controllers.split(","):
            name = f"/sys/fs/cgroup/memory{path}/memory.usage_in_bytes"
        elif not controllers:
            name = f"/sys/fs/cgroup{path}/memory.current"
        else:
            continue
        if os.path.exists(name):
            with open(name, encoding="ascii") as file:
                return int(file.read())
    return None


def test_pages_of_ended_runs_are_given_back(launcher):
    """On version 1, pages of a dead group are charged to its parent (moby#39004)."""
    fill = [PYTHON, "-c", "open('/dev/shm/x', 'wb').write(bytes(18 << 20)); open('/work/y', 'wb').write(bytes(18 << 20))"]
    assert launcher.run(fill).verdict == "ok"
    free, own = available(), charged()
    for _ in range(15):
        assert launcher.run(fill).verdict == "ok"
    grown = [free - available()] + ([] if own is None else [charged() - own])
    assert max(grown) < 200 << 20, f"15 runs of 36 MiB each left {grown}"


def available():
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable"))


def test_an_oom_kill_takes_its_own_jail_alone(launcher):
    word = token()
    with launcher.popen([PYTHON, "-c", "import time; time.sleep(30)", word], memory="64M") as neighbour:
        assert eventually(lambda: alive(word))
        for _ in range(3):
            done = launcher.run([PYTHON, "-c", "x = [bytearray(1 << 20) for _ in range(99)]"], memory="32M")
            assert done.verdict == "memory_limit"
        assert neighbour.poll() is None
        neighbour.kill()
        assert neighbour.wait().verdict == "cancelled"
    assert launcher.stats()["server_starts"] == 1


BOMBS = {
    "a large object": ("int a[1 << 28] = {1}; int main(void) { return a[0]; }", ["gcc", "-o", "a.out", "a.c"]),
    "endless includes": ('#include "a.c"\n#include "a.c"\n', ["gcc", "-c", "a.c"]),
    "an endless file": ('#include "/dev/zero"\n', ["gcc", "-c", "a.c"]),
    "macros": (
        "#define A x x x x x x x x\n"
        + "".join(f"#define {b} {' '.join([a] * 8)}\n" for a, b in zip("ABCDEFGH", "BCDEFGHI", strict=True))
        + "I\n",
        ["gcc", "-E", "-o", "/dev/null", "a.c"],
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_compiler_bomb_ends_within_the_limits(launcher, need_tool, tmp_path, name):
    need_tool("gcc")
    source, command = BOMBS[name]
    (tmp_path / "a.c").write_text(source)
    bounds = {
        "profile": "build",
        "memory": "128M",
        "disk": "64M",
        "file_size": "32M",
        "wall": "8s",
        "cpu": "2s",
        "output": "1M",
    }
    began = time.monotonic()
    done = launcher.run(command, put=[str(tmp_path / "a.c")], **bounds)
    assert done.verdict in ("nonzero_exit", "memory_limit", "cpu_limit", "disk_limit", "output_limit", "file_size_limit")
    assert time.monotonic() - began < 12
    (tmp_path / "a.c").write_text("int main(void) { return 0; }")
    assert launcher.run(["gcc", "-c", "a.c"], put=[str(tmp_path / "a.c")], **bounds).verdict == "ok", "control"


def test_a_crash_leaves_no_core(launcher, tmp_path):
    script = "import os, sys; os.abort()"
    done = launcher.run([PYTHON, "-c", script], get=[f"core:{tmp_path}/core"], rw=[f"{tmp_path}:/work/out"], cwd="/work/out")
    assert (done.verdict, done.returncode) == ("signaled", -signal.SIGABRT)
    assert os.listdir(tmp_path) == []


LOOK = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None)
word, found = sys.argv[1].encode()[::-1], []
for pid in range(1, 70000):
    try:
        os.kill(pid, 0)
    except OSError:
        continue
    try:
        found += [pid] if word in open(f"/proc/{pid}/cmdline", "rb").read() else []
    except OSError:
        pass
print(found)
"""


def test_jails_of_one_account_do_not_reach_each_other(launcher):
    word = token()
    with launcher.popen([PYTHON, "-c", "import time; time.sleep(30)", word]) as neighbour:
        assert eventually(lambda: alive(word))
        outside = subprocess.run([PYTHON, "-c", LOOK, word[::-1]], capture_output=True, check=True)
        assert json.loads(outside.stdout) != [], "control: outside it is found"
        inside = launcher.run([PYTHON, "-c", LOOK, word[::-1]], check=True, wall="30s")
        assert inside.stdout == b"[]\n"
        assert neighbour.poll() is None
        neighbour.kill()


FLIGHT = """
import array, socket, sys
ends, held = [], 0
try:
    while held < 2000:
        ends.append(socket.socketpair())
        ends[-1][0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1] * 250))])
        held += 250
except OSError as error:
    print(held, error.strerror, flush=True)
sys.stdin.read()
"""


def test_descriptors_left_in_sockets_keep_no_other_jail_from_starting(launcher, jailpy):
    """An account has no more descriptors on their way than the sender may have open (unix(7)): 64 in a jail, which one fills."""
    command = [PYTHON, "-c", FLIGHT]
    with launcher.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as hoarder:
        assert hoarder.stdout.readline() == b"250 Too many references: cannot splice\n"
        assert launcher.run(["echo", "warm"]).stdout == b"warm\n"
        assert execute(jailpy, "--", "echo", "cold").out == b"cold\n"
        # the control: no other jail of the account gets a descriptor on its way meanwhile (started by root, each has a uid of its own)
        held = 250 if os.geteuid() == 0 else 0
        assert launcher.run(command, text=True).stdout == f"{held} Too many references: cannot splice\n"


def test_a_million_mappings_cost_the_supervisor_nothing(launcher):
    """As many as the kernel gives one process: vm.max_map_count, 65530 where nobody has raised it."""
    script = """
import mmap
kept = []
try:
    while len(kept) < 100000:
        kept.append(mmap.mmap(-1, 4096, prot=mmap.PROT_READ if len(kept) & 1 else mmap.PROT_READ | mmap.PROT_WRITE))
except OSError:
    pass
print(len(kept) > 10000)
"""
    before = largest(launcher)
    done = launcher.run([PYTHON, "-c", script], wall="30s", cpu="20s", set={"limits.open_files": 1024})
    assert (done.verdict, done.stdout) == ("ok", b"True\n"), done.stderr
    assert largest(launcher) - before < 20 << 20


def largest(launcher):
    """Return the memory of the largest of a launcher's workers."""
    sizes = [0]
    for pid in children(launcher._server._process.pid):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            sizes += [int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS")]
    return max(sizes)
