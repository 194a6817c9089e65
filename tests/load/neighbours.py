"""What a jail that attacks costs the one beside it: the latency of a small service in a jail, quiet and under each attack."""

from __future__ import annotations

import statistics
import subprocess
import threading
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


def measure(seconds, compiler="gcc", chosen=None):
    """Return [(attack, quiet p99 just before it, p99 under it)] in seconds."""
    scene = Scene(PYTHON, compiler)
    attacks = [name for name in programs() if name.startswith("d") and (chosen is None or name in chosen)]
    pipe = subprocess.PIPE
    try:
        with (
            jailpy.Launcher(wall="off", cpu="off") as service,
            jailpy.Launcher(ro=[f"{scene.folder}:{SHOWN}"]) as attacker,
            service.popen([PYTHON, "-ISc", SERVICE], stdin=pipe, stdout=pipe) as running,
        ):
            latencies(running, 0.3)
            found = [
                (name, p99(latencies(running, seconds)), p99(under(running, scene, attacker, name, seconds)))
                for name in attacks
            ]
            running.kill()
    finally:
        scene.close()
    return found


def under(running, scene, attacker, name, seconds):
    """Measure while an attack is made again and again."""
    header, over = programs()[name], threading.Event()

    def attack():
        while not over.is_set():
            attacker.run(scene.command(name, "attack", inside=True), **header.options)

    thread = threading.Thread(target=attack)
    thread.start()
    try:
        return latencies(running, seconds)
    finally:
        over.set()
        thread.join()
