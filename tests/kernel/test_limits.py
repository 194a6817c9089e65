"""Every limit: that it acts, its verdict with evidence and source, the exit status, and that a run within it is left alone."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import threading
import time

import pytest

from tests.core import PATIENCE, alive, execute, python, start, token

pytestmark = pytest.mark.usefixtures("python3")
MIB = 1 << 20
MFD_NOEXEC_SEAL = 8  # Linux 6.3
BURN = "import time\nend=time.process_time()+{}\nwhile time.process_time()<end: pass\n"
FORK = "import os,signal,time\n"


@pytest.fixture
def python3(need_tool):
    return need_tool("python3")


def limit(done, name, status, verdict=None):
    """Check the shape of a limit verdict: status, evidence with numbers and a source, and words for the person."""
    assert done.verdict == (verdict or f"{name}_limit"), done.err
    assert done.status == status
    assert done.evidence["limit"] == name
    assert done.evidence["source"]
    assert done.verdict.encode() in done.err
    return done.evidence


def ok(done):
    assert (done.verdict, done.status, done.evidence) == ("ok", 0, None), (done.report, done.err)


def test_wall_ends_a_sleeper(jailpy):
    word = token()
    done = execute(jailpy, "--wall", "300ms", *python("import time; time.sleep(60)", word))
    evidence = limit(done, "wall", 124)
    assert evidence["configured"] == 0.3
    assert 0.3 <= evidence["measured"] < 1.5
    assert evidence["source"] == "CLOCK_MONOTONIC"
    assert (done.report["exit_code"], done.report["signal"]) == (None, 9)
    assert alive(word) == []
    ok(execute(jailpy, "--wall", "20s", *python("import time; time.sleep(0.4)")))


CPU_EATERS = {
    "alone": BURN.format(30),
    "in a child": FORK + "pid=os.fork()\nif pid==0:\n " + BURN.format(30).replace("\n", "\n ") + "\nos.wait()",
    "in a child that was waited for": FORK + "for i in range(100):\n if os.fork()==0:\n  "
    + BURN.format(0.1).replace("\n", "\n  ") + "\n  os._exit(0)\n os.wait()",
    "in threads": "import threading,hashlib\nd=bytes(1<<20)\ndef f():\n while True: hashlib.sha256(d)\n"
    "for i in range(3): threading.Thread(target=f).start()",
    "after a double fork": FORK + "if os.fork()==0:\n os.setsid()\n if os.fork()==0:\n  "
    + BURN.format(30).replace("\n", "\n  ") + "\n os._exit(0)\nos.wait()\ntime.sleep(60)",
}  # fmt: skip


@pytest.mark.parametrize("how", CPU_EATERS)
def test_cpu_counts_every_task(jailpy, how):
    word = token()
    done = execute(jailpy, "--cpu", "400ms", "--wall", "30s", *python(CPU_EATERS[how], word))
    evidence = limit(done, "cpu", 124)
    assert evidence["configured"] == 0.4
    assert 0.4 <= evidence["measured"] < 0.8
    assert re.match(r"cgroup[12] cpu", evidence["source"])
    assert alive(word) == []


def test_cpu_leaves_waiting_alone(jailpy):
    ok(execute(jailpy, "--cpu", "400ms", *python("import time; time.sleep(1)")))


@pytest.mark.parametrize("way", ["one process", "two children, one after the other"])
def test_cpu_time_is_measured_to_a_twentieth(jailpy, way):
    body = BURN.format(1.0)
    if way != "one process":
        child = BURN.format(0.5).replace("\n", "\n  ")
        body = FORK + f"for i in range(2):\n if os.fork()==0:\n  {child}\n  os._exit(0)\n os.wait()"
    script = body + "\nimport resource,sys\nu=[resource.getrusage(w) for w in (0,-1)]\n"
    script += "print(sum(x.ru_utime+x.ru_stime for x in u))"
    done = execute(jailpy, "--cpus", "2", "--wall", "20s", *python(script))
    ok(done)
    own = float(done.out)
    assert own == pytest.approx(done.usage["cpu_s"], rel=0.05), "what the payload's own clocks say"
    assert done.usage["user_s"] + done.usage["system_s"] == pytest.approx(done.usage["cpu_s"], rel=0.05)
    assert done.usage["wall_s"] >= done.usage["cpu_s"] * 0.95


def test_idle_ends_silence(jailpy):
    word = token()
    done = execute(jailpy, "--idle", "400ms", *python("import time; time.sleep(60)", word))
    evidence = limit(done, "idle", 124)
    assert 0.4 <= evidence["measured"] < 1.5
    assert alive(word) == []


@pytest.mark.parametrize(
    "busy", ["import time\nfor i in range(40): print(i,flush=True); time.sleep(0.1)", BURN.format(4)], ids=["output", "cpu"]
)
def test_idle_leaves_the_busy_alone(jailpy, busy):
    ok(execute(jailpy, "--idle", "2s", "--wall", "60s", "--cpus", "2", *python(busy)))


MEMORY_EATERS = {
    "heap": "x=[]\nwhile True: x.append(bytearray(1<<20))",
    "children": FORK + "for i in range(8):\n if os.fork()==0:\n  x=b'x'*(16<<20)\n  time.sleep(60)\nwhile True: os.wait()",
    "a grandchild": FORK + "if os.fork()==0:\n os.setsid()\n if os.fork()==0:\n  x=b'x'*(200<<20)\n os._exit(0)\ntime.sleep(60)",
    "tmpfs": "f=open('/tmp/f','wb')\nwhile True: f.write(b'x'*(1<<20)); f.flush()",
    "shm": "f=open('/dev/shm/f','wb')\nwhile True: f.write(b'x'*(1<<20)); f.flush()",
    "memfd": "import os\nfd=os.memfd_create('m',8)\nwhile True: os.write(fd,b'x'*(1<<20))",
    "anonymous mapping": "import mmap\nm=mmap.mmap(-1,200<<20)\nfor i in range(0,200<<20,4096): m[i]=1",
    "pipes": "import fcntl,os,time\nk=[os.pipe() for i in range(20)]\nx=b'x'*(128<<20)",
}  # fmt: skip


def need_sealed_memfds():
    try:
        os.close(os.memfd_create("probe", MFD_NOEXEC_SEAL))
    except OSError:
        pytest.skip("this kernel has no MFD_NOEXEC_SEAL")


@pytest.mark.parametrize("how", MEMORY_EATERS)
def test_memory_kills_the_whole_run(jailpy, how):
    if how == "memfd":
        need_sealed_memfds()
    word = token()
    options = ["--memory", "64M", "--disk", "1G", "--file-size", "1G", "--wall", "40s", "--cpu", "20s"]
    done = execute(jailpy, *options, *python(MEMORY_EATERS[how], word))
    evidence = limit(done, "memory", 137)
    assert evidence["configured"] == 64 * MIB
    assert 0.95 * 64 * MIB <= evidence["measured"] <= 64 * MIB
    assert re.match(r"memory\.(events|oom_control) oom_kill=[1-9]", evidence["source"])
    assert alive(word) == []


def test_memory_within_the_limit_is_left_alone(jailpy):
    ok(execute(jailpy, "--memory", "64M", *python("x=b'x'*(32<<20)")))
    ok(execute(jailpy, "--memory", "128M", *python("open('/tmp/f','wb').write(b'x'*(32<<20))")))


@pytest.mark.parametrize("size", [16, 48])
def test_memory_peak_is_that_of_a_known_allocation(jailpy, size):
    base = execute(jailpy, *python("pass")).usage
    done = execute(jailpy, *python(f"x=bytearray(b'x')*({size}<<20)"))
    grown = done.usage["memory_peak_bytes"] - base["memory_peak_bytes"]
    assert abs(grown - size * MIB) < 3 * MIB
    assert base["memory_peak_bytes"] < 16 * MIB
    assert re.match(r"cgroup[12] memory", done.usage["sources"]["memory_peak_bytes"])


def test_swap_is_no_way_out(jailpy):
    with open("/proc/swaps", encoding="utf-8") as file:
        if len(file.read().splitlines()) < 2:
            pytest.skip("this host has no active swap, so nothing can be swapped out")
    limit(execute(jailpy, "--memory", "32M", "--set", 'limits.swap="0"', *python("x=b'x'*(200<<20)")), "memory", 137)


def test_a_refused_memory_request_is_noted_and_no_verdict(jailpy):
    script = "import mmap,resource,sys\ntry: mmap.mmap(-1, 1<<46)\nexcept (OSError,MemoryError,ValueError): sys.exit(7)"
    done = execute(jailpy, "--memory", "64M", *python(script))
    assert (done.verdict, done.status) == ("nonzero_exit", 7)
    assert done.evidence is None


BOMB = (
    FORK
    + """
