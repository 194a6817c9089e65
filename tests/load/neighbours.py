"""What a jail that attacks costs the one beside it: the latency of a small service in a jail.

Measured with nothing beside it, beside harmless runs (one that computes, and short ones that are started again and again), and
beside each attack, which is made again and again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import subprocess
import time

import jailpy
from jailpy.services.escapes.header import programs
from jailpy.services.escapes.scene import SHOWN, Scene
from tests.core import PYTHON

# Answers each byte with one, after some work on a file of its own.
SERVICE = """
import hashlib, os
while os.read(0, 1):
    with open("state", "wb") as file:
        file.write(hashlib.sha256(bytes(65536)).digest() * 64)
    os.write(1, b".")
"""

QUIET, BUSY, SHORT = "nothing", "a harmless run that computes", "harmless short runs, one after the other"
SPIN = [PYTHON, "-ISc", "import time\nend = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass"]


def latencies(running, seconds):
    """Return how long each request took, in seconds."""
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        running.stdin.write(b".")
        assert running.stdout.read(1) == b"."
        found.append(time.monotonic() - began)
        time.sleep(0.001)
    return found


def p99(values):
    return statistics.quantiles(values, n=100)[98]


def measure(seconds, compiler="gcc", chosen=None, pinned=False):
    """Return [(what ran beside the service, p99 in seconds)]: QUIET, BUSY, SHORT, then each attack.

    `pinned`: the service and what runs beside it have a processor of their own each (sched_setaffinity(2)).
    """
    beside = {0} if pinned else os.sched_getaffinity(0)
    if pinned:
        os.sched_setaffinity(0, {1})
    scene = Scene(PYTHON, compiler)
    attacks = [name for name in programs() if name.startswith("d") and (chosen is None or name in chosen)]
    loads = {BUSY: (SPIN, {}), SHORT: (["/usr/bin/true"], {})}
    loads |= {name: (scene.command(name, "attack", inside=True), dict(programs()[name].options)) for name in attacks}
    pipe = subprocess.PIPE
    try:
        with (
            jailpy.Launcher(wall="off", cpu="off") as service,
            service.popen([PYTHON, "-ISc", SERVICE], stdin=pipe, stdout=pipe) as running,
        ):
            latencies(running, 0.3)
            found = [(QUIET, p99(latencies(running, seconds)))]
            for name, (command, options) in loads.items():
                with again_and_again(command, f"{scene.folder}:{SHOWN}", options, beside):
                    found.append((name, p99(latencies(running, seconds))))
            running.kill()
    finally:
        scene.close()
    return found


@contextlib.contextmanager
def again_and_again(command, shown, options, processors):
    """Run a command in one jail after the other, in a process of its own: its Python must not keep ours from measuring."""
    context = multiprocessing.get_context("spawn")
    begun, over = context.Event(), context.Event()
    process = context.Process(target=run_until, args=(begun, over, command, shown, options, processors))
    process.start()
    try:
        assert begun.wait(60), "nothing runs beside the service"
        yield
    finally:
        over.set()
        process.join(60)
    assert process.exitcode == 0, "control: it ran all the time"


def run_until(begun, over, command, shown, options, processors):
    os.sched_setaffinity(0, processors)
    with jailpy.Launcher(ro=[shown]) as launcher:
        launcher.run(["/usr/bin/true"], check=True)
        begun.set()
        while not over.is_set():
            launcher.run(command, **options)
