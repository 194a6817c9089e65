"""Limits without a cgroup: the tier "no-cgroup", on a host whose cgroups are covered. Each limit beside a run within it."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys

import pytest

from jailpy.kernel import process
from tests.core import KERNEL, PATIENCE, alive, eventually, execute, python, start, token
from tests.kernel.test_limits import BOMB, BURN, CPU_EATERS, FORK, MEMORY_EATERS, MIB, SURVIVORS, THREADS, limit, ok
from tests.weaker import ROOT, on_weaker_host

pytestmark = pytest.mark.usefixtures("python3")
SAMPLED = r"sampled every \d+ ms from /proc, at most \d+ ms apart$"
ACCEPT = ("--set", 'require.tiers=["no-cgroup"]')
EATERS = {  # what is held long enough for a look; memory of memfds and pipes is mapped nowhere
    **{
        name: script + "\nimport time; time.sleep(5)"
        for name, script in MEMORY_EATERS.items()
        if name not in ("memfd", "pipes")
    },
    "a grandchild": MEMORY_EATERS["a grandchild"].replace("os._exit(0)", "time.sleep(60)"),
    "behind a first thread that has ended": """
import ctypes, mmap, os, threading, time
def eat():
    time.sleep(0.2)
    held = mmap.mmap(-1, 200<<20)
    for at in range(0, 200<<20, 4096):
        held[at] = 1
    time.sleep(5)
    os._exit(0)
threading.Thread(target=eat).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)  # exit(2), not exit_group(2)
""",
}
VFORK = """
import os, time
os.mkfifo("f")
if os.fork() == 0:
    time.sleep(0.8)
    os.close(os.open("f", os.O_WRONLY))
    os._exit(0)
x = b"x" * (40<<20)
waits = [(os.POSIX_SPAWN_OPEN, 5, "f", os.O_RDONLY, 0)]
print(os.waitpid(os.posix_spawn("/bin/true", ["true"], {}, file_actions=waits), 0)[1])
"""


@pytest.fixture
def python3(need_tool):
    return need_tool("python3")


@pytest.fixture(scope="session")
def bare(tmp_path_factory, jailpy):
    """A `jailpy` command where there is no cgroup."""
    return on_weaker_host(tmp_path_factory.mktemp("bare"), jailpy, "cgroup")


def run(bare, *words, **options):
    return execute(bare, *ACCEPT, *words, **options)


def layer(done, name):
    return next(found for found in done.report["layers"] if found["name"] == name)


def test_strict_refuses_and_each_way_to_accept_is_told(bare):
    refused = execute(bare, "--", "true")
    assert (refused.verdict, refused.status) == ("not_started", 125)
    assert b"error: cgroup: the memory controller is missing" in refused.err
    for accepted in (ACCEPT, ("--allow-missing", "cgroup")):
        done = execute(bare, *accepted, "--", "true")
        ok(done)
        assert done.report["tiers"] == ["no-cgroup"]
        assert layer(done, "cgroup")["state"] == "degraded"
        assert "a watching supervisor" in layer(done, "cgroup")["mechanism"]
        assert "no group; /proc shows the payload's memory" in layer(done, "cgroup")["verified"]
        notes = " ".join(done.report["notes"])
        assert "memory is sampled: a burst between two looks" in notes
        assert "cpu is sampled" in notes
        assert "RLIMIT_NPROC refuses exactly" in notes


def test_with_a_cgroup_nothing_is_sampled(jailpy):
    done = execute(jailpy, *ACCEPT, *python("import time; time.sleep(0.3)"))
    ok(done)
    assert done.report["tiers"] == []
    assert layer(done, "cgroup")["state"] == "enforced"
    assert "sampled" not in str(done.report)


@pytest.mark.parametrize("how", EATERS)
def test_memory_is_watched(bare, how):
    word = token()
    options = ["--memory", "64M", "--disk", "1G", "--file-size", "1G", "--wall", "40s", "--cpu", "20s"]
    done = run(bare, *options, *python(EATERS[how].replace("200<<20", "150<<20"), word))
    evidence = limit(done, "memory", 137)
    assert evidence["configured"] == 64 * MIB
    assert evidence["measured"] > 64 * MIB
    assert re.search("shared pages divided among their processes: " + SAMPLED, evidence["source"])
    assert alive(word) == []


def test_a_burst_between_two_looks_is_told(bare):
    """It slips through as a limit; the kernel's own peak of the largest process does not."""
    done = run(bare, "--memory", "64M", *python("x=b'x'*(66<<20)\nimport os\nos._exit(0)"))
    if done.verdict == "memory_limit":
        pytest.skip("a look fell into the burst")
    assert done.usage["memory_peak_bytes"] > 64 * MIB
    assert "ru_maxrss" in done.usage["sources"]["memory_peak_bytes"]
    assert any("above the memory limit, between two looks" in note for note in done.report["notes"])


