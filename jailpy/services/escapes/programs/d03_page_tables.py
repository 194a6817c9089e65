# row = "D3"
# boundary = "limits.memory, by page tables"
# ending = "memory_limit"
# evidence = "memory"
# layers = ["cgroup"]
# control = "loose"
# options = { memory = "32M" }
# loose = { memory = "512M" }
"""Takes memory: page tables, by reading one byte in each 2 MiB of a huge mapping."""

import mmap

from attack import attempt


def tables():
    area = mmap.mmap(-1, 1 << 45, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
    for at in range(12000):
        area[at << 21]
    return "12000 page tables"


attempt("page tables", tables)
