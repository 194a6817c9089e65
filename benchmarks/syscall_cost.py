"""What a system call costs inside: bare, under a filter that allows everything, under strict's, and with Landlock.

    python benchmarks/syscall_cost.py [--rounds 15] [--json]

One small C program (gcc is needed) times each call in a loop; the rounds of all ways are interleaved, and each figure is
the median of its rounds. Also printed: the size of the filter, the time to compile it, to find it in the cache, to load
it, and to have one denied call answered.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from jailpy.kernel import landlock, libc, seccomp
from jailpy.layers import landlock_rights, seccomp_filter, syscall_table
from jailpy.supervisor.violations import Violations

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

#define TIME(name, count, call) do { \
    for (int i = 0; i < count / 10; i++) { call; } \
    double begin = now(); \
    for (int i = 0; i < count; i++) { call; } \
    printf("%s %.2f\n", name, (now() - begin) / count); \
} while (0)

int main(void) {
    char byte, state[256];
    int zero = open("/dev/zero", O_RDONLY), pending;
    struct stat found;
    const char *path = "/usr/share/doc/libc6/copyright";
    if (access(path, R_OK)) path = "/usr/lib/os-release";
    (void)state;
    TIME("getppid", 400000, syscall(SYS_getppid));
    TIME("getpid", 400000, syscall(SYS_getpid));
    TIME("read", 400000, (void)!read(zero, &byte, 1));
    TIME("stat", 100000, stat(path, &found));
    TIME("open+close", 40000, close(open(path, O_RDONLY)));
    TIME("fcntl", 400000, fcntl(zero, F_GETFL));
    TIME("ioctl", 400000, ioctl(0, FIONREAD, &pending));
}
"""
CALLS = ("getppid", "getpid", "read", "stat", "open+close", "fcntl", "ioctl")
ALLOW_ALL = struct.pack("HBBI", 0x06, 0, 0, seccomp.RET_ALLOW)
PR_SET_NO_NEW_PRIVS = 38


def confine(way: str, program: bytes) -> None:
    """Put this process under what `way` names."""
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if "landlock" in way:
        abi, _ = landlock.abi()
        handled = landlock_rights.handled(abi)
        ruleset = landlock.create_ruleset(handled.fs, handled.net, handled.scoped)
        for path in ("/usr", "/etc", "/lib", "/lib64", "/bin", "/dev", "/tmp"):
            if os.path.exists(path):
                descriptor = os.open(path, os.O_PATH)
                landlock.add_path(ruleset, descriptor, landlock_rights.system(abi))
                os.close(descriptor)
        landlock.restrict_self(ruleset)
    if way != "bare":
        seccomp.load_filter(ALLOW_ALL if way == "allow everything" else program, listener=False)


def measure(way: str, program: bytes, binary: str) -> dict[str, float]:
    """Run the C program once."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(into, 1)
            confine(way, program)
            os.execv(binary, [binary])
        finally:
            os._exit(127)
    os.close(into)
    with open(out, encoding="ascii") as file:
        lines = file.read().splitlines()
    if os.waitpid(pid, 0)[1]:
        raise SystemExit(f"the C program failed under {way!r}")
    return {name: float(value) for name, value in (line.split() for line in lines)}


def denied_call() -> float:
    """Return the nanoseconds of one denied call, from the call to its EPERM, answered by a waiting supervisor."""
    import socket

    count = 2000
    ours, theirs = socket.socketpair()
    program = seccomp_filter.compiled(["@default"], [], rw=False).program
    pid = os.fork()
    if pid == 0:
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        socket.send_fds(theirs, [b"x"], [seccomp.load_filter(program, listener=True)])
        begin = time.perf_counter_ns()
        for _ in range(count):
            libc.ptrace(0, 0, 0, 0)
        theirs.send(struct.pack("d", (time.perf_counter_ns() - begin) / count))
        os._exit(0)
    record = Violations(socket.recv_fds(ours, 1, 1)[1][0], "errno")
    for _ in range(count):
        record.handle()
    result: float = struct.unpack("d", ours.recv(8))[0]
    os.waitpid(pid, 0)
    record.close()
    ours.close()
    theirs.close()
    return result


def median(function: object, rounds: int = 9) -> float:
    """Return the median time of a call in milliseconds."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        function()  # type: ignore[operator]
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)


def filter_figures() -> dict[str, float]:
    """Measure making, finding and loading strict's filter."""
    policy = seccomp_filter.policy(["@default"], [])
    program = seccomp_filter.compile_policy(policy)

    def find() -> None:
        seccomp_filter._compiled.clear()  # noqa: SLF001 - as a new process would find it
        seccomp_filter.compiled(["@default"], [])

    def load() -> None:
        pid = os.fork()
        if pid == 0:
            libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            begin = time.perf_counter_ns()
            seccomp.load_filter(program, listener=True)
            os.write(into, struct.pack("q", time.perf_counter_ns() - begin))
            os._exit(0)
        os.waitpid(pid, 0)

    find()
    out, into = os.pipe()
    for _ in range(9):
        load()
    loads = struct.unpack("9q", os.read(out, 72))
    os.close(out)
    os.close(into)
    return {
        "rules": seccomp_filter.rule_count(policy),
        "instructions": len(program) // 8,
        "resolve names, ms": median(lambda: seccomp_filter.policy(["@default"], [])),
        "compile, ms": median(lambda: seccomp_filter.compile_policy(policy)),
        "parse the group files, ms": median(syscall_table._parse),  # noqa: SLF001
        "find in the cache on disk, ms": median(find),
        "load into the kernel, ms": statistics.median(loads) / 1e6,
        "one denied call, us": denied_call() / 1e3,
    }


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    program = seccomp_filter.compiled(["@default"], [], rw=False).program
    ways = ["bare", "allow everything", "strict", *(["strict + landlock"] if landlock.abi()[0] else [])]
    found: dict[str, dict[str, list[float]]] = {way: {name: [] for name in CALLS} for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        binary = os.path.join(folder, "calls")
        subprocess.run(["gcc", "-O2", "-o", binary, "-x", "c", "-"], input=SOURCE.encode(), check=True)
        for _ in range(chosen.rounds):
            for way in ways:
                for name, value in measure(way, program, binary).items():
                    found[way][name].append(value)
    middle = {way: {name: statistics.median(values) for name, values in by.items()} for way, by in found.items()}
    figures = filter_figures()
    if chosen.json:
        json.dump({"ns": middle, "filter": figures}, sys.stdout, indent=1)
        return
    print("ns per call".ljust(20), *(name.rjust(11) for name in CALLS))
    for way in ways:
        print(way.ljust(20), *(f"{middle[way][name]:11.1f}" for name in CALLS))
    print("strict / everything".ljust(20), *(f"{middle['strict'][n] / middle['allow everything'][n]:11.3f}" for n in CALLS))
    print(f"{ways[-1]} / bare".ljust(20), *(f"{middle[ways[-1]][n] / middle['bare'][n]:11.3f}" for n in CALLS))
    for name, value in figures.items():
        print(f"{name:32} {value:.3f}".rstrip("0").rstrip("."))


if __name__ == "__main__":
    main()
