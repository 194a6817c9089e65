"""Runs in a second with 1, 2, 4 and 8 threads of one Python program, each thread starting its next run when one has ended."""

from __future__ import annotations

import statistics
import threading
import time
from typing import TYPE_CHECKING, Any

from benchmarks import calls, contestants, peers
from benchmarks.common import TRUE, FailedError, say
from benchmarks.timing import shuffled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.stage import Stage

WORDS = "throughput"
WORKERS = (1, 2, 4, 8)


def measure(stage: Stage) -> dict[str, Any]:
    """Return the runs per second of each by the number of threads; the median of the rounds, which take turns."""
    command, amounts = [TRUE], stage.amounts
    entries = {
        entry.name: entry
        for entry in (
            contestants.plain(command),
            contestants.jailpy(contestants.WARM, command),
            contestants.jailpy(contestants.POOLED, command),
            contestants.sandlock(command),
        )
    }
    with stage.noting(contestants.BUBBLEWRAP):
        entries[contestants.BUBBLEWRAP] = contestants.peer(peers.BUBBLEWRAP, stage, command)
    found: dict[str, dict[int, list[float]]] = {}
    for name, entry in list(entries.items()):
        with stage.noting(name):
            stage.caller(entry.where).call("throughput:parallel", call=entry.call, workers=1, seconds=0.1)
            found[name] = {workers: [] for workers in WORKERS}
    for workers in WORKERS:
        say(f"throughput of {workers} at a time")
        for name in shuffled(list(found), amounts.parallel_rounds):
            caller, call = stage.caller(entries[name].where), entries[name].call
            with stage.noting(f"{name}, {workers} at a time"):
                rate = caller.call("throughput:parallel", call=call, workers=workers, seconds=amounts.parallel_s)
                found[name][workers].append(rate)
    rows = [
        {"name": name, "rates": {str(workers): round(statistics.median(rates), 1) for workers, rates in by.items() if rates}}
        for name, by in found.items()
    ]
    return {"unit": "runs/s", "rounds": amounts.parallel_rounds, "seconds": amounts.parallel_s, "rows": rows}


def parallel(call: Mapping[str, Any], workers: int, seconds: float) -> float:
    """Run in so many threads for so long; return the runs per second. Raises FailedError where one failed."""
    runs = [calls.make(call) for _ in range(workers)]
    counts = [0] * workers
    errors: list[FailedError] = []
    start = threading.Barrier(workers + 1)

    def work(number: int) -> None:
        start.wait()
        try:
            while time.perf_counter() < end:
                runs[number]()
                counts[number] += 1
        except FailedError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    begin = time.perf_counter()
    end = begin + seconds
    start.wait()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sum(counts) / (time.perf_counter() - begin)