made=0
try:
    for i in range(200):
        if os.fork()==0: time.sleep(60); os._exit(0)
        made+=1
except OSError as e: print(made,e.errno,flush=True); {then}
"""
)
THREADS = """
import threading,time,sys
made=0
try:
    for i in range(200):
        threading.Thread(target=time.sleep,args=(60,),daemon=True).start(); made+=1
except RuntimeError: print(made,flush=True); sys.stdout.flush(); import os; os._exit({})
"""


def test_processes_are_refused_exactly_at_the_limit(jailpy):
    word = token()
    done = execute(jailpy, "--processes", "12", *python(BOMB.format(then="os._exit(3)"), word))
    evidence = limit(done, "processes", 3, "process_limit")
    assert done.out == b"11 11\n", "the payload itself is the twelfth; EAGAIN"
    assert (evidence["configured"], evidence["measured"]) == (12, 12)
    assert re.match(r"pids\.events max=[1-9]", evidence["source"])
    assert done.usage["processes_peak"] == 12
    assert alive(word) == []


def test_threads_count_as_processes(jailpy):
    done = execute(jailpy, "--processes", "12", *python(THREADS.format(3)))
    limit(done, "processes", 3, "process_limit")
    assert done.out == b"11\n"
    ok(execute(jailpy, "--processes", "12", *python(THREADS.format(3).replace("range(200)", "range(11)"))))


@pytest.mark.parametrize(("then", "status"), [("os._exit(0)", 0), ("os.abort()", 134)])
def test_a_refusal_counts_only_beside_a_failure(jailpy, then, status):
    done = execute(jailpy, "--processes", "12", *python(BOMB.format(then=then)))
    assert done.status == status
    assert done.verdict == ("ok" if status == 0 else "process_limit")


def test_a_limit_that_ended_the_run_goes_before_a_refusal(jailpy):
    done = execute(jailpy, "--processes", "12", "--wall", "500ms", *python(BOMB.format(then="time.sleep(60)")))
    limit(done, "wall", 124)


FILL = "import os,sys\ntry:\n f=open('{}','wb',0)\n while True: f.write(b'x'*65536)\nexcept OSError as e: print(e.errno); {}"


@pytest.mark.parametrize("folder", ["/tmp", "/work", "/dev/shm"])
def test_disk_is_one_bound_for_all_private_folders(jailpy, folder):
    done = execute(jailpy, "--disk", "8M", *python(FILL.format(f"{folder}/f", "sys.exit(4)")))
    evidence = limit(done, "disk", 4)
    assert done.out == b"28\n"
    assert evidence["configured"] == 8 * MIB
    assert 8 * MIB - 4096 < evidence["measured"] <= 8 * MIB
    assert done.usage["disk_bytes"] == evidence["measured"]


def test_disk_full_and_fine_is_ok(jailpy):
    ok(execute(jailpy, "--disk", "8M", *python(FILL.format("/tmp/f", "sys.exit(0)"))))
    done = execute(jailpy, "--disk", "8M", *python("open('/tmp/f','wb').write(b'x'*(4<<20)); import sys; sys.exit(4)"))
    assert (done.verdict, done.status) == ("nonzero_exit", 4)
    assert 4 * MIB <= done.usage["disk_bytes"] < 5 * MIB


def test_the_disk_bound_is_shared(jailpy):
    both = "a=open('/tmp/a','wb');a.write(b'x'*(5<<20));a.close();b=open('/work/b','wb');b.write(b'x'*(5<<20));b.close()"
    limit(execute(jailpy, "--disk", "8M", *python(both)), "disk", 1)
    ok(execute(jailpy, "--disk", "12M", *python(both)))


INODES = "import sys\ntry:\n for i in range({}): open(f'/tmp/{{i}}','x')\nexcept OSError as e: sys.exit(5)"


def test_inodes_are_bounded(jailpy):
    few = ["--set", "limits.inodes=200"]
    done = execute(jailpy, *few, *python(INODES.format(1000)))
    assert (done.verdict, done.status) == ("disk_limit", 5)
    assert (done.evidence["limit"], done.evidence["configured"], done.evidence["measured"]) == ("inodes", 200, 200)
    ok(execute(jailpy, *few, *python(INODES.format(150))))


WRITE = "f=open('/tmp/f','wb',0)\nfor i in range({}): f.write(b'x'*(1<<20))"


def test_file_size_kills_by_its_signal(jailpy):
    done = execute(jailpy, "--file-size", "4M", *python("import signal; signal.signal(25, signal.SIG_DFL)\n" + WRITE.format(6)))
    evidence = limit(done, "file_size", 128 + 25)
    assert evidence["configured"] == 4 * MIB
    assert (done.report["exit_code"], done.report["signal"]) == (None, 25)
    ok(execute(jailpy, "--file-size", "4M", *python(WRITE.format(4))))


def test_file_size_ignored_is_a_refusal_of_the_call(jailpy):
    done = execute(jailpy, "--file-size", "4M", *python(WRITE.format(6)))
    assert (done.verdict, done.status) == ("nonzero_exit", 1)
    assert b"File too large" in done.err


OUTPUTS = {
    "stdout": "import os\nos.write(1,b'x'*{0})",
    "stderr": "import os\nos.write(2,b'x'*{0})",
    "both": "import os\nos.write(1,b'x'*({0}//2))\nos.write(2,b'y'*({0}-{0}//2))",
    "small writes": "import os\nfor i in range({0}//10): os.write(1,b'0123456789')\nos.write(1,b'0'*({0}%10))",
    "a child that lives on": "import os\nif os.fork()==0:\n os.setsid()\n os.write(1,b'x'*{0})\n os._exit(0)\nos.wait()",
}


@pytest.mark.parametrize("how", OUTPUTS)
@pytest.mark.parametrize("size", [1024, 50_000])
def test_output_is_bounded_to_the_byte(jailpy, how, size):
    exact = execute(jailpy, "-q", "--output", size, *python(OUTPUTS[how].format(size)))
    assert (exact.verdict, exact.status) == ("ok", 0)
    assert len(exact.out) + len(exact.err) == size
    assert exact.usage["stdout_bytes"] + exact.usage["stderr_bytes"] == size
    over = execute(jailpy, "-q", "--output", size, *python(OUTPUTS[how].format(size + 1)))
    assert over.verdict == "output_limit"
    assert len(over.out) + len(over.err) == size
    assert over.evidence["limit"] == "output"
    assert (over.evidence["configured"], over.evidence["measured"]) == (size, size + 1)


def test_output_ends_a_flood(jailpy):
    word = token()
    done = execute(jailpy, "--output", "1M", "--", "sh", "-c", f"yes {word}")
    limit(done, "output", 137)
    assert len(done.out) == MIB
    assert alive(word) == []


def _peak(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) << 10


def test_a_flood_does_not_grow_the_launcher(jailpy):
    with start(jailpy, "--output", "4G", "--wall", f"{3 * PATIENCE}s", "--cpu", "60s", "--", "yes") as process:
        reader = threading.Thread(target=lambda: [None for _ in iter(lambda: process.stdout.read(1 << 20), b"")])
        time.sleep(0.5 * PATIENCE)
        early = _peak(process.pid)  # nobody reads yet: what is not taken stays in the payload's pipe
        reader.start()
        time.sleep(1.5)
        late = _peak(process.pid)
        reader.join()
    assert late < 64 * MIB
    assert late - early < 2 * MIB


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_cpus_slow_a_run_down(jailpy):
    tenth = execute(jailpy, "--cpus", "0.1", "--wall", "30s", *python(BURN.format(0.3)))
    full = execute(jailpy, "--cpus", "1", "--wall", "30s", *python(BURN.format(0.3)))
    assert tenth.verdict == full.verdict == "ok"
    cgroup = next(layer for layer in tenth.report["layers"] if layer["name"] == "cgroup")
    if "cpu," not in cgroup["mechanism"] + "," and "cpu" not in cgroup["mechanism"].partition(":")[2].partition(";")[0].split():
        pytest.skip("no cpu controller here: cpus is by affinity")
    assert tenth.usage["cpu_s"] / tenth.usage["wall_s"] < 0.2
    assert full.usage["cpu_s"] / full.usage["wall_s"] > 0.25  # a loaded machine gives less than a whole processor


def test_cpus_by_affinity_counts_processors(jailpy):
    """Whatever the controller, one processor's worth cannot be had from two busy threads."""
    script = CPU_EATERS["in threads"].replace("while True", "import time; end=time.time()+1\n while time.time()<end")
    done = execute(jailpy, "--cpus", "1", "--cpu", "20s", *python(script))
    ok(done)
    assert done.usage["cpu_s"] / done.usage["wall_s"] < 1.2


