# row = "D3"
# boundary = "limits.memory"
# ending = "memory_limit"
# evidence = "memory"
# layers = ["cgroup"]
# control = "loose"
# options = { memory = "32M", wall = "20s", cpu = "15s" }
# loose = { memory = "256M", wall = "20s", cpu = "15s" }
"""Takes memory: anonymous pages."""

from attack import attempt

attempt("anonymous pages", lambda: f"{sum(len(part) for part in [bytearray(b'x' * (1 << 20)) for _ in range(48)]) >> 20} MiB")
