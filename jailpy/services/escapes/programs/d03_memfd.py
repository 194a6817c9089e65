# row = "D3"
# boundary = "limits.memory, by files without a name"
# ending = "memory_limit"
# evidence = "memory"
# layers = ["cgroup"]
# control = "loose"
# options = { memory = "32M" }
# loose = { memory = "256M" }
"""Takes memory: memfds, which no disk limit counts, made so that they cannot be executed."""

from attack import attempt, call


def memfds():
    numbers = [call("memfd_create", b"x", 8) for _ in range(12)]
    for number in numbers:
        with open(number, "wb", buffering=0, closefd=False) as file:
            file.writelines(bytes(1 << 20) for _ in range(4))
    return "48 MiB"


attempt("memfds", memfds)
