# row = "D3"
# boundary = "limits.memory, by files that lie in memory"
# ending = "memory_limit"
# evidence = "memory"
# layers = ["cgroup"]
# control = "loose"
# options = { memory = "32M", disk = "64M", file_size = "64M" }
# loose = { memory = "256M", disk = "64M", file_size = "64M" }
"""Takes memory: files in the work folder and in shared memory."""

import os

from attack import attempt


def files():
    for folder in (".", "/dev/shm"):
        with open(f"{folder}/file{os.getpid()}", "wb", buffering=0) as file:
            file.writelines(bytes(1 << 20) for _ in range(24))
    return "48 MiB"


attempt("files", files)
