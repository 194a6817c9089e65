"""Many mixed runs at once, good, crashing and hostile: each accounted for, with the verdict that it must have, and no growth."""

from __future__ import annotations

import collections
import os
import random
import time
import types

import jailpy
from tests.core import eventually, groups_of, mounts

PYTHON = "/usr/bin/python3"
FORKS = "import os,time\nfor _ in range(40):\n    if os.fork() == 0: time.sleep(9)"
DENIED = "import ctypes,sys; libc=ctypes.CDLL(None); sys.exit(libc.unshare(0x10000000) and 4)"
# What is run, how often, with which options, and the verdict.
JOBS = (
    (["/usr/bin/true"], 40, {}, "ok"),
    (["sh", "-c", "read x; echo $x; echo $x >file; cat file"], 30, {"input": b"data\n"}, "ok"),
    (["sh", "-c", "exit 3"], 10, {}, "nonzero_exit"),
    (["sh", "-c", "kill -SEGV $$"], 10, {}, "signaled"),
    (["sleep", "9"], 3, {"wall": "150ms"}, "wall_limit"),
    (["sh", "-c", "while :; do :; done"], 1, {"cpu": "100ms", "wall": "60s"}, "cpu_limit"),
    (["sh", "-c", "yes"], 2, {"output": "64K"}, "output_limit"),
    (["sh", "-c", "dd if=/dev/zero of=file bs=1M count=9 2>/dev/null"], 2, {"disk": "4M"}, "disk_limit"),
    (["sh", "-c", "exec dd if=/dev/zero of=file bs=1M count=9 2>/dev/null"], 1, {"file_size": "1M"}, "file_size_limit"),
    ([PYTHON, "-ISc", "x = bytearray(99 << 20)"], 1, {"memory": "24M"}, "memory_limit"),
    ([PYTHON, "-ISc", FORKS], 1, {"processes": 16}, "process_limit"),
    ([PYTHON, "-ISc", DENIED], 2, {}, "nonzero_exit"),
)
WEIGHTS = [weight for _, weight, _, _ in JOBS]
GROWTH = 24 << 20


def load(runs, workers, seed, pool=0):
    """Make so many runs; return what was seen. Raises AssertionError."""
    draw = random.Random(seed)
    wanted = [*range(len(JOBS)), *draw.choices(range(len(JOBS)), WEIGHTS, k=runs - len(JOBS))]
    draw.shuffle(wanted)
    jobs = ({"argv": JOBS[at][0], **JOBS[at][2]} for at in wanted)
    wrong, verdicts, sizes, began = [], collections.Counter(), [], time.monotonic()
    with jailpy.Launcher(pool=pool, wall="30s") as launcher:
        for number, (at, done) in enumerate(zip(wanted, launcher.map(jobs, workers=workers), strict=True)):
            verdicts[done.verdict] += 1
            if done.verdict != JOBS[at][3]:
                wrong.append((JOBS[at][0], done.verdict, done.evidence, done.stderr[-200:]))
            if number % max(1, runs // 10) == runs // 20:
                sizes.append(size(launcher))
        seconds = time.monotonic() - began
        stats, pids = launcher.stats(), processes(launcher)
        sizes.append(size(launcher))
    assert wrong == []
    assert (stats["started"], stats["ended"], stats["failed"], stats["running"]) == (runs, runs, 0, 0)
    assert stats["server_starts"] == 1
    assert sizes[-1][0] - sizes[1][0] < GROWTH, f"bytes and descriptors over time: {sizes}"
    assert sizes[-1][1] <= max(descriptors for _, descriptors in sizes[1:-1]) + 8, f"bytes and descriptors over time: {sizes}"
    assert eventually(lambda: not any(groups_of(pid) for pid in pids)), "cgroups are left"
    assert not mounts(), "mounts are left"
    return types.SimpleNamespace(verdicts=dict(verdicts), seconds=seconds, sizes=sizes)


def processes(launcher):
    server = launcher._server._process.pid
    with open(f"/proc/{server}/task/{server}/children", encoding="ascii") as file:
        return [server, *map(int, file.read().split())]


def size(launcher):
    """Return the memory of server and workers in bytes, and how many descriptors they and this process hold."""
    memory, descriptors = 0, len(os.listdir("/proc/self/fd"))
    for pid in processes(launcher):
        try:
            descriptors += len(os.listdir(f"/proc/{pid}/fd"))
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                memory += next((int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS")), 0)
        except FileNotFoundError:
            continue  # an idle worker that ended
    return memory, descriptors