def test_stack_is_bounded(jailpy):
    script = "import threading,sys,resource\nprint(resource.getrlimit(resource.RLIMIT_STACK))"
    assert execute(jailpy, "--stack", "1M", *python(script)).out == b"(1048576, 1048576)\n"
    deep = ["--", "perl", "-e", "my @a=(0) x 10; sub f { my $n=shift; $n ? f($n-1) : 0 } f(10)"]
    ok(execute(jailpy, "--stack", "1M", *deep))


def test_open_files_are_bounded_and_no_verdict(jailpy):
    script = (
        "import os,sys\nk=[]\ntry:\n while True: k.append(os.dup(0))\nexcept OSError as e: print(len(k)+3,e.errno); sys.exit(6)"
    )
    done = execute(jailpy, "--open-files", "20", *python(script))
    assert done.out == b"20 24\n"
    assert (done.verdict, done.status, done.evidence) == ("nonzero_exit", 6, None)


SURVIVORS = {
    "double fork": FORK + "if os.fork()==0:\n if os.fork()==0: time.sleep(60)\n os._exit(0)\nos.wait()",
    "setsid": FORK + "if os.fork()==0:\n os.setsid(); time.sleep(60)",
    "ignored signals": FORK + "if os.fork()==0:\n for s in (1,2,3,13,15): signal.signal(s, signal.SIG_IGN)\n time.sleep(60)",
    "a stopped child": FORK + "p=os.fork()\nif p==0: os.kill(os.getpid(),19)\nos.waitpid(p, os.WUNTRACED)",
    "vfork": "import subprocess\nsubprocess.Popen(['/bin/sleep','60','0','0'],start_new_session=True)",
    "a thread": "import threading,time\nthreading.Thread(target=time.sleep,args=(60,),daemon=True).start()",
    "closed descriptors": FORK + "if os.fork()==0:\n os.closerange(0,64); os.setsid(); time.sleep(60)",
}  # fmt: skip