def test_memory_within_the_limit_is_left_alone(bare):
    ok(run(bare, "--memory", "64M", *python("x=b'x'*(32<<20)\nimport time; time.sleep(0.3)")))
    shared = "x=b'x'*(40<<20)\nfor i in range(4):\n if os.fork()==0: time.sleep(0.5); os._exit(0)\nfor i in range(4): os.wait()"
    done = run(bare, "--memory", "128M", *python(FORK + shared))
    ok(done)  # 200 MB by what each process has, 40 MB by what there is


def test_a_child_that_uses_its_parents_memory_is_not_counted_again(bare):
    """posix_spawn(3) is vfork(2) in glibc: until execve, both have all of the parent's pages, and nobody else has them."""
    try:
        process.same_memory(os.getpid(), os.getpid())
    except OSError as error:
        pytest.skip(f"kcmp(2): {error.strerror}")
    done = run(bare, "--memory", "64M", *python(VFORK))
    ok(done)
    assert done.out == b"0\n"
    assert done.seconds > 0.8, "control: it did wait before execve"
    assert limit(run(bare, "--memory", "64M", *python(VFORK.replace("40<<20", "70<<20"))), "memory", 137)


def test_memory_of_one_request_is_bounded_by_an_rlimit(bare):
    script = "import mmap,sys\ntry: mmap.mmap(-1, {}, mmap.MAP_PRIVATE|mmap.MAP_ANONYMOUS)\nexcept OSError: sys.exit(7)"
    few = ("--memory", "64M", "--stack", "1M", "--processes", "8")
    assert run(bare, *few, *python(script.format(140 * MIB))).status == 7
    ok(run(bare, *few, *python(script.format(100 * MIB))))
    assert "data" in layer(run(bare, "--", "true"), "rlimits")["mechanism"]


def test_memfds_are_denied_where_nobody_could_count_them(bare, jailpy):
    script = "import os\nos.memfd_create('m', 8)"
    done = run(bare, *python(script))
    assert done.status == 1
    (denied,) = done.report["violations"]
    assert (denied["what"], denied["allow_with"]) == ("memfd_create", '[seccomp] allow = ["memfd_create"]')
    for done in run(bare, "--set", 'seccomp.allow=["memfd_create"]', *python(script)), execute(jailpy, *python(script)):
        if KERNEL >= (6, 3):
            ok(done)
        else:  # the filter lets it through, and the kernel does not know such memfds
            assert (done.status, done.report["violations"]) == (1, [])
            assert b"Invalid argument" in done.err


def test_memory_peak_of_a_known_allocation(bare):
    done = run(bare, *python("x=bytearray(b'x')*(48<<20)\nimport time; time.sleep(0.3)"))
    ok(done)
    assert 48 * MIB < done.usage["memory_peak_bytes"] < 64 * MIB
    short = run(bare, "--", "true").usage
    assert short["memory_peak_bytes"] is None or short["memory_peak_bytes"] < 16 * MIB
    assert ("memory_peak_bytes" in short["sources"]) == (short["memory_peak_bytes"] is not None)


@pytest.mark.parametrize("how", CPU_EATERS)
def test_cpu_counts_every_task(bare, how):
    word = token()
    done = run(bare, "--cpu", "400ms", "--wall", "30s", *python(CPU_EATERS[how], word))
    evidence = limit(done, "cpu", 124)
    assert 0.4 <= evidence["measured"] < 0.8
    assert re.match("stat of each process: " + SAMPLED, evidence["source"])
    assert alive(word) == []


def test_cpu_of_children_that_nobody_waits_for(bare):
    """The kernel forgets their time (SIGCHLD ignored); what was seen of it counts."""
    child = BURN.format(0.1).replace("\n", "\n  ")
    script = FORK + f"signal.signal(17, signal.SIG_IGN)\nfor i in range(200):\n if os.fork()==0:\n  {child}\n  os._exit(0)\n"
    done = run(bare, "--cpu", "500ms", "--wall", "30s", *python(script + " time.sleep(0.1)"))
    limit(done, "cpu", 124)


def test_cpu_leaves_waiting_alone(bare):
    ok(run(bare, "--cpu", "1s", *python("import time; time.sleep(2)")))  # an emulated processor needs 400 ms to start Python


