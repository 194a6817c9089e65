"""How exact the report is: CPU time and peak memory of a workload that measures itself."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

from benchmarks import payloads
from benchmarks.calls import launcher
from benchmarks.common import FailedError, last_line, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.stage import Stage

WORDS = "accuracy of the report"
SECONDS, MEGABYTES = 1.0, 160
SHAPES = {"one process": 1, "four processes": 4}
SOURCE = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double used(int who) {
    struct rusage r;
    getrusage(who, &r);
    return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
    double seconds = atof(argv[1]);
    size_t bytes = strtoul(argv[2], 0, 10);
    int processes = atoi(argv[3]);
    volatile unsigned long sum = 0;
    char *memory = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (argc != 4 || memory == MAP_FAILED) return 1;
    memset(memory, 1, bytes);
    munmap(memory, bytes);
    for (int i = 0; i < processes; i++)
        if (!fork()) {
            while (cpu() < seconds / processes) sum++;
            return 0;
        }
    while (wait(0) > 0) {}
    printf("[%f, %zu]\n", used(RUSAGE_SELF) + used(RUSAGE_CHILDREN), bytes);
    return 0;
}
"""
SCRIPT = """import json, mmap, os, sys, time
seconds, size, processes = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, size, 4096):
    memory[at] = 1
peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("RssAnon"))
memory.close()
for _ in range(processes):
    if not os.fork():
        while time.process_time() < seconds / processes:
            pass
        os._exit(0)
for _ in range(processes):
    os.wait()
print(json.dumps([sum(os.times()[:4]), peak]))
"""


def measure(stage: Stage) -> dict[str, Any]:
    """Return, by the shape of the workload, how far the report is off in per cent: the median and the worst of some runs."""
    path = f"{stage.scratch}/workload"
    kind = payloads.build(path, SOURCE, SCRIPT)
    caller, rows = stage.caller("jailpy"), []
    for name, processes in SHAPES.items():
        say(f"accuracy: {name}")
        command = ["/opt/workload", str(SECONDS), str(MEGABYTES << 20), str(processes)]
        runs = [caller.call("accuracy:reported", path=path, command=command) for _ in range(stage.amounts.accuracy)]
        errors = {what: [off(*run[what]) for run in runs] for what in ("cpu", "memory")}
        rows.append({"name": name, **{what: _row(values) for what, values in errors.items()}, "sources": runs[0]["sources"]})
    return {"program": kind, "seconds": SECONDS, "megabytes": MEGABYTES, "rows": rows}


def off(reported: float, known: float) -> float:
    """Return by how many per cent a reported value is above what is known."""
    return (reported / known - 1) * 100


def _row(errors: Sequence[float]) -> dict[str, float]:
    worst: float = max(errors, key=abs)
    return {"median": round(statistics.median(errors), 2), "worst": round(worst, 2)}


def reported(path: str, command: list[str]) -> dict[str, Any]:
    """Run the workload in a jail; return CPU seconds and bytes as reported and as known. Raises FailedError."""
    done = launcher({}).run(command, ro=[f"{path}:{command[0]}"])
    usage = done.usage
    if done.verdict != "ok" or None in (usage["cpu_s"], usage["memory_peak_bytes"]):
        raise FailedError(f"the workload: {done.verdict}: {last_line(done.stderr)}: {usage}")
    seconds, touched = json.loads(done.stdout)
    sources = {name: usage["sources"].get(name, "") for name in ("cpu_s", "memory_peak_bytes")}
    return {"cpu": [usage["cpu_s"], seconds], "memory": [usage["memory_peak_bytes"], touched], "sources": sources}
