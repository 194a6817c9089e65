"""Random system calls in jails for a while: nothing of the host changes, the supervisor lives, each run has a verdict.

python -m tests.fuzz --seconds 600 [--seed N] [--profile NAME]
"""

from __future__ import annotations

import collections
import os
import random
import subprocess
import tempfile
import time
import types

import jailpy
from tests.core import alive, eventually, mounts, token
from tests.fuzz import host

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fuzzer.c")
TRUTHFUL = {
    "ok", "nonzero_exit", "signaled", "cpu_limit", "wall_limit", "memory_limit", "output_limit", "process_limit", "disk_limit",
    "file_size_limit", "security_violation",
}  # fmt: skip
RUN_S = 4
BEAT = """
import os, sys, time
mine = os.listdir("/work"), os.uname().nodename
while True:
    if (os.listdir("/work"), os.uname().nodename) != mine:
        sys.exit(9)
    print("beat", flush=True)
    time.sleep(0.05)
"""


def fuzz(seconds, seed, profile="strict", compiler="gcc"):
    """Run the fuzzer for so long; return what was seen. Raises AssertionError for what got out."""
    draw, word = random.Random(seed), token()
    with tempfile.TemporaryDirectory() as folder:
        program, watched = f"{folder}/fuzzer", f"{folder}/watched"
        subprocess.run([compiler, "-O1", "-w", "-o", program, SOURCE], check=True)
        os.mkdir(watched)
        with open(f"{watched}/shown", "w", encoding="ascii") as file:
            file.write("of the host")
        shown = [f"{program}:/work/fuzzer", f"{watched}:/work/watched"]
        before = host.look(watched)
        with jailpy.Launcher(profile, ro=shown) as launcher:
            found = _runs(launcher, seconds, draw, word)
            assert launcher.stats()["server_starts"] == 1, "the server died"
        assert eventually(lambda: not alive(word)), "a process outlived its run"
        assert not mounts(), "a mount is left"
        changed = host.differences(before, host.look(watched))
        assert not changed, changed
    return found


def _runs(launcher, seconds, draw, word):
    verdicts, calls, denied, end = collections.Counter(), 0, 0, time.monotonic() + seconds
    neighbour = ["/usr/bin/python3", "-ISc", BEAT, word]
    with launcher.popen(neighbour, wall="off", cpu="off", output="1G") as beside:
        while (left := end - time.monotonic()) > 0:
            argv = ["/work/fuzzer", str(draw.randrange(1 << 32)), str(max(1, min(RUN_S, int(left)))), word]
            done = launcher.run(argv, wall="8s", cpu="8s", disk="16M", file_size="8M")
            verdicts[done.verdict] += 1
            counts = [int(line) for line in done.stderr.split() if line.isdigit() and len(line) < 12]
            calls += max(counts, default=0)
            denied += done.report()["violation_count"]
            assert done.verdict in TRUTHFUL, (argv, done.report())
            assert beside.poll() is None, ("the jail beside it ended", argv)
        beside.kill()
        assert beside.wait().verdict == "cancelled"
    return types.SimpleNamespace(verdicts=dict(verdicts), calls=calls, denied=denied)