@pytest.mark.parametrize("way", ["one process", "children that end between two looks"])
def test_cpu_time_is_measured_to_a_twentieth(bare, way):
    body = BURN.format(1.0)
    if way != "one process":
        child = BURN.format(0.02).replace("\n", "\n  ")
        body = FORK + f"for i in range(40):\n if os.fork()==0:\n  {child}\n  os._exit(0)\n os.wait()"
    script = body + "\nimport resource,sys\nu=[resource.getrusage(w) for w in (0,-1)]\n"
    done = run(bare, "--cpus", "2", "--wall", "20s", *python(script + "print(sum(x.ru_utime+x.ru_stime for x in u))"))
    ok(done)
    assert float(done.out) == pytest.approx(done.usage["cpu_s"], rel=0.05)
    assert done.usage["user_s"] + done.usage["system_s"] == pytest.approx(done.usage["cpu_s"], rel=0.001)
    assert done.usage["sources"]["cpu_s"] == "wait4 rusage of init and all that ended before it"


def test_idle_is_told_from_busy(bare):
    evidence = limit(run(bare, "--idle", "400ms", *python("import time; time.sleep(60)")), "idle", 124)
    assert 0.4 <= evidence["measured"] < 1.5
    ok(run(bare, "--idle", "1500ms", "--wall", "60s", *python(BURN.format(1.6))))  # more than a loaded machine lets it wait


def test_processes_are_refused_exactly_at_the_limit(bare):
    """RLIMIT_NPROC counts in the jail's own user namespace; the kernel leaves no evidence, so there is no limit verdict."""
    word = token()
    done = run(bare, "--processes", "12", *python(BOMB.format(then="os._exit(3)"), word))
    assert done.out == b"11 11\n", "the payload itself is the twelfth; EAGAIN"
    assert (done.verdict, done.status, done.evidence) == ("nonzero_exit", 3, None)
    assert alive(word) == []
    done = run(bare, "--processes", "12", *python(THREADS.format(3)))
    assert done.out == b"11\n"
    lasting = run(bare, *python(BOMB.format(then="0").replace("200", "7") + "time.sleep(0.5)"))
    assert lasting.usage["processes_peak"] == 8
    assert re.match("tasks: " + SAMPLED, lasting.usage["sources"]["processes_peak"])


@pytest.mark.parametrize("how", SURVIVORS)
def test_the_first_process_ends_the_run(bare, how):
    word = token()
    ok(run(bare, *python(SURVIVORS[how], word)))
    assert alive(word) == []


def test_a_family_that_renews_itself_is_seen(bare):
    """Each process lives for less than a look and hands its memory on by fork."""
    chain = "x=b'x'*(80<<20)\nif os.fork()==0:\n while True:\n  if os.fork(): os._exit(0)\ntime.sleep(60)"
    done = run(bare, "--memory", "64M", "--wall", "20s", *python(FORK + chain))
    assert done.verdict == "memory_limit", done.report


def test_the_supervisor_stays_cheap(bare):
    """What looking costs: the launcher's CPU time beside that of the same run with nothing to watch for."""

    def cost(*words):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ok(run(bare, "--wall", "20s", *words))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return sum(getattr(after, name) - getattr(before, name) for name in ("ru_utime", "ru_stime"))

    sleepers = FORK + "for i in range(20):\n if os.fork()==0: time.sleep({0}); os._exit(0)\ntime.sleep({0})"
    more = cost(*python(sleepers.format(3.2))) - cost(*python(sleepers.format(0.2)))
    assert more < 3 * 0.15 * PATIENCE, "3 s of watching 21 processes"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a /proc with hidepid")
def test_a_proc_that_hides_other_accounts(need_tool):
    start = [need_tool("setpriv"), "--reuid", "1000", "--regid", "1000", "--clear-groups", sys.executable, "-P", "-m", "jailpy"]
    words = [*start, "exec", *ACCEPT, "--memory", "64M", *python(MEMORY_EATERS["heap"])]
    hidden = [sys.executable, "-P", os.path.join(ROOT, "tests", "kernel", "weakened.py"), "hidepid,cgroup", *words]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": ROOT, "HOME": "/nonexistent"}
    done = subprocess.run(hidden, capture_output=True, timeout=60, check=False, cwd="/", env=environment)
    assert done.returncode == 137
    assert b"memory_limit" in done.stderr


def test_a_killed_launcher_leaves_nothing(bare):
    word = token()
    with start(bare, *ACCEPT, *python("print('x',flush=True); import time; time.sleep(60)", word)) as launcher:
        assert launcher.stdout.read(1) == b"x"
        launcher.kill()
    assert eventually(lambda: alive(word) == [])