@pytest.mark.parametrize("how", SURVIVORS)
def test_the_first_process_ends_the_run(jailpy, how):
    word = token()
    done = execute(jailpy, *python(SURVIVORS[how], word))
    assert alive(word) == []
    ok(done)
    assert done.seconds < 20
    outside = subprocess.run(["/usr/bin/python3", "-I", "-c", SURVIVORS[how], word], check=True)
    assert outside.returncode == 0
    left = alive(word)
    for pid in left:
        os.kill(pid, 9)
    assert bool(left) == (how not in ("a thread", "vfork")), "the control: outside of a jail something is left"


@pytest.mark.parametrize("how", ["stops itself", "ignores signals", "leader ends first"])
def test_a_limit_ends_the_stubborn(jailpy, how):
    script = {
        "stops itself": "import os; os.kill(os.getpid(), 19)",
        "ignores signals": "import signal,time\nfor s in (1,2,3,15): signal.signal(s, signal.SIG_IGN)\ntime.sleep(60)",
        "leader ends first": "import ctypes,threading,time\nthreading.Thread(target=time.sleep,args=(60,)).start()\n"
        "ctypes.CDLL(None).syscall(60 if __import__('os').uname().machine=='x86_64' else 93, 0)",
    }[how]
    word = token()
    done = execute(jailpy, "--wall", "700ms", *python(script, word))
    limit(done, "wall", 124)
    assert alive(word) == []


