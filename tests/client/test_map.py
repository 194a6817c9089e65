"""`Launcher.map`: order, errors, and how far ahead it goes."""

from __future__ import annotations

import threading
import time

import pytest

import jailpy
from tests.core import alive, eventually, token

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_map_gives_results_in_order(launcher):
    jobs = [["sh", "-c", f"sleep 0.{(5 - at) % 5}; echo {at}"] for at in range(5)]
    jobs.append({"argv": ["cat"], "input": b"5\n", "memory": "64M"})
    assert [int(done.stdout) for done in launcher.map(jobs, workers=3)] == list(range(6))
    assert list(launcher.map([])) == []


def test_map_raises_where_the_result_would_come(launcher):
    jobs = [["true"], ["no-such-program"], ["sleep", "60"], ["sleep", "60"]]
    found = launcher.map(jobs, workers=4)
    assert next(found).verdict == "ok"
    began = time.monotonic()
    with pytest.raises(jailpy.CommandError):
        next(found)
    assert time.monotonic() - began < 10
    assert launcher.stats()["running"] == 0
    with pytest.raises(jailpy.UsageError, match="without argv"):
        list(launcher.map([{"args": ["true"]}]))
    with pytest.raises(jailpy.UsageError, match="workers"):
        launcher.map([["true"]], workers=0)


def test_leaving_map_kills_the_rest(launcher):
    word = token()
    sleep = ["/usr/bin/python3", "-c", "import time; time.sleep(60)", word]
    found = launcher.map([["true"], sleep, sleep, sleep, sleep], workers=2)
    next(found)
    assert eventually(lambda: alive(word))
    found.close()
    assert alive(word) == []
    assert launcher.stats()["running"] == 0


def test_map_takes_jobs_as_it_needs_them(launcher):
    taken = []

    def jobs():
        for at in range(10_000):
            taken.append(at)
            yield ["true"]

    for at, done in enumerate(launcher.map(jobs(), workers=2)):
        assert done.verdict == "ok"
        assert len(taken) <= at + 1 + 4
        if at == 20:
            break


def test_map_yields_what_is_done_while_jobs_are_slow_to_come(launcher):
    came = threading.Event()

    def jobs():
        yield ["true"]
        time.sleep(1)
        yield ["true"]
        assert came.wait(20), "the first result was held back"
        yield ["true"]

    for _ in launcher.map(jobs(), workers=8):
        came.set()
