# row = "D5"
# boundary = "limits.swap: none"
# ending = "memory_limit"
# evidence = "memory"
# layers = ["cgroup"]
# control = "loose"
# options = { memory = "32M", wall = "20s" }
# loose = { memory = "128M", wall = "20s" }
"""Takes twice the limit, in pages that could be swapped out, and asks for that (MADV_PAGEOUT)."""

import mmap

from attack import attempt


def paged_out():
    areas = []
    for _ in range(16):
        area = mmap.mmap(-1, 4 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        area.write(b"x" * (4 << 20))
        try:
            area.madvise(21)
        except OSError:
            pass
        areas.append(area)
    return "64 MiB"


attempt("swap", paged_out)
