# row = "C7"
# boundary = "limits.disk and limits.file_size"
# ending = "disk_limit"
# evidence = "statfs"
# layers = ["mount", "rlimits"]
# control = "loose"
# options = { disk = "8M", file_size = "16M" }
# loose = { disk = "40M", file_size = "40M" }
# [backstop]
# rlimits = "the tmpfs bounds the disk; the size of one file is this layer's alone"
"""Makes a file that looks large, and reserves more than there is."""

import os
import signal

from attack import attempt

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def sparse():
    with open("sparse", "wb") as file:
        file.truncate(20 << 20)
    return "20 MiB in name"


def reserved():
    with open("reserved", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 12 << 20)
    os.unlink("reserved")
    return "12 MiB in one call"


def written():
    with open("written", "wb", buffering=0) as file:
        file.writelines(bytes(1 << 20) for _ in range(12))
    return "12 MiB in truth"


ended = [attempt("sparse", sparse), attempt("reserved", reserved), attempt("written", written)]
raise SystemExit(not all(ended))