def test_a_kill_by_the_payload_itself_is_its_own_death(jailpy):
    done = execute(jailpy, *python("import os; os.kill(os.getpid(), 9)"))
    assert (done.verdict, done.status, done.report["signal"]) == ("signaled", 137, 9)
    done = execute(jailpy, *python("import os\ntry: os.kill(-1, 9)\nexcept ProcessLookupError: print('nobody')"))
    assert (done.verdict, done.out) == ("ok", b"nobody\n"), "init is not among everybody"
    done = execute(
        jailpy, *python("import os\nfor n in (9,15,11):\n try: os.kill(1,n)\n except PermissionError: pass\nprint('on')")
    )
    ok(done)
    assert done.out == b"on\n", "init cannot be killed from inside"


def test_a_fake_sigxcpu_is_no_cpu_limit(jailpy):
    done = execute(jailpy, *python("import os; os.kill(os.getpid(), 24)"))
    assert (done.verdict, done.status, done.evidence) == ("signaled", 128 + 24, None)


def test_first_cause_wins(jailpy):
    done = execute(
        jailpy, "--wall", "400ms", "--cpu", "5s", "--output", "1K", *python("import time; time.sleep(5); print('x'*9999)")
    )
    limit(done, "wall", 124)
    done = execute(
        jailpy,
        "--wall",
        f"{5 * PATIENCE}s",
        "--output",
        "1K",
        *python("print('x'*9999, flush=True); import time; time.sleep(60)"),
    )
    limit(done, "output", 137)
    assert done.seconds < 5 * PATIENCE


def test_the_launcher_itself_stays_cheap(jailpy):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    execute(jailpy, "--wall", "2s", "--cpu", "1s", "--idle", "1900ms", *python("import time; time.sleep(1.5)"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0 * PATIENCE
