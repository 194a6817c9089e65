# row = "D3"
# boundary = "limits.memory, by the buffers of pipes and sockets"
# ending = "memory_limit"
# evidence = "memory"
# layers = ["cgroup"]
# control = "loose"
# options = { memory = "24M" }
# loose = { memory = "256M" }
"""Takes memory: fills pipes and pairs of sockets that nobody reads, in several processes."""

import os
import signal
import socket
import time

from attack import attempt


def fill(writer):
    taken = 0
    os.set_blocking(writer, False)
    try:
        while True:
            taken += os.write(writer, bytes(65536))
    except BlockingIOError:
        return taken


def hoard(report):
    kept, taken = [], 0
    for _ in range(12):
        kept.append(os.pipe())
        taken += fill(kept[-1][1])
        kept.append(socket.socketpair())
        taken += fill(kept[-1][0].fileno())
    os.write(report, b"%d\n" % taken)
    time.sleep(20)
    os._exit(0)


def buffers():
    reader, writer = os.pipe()
    pids = []
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            hoard(writer)
        pids.append(pid)
    os.close(writer)
    taken = 0
    with open(reader) as file:
        for _ in pids:
            taken += int(file.readline())
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if taken < 28 << 20:
        raise OSError(12, f"only {taken} bytes")
    return f"{taken >> 20} MiB"


attempt("buffers", buffers)
