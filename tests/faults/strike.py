"""Any process of a launcher killed or stopped at any moment: each run has a truthful end, the next one works, nothing is left.

python -m tests.faults --rounds 2000 [--seed N] [--pool N]
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import signal
import threading
import time

import jailpy
from tests.core import alive, eventually, groups_of, mounts, token

CODE = 7
PAYLOAD = f"import os,sys,time\nos.fork()\ntime.sleep(0.04)\nsys.stdout.write('done\\n')\nsys.stdout.flush()\nos._exit({CODE})"
ENDS = {"nonzero_exit", "signaled", "wall_limit", "cancelled", "internal_error"}
CONTINUE_S = 0.25


def children(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]
    return []


def tree(pid):
    """Return a process and all below it, each with its depth."""
    found, left = [], [(pid, 0)]
    while left:
        at, depth = left.pop()
        found.append((at, depth))
        left += [(child, depth + 1) for child in children(at)]
    return found


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


class Strikes:
    """Rounds of one launcher. `tally` counts what was struck and how its run ended."""

    def __init__(self, launcher, seed):
        self.launcher, self.draw = launcher, random.Random(seed)
        self.tally = collections.Counter()

    def round(self):
        """Start a run, strike one process of the launcher's, and see how the run ends and whether the next one works."""
        word = token()
        number = self.draw.choice((signal.SIGKILL, signal.SIGSTOP))
        blow = threading.Thread(target=self._strike, args=(self.draw.uniform(0, 0.08), number, self.draw.random()))
        blow.start()
        end = self._run(word)
        blow.join()
        self.tally[end] += 1
        assert eventually(lambda: not alive(word)), "a process outlived its run"
        assert self.launcher.run(["/usr/bin/true"], wall="10s").verdict == "ok", "the next run does not work"

    def _run(self, word):
        try:
            done = self.launcher.run(["/usr/bin/python3", "-ISc", PAYLOAD, word], wall="1s")
        except jailpy.InternalError:
            return "InternalError"
        except jailpy.LaunchError:
            return "LaunchError"
        assert done.verdict in ENDS, done.report()
        if done.verdict == "nonzero_exit":
            assert (done.returncode, done.stdout[:5]) == (CODE, b"done\n"), done.report()
        return done.verdict

    def _strike(self, delay, number, which):
        time.sleep(delay)
        server = self.launcher._server._process
        found = tree(server.pid) if server else []
        if not found:
            return
        pid, depth = found[int(which * len(found))]
        self.tally[f"depth {depth} {signal.Signals(number).name}"] += 1
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            if number == signal.SIGSTOP:
                time.sleep(CONTINUE_S)
                os.kill(pid, signal.SIGCONT)
            else:
                eventually(lambda: is_gone(pid))


def strike(rounds, seed, pool=0):
    """Make so many rounds; return the tally. Raises AssertionError."""
    with jailpy.Launcher(pool=pool) as launcher:
        assert launcher.run(["/usr/bin/true"]).verdict == "ok"
        strikes, pids = Strikes(launcher, seed), set()
        for _ in range(rounds):
            strikes.round()
            pids |= {pid for pid, _ in tree(launcher._server._process.pid)}
    assert eventually(lambda: not any(os.path.isdir(group) for pid in pids for group in living(pid)), 10)
    with jailpy.Launcher() as launcher:  # what a killed worker's kernel kept, the next start removes
        assert launcher.run(["/usr/bin/true"]).verdict == "ok"
    left = [group for pid in pids for group in groups_of(pid)]
    assert not left, f"cgroups are left: {left}"
    assert not mounts(), "mounts are left"
    return strikes.tally


def living(pid):
    """Return the groups of a process that lives: a killed one's stay until the next start."""
    return groups_of(pid) if os.path.exists(f"/proc/{pid}") else []
