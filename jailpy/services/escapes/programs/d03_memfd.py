# row = "D3"
# boundary = "limits.memory, by files without a name"
# ending = "memory_limit"
# evidence = "memory"
# layers = ["cgroup"]
# control = "loose"
# options = { memory = "32M" }
# loose = { memory = "256M" }
"""Takes memory: memfds, which no disk limit counts, made so that they cannot be executed."""

import errno
import mmap

from attack import attempt, call

MFD_NOEXEC_SEAL = 8


def memfds():
    try:
        numbers = [call("memfd_create", b"x", MFD_NOEXEC_SEAL) for _ in range(12)]
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return before_6_3()
    for number in numbers:
        with open(number, "wb", buffering=0, closefd=False) as file:
            file.writelines(bytes(1 << 20) for _ in range(4))
    return "48 MiB"


def before_6_3():
    """Linux cannot make such a memfd there; memory that is shared lies in a file without a name, too."""
    areas = [mmap.mmap(-1, 4 << 20) for _ in range(12)]
    for area in areas:
        area.write(bytes(4 << 20))
    return "48 MiB"


attempt("memfds", memfds)
