# row = "D7"
# boundary = "limits.cpu, of all tasks together"
# ending = "cpu_limit"
# evidence = "cpu"
# layers = ["cgroup"]
# control = "loose"
# options = { cpu = "400ms", wall = "20s" }
# loose = { cpu = "20s", wall = "20s" }
"""Burns time in grandchildren that nobody waits for, while it sleeps itself."""

import os
import time

from attack import attempt


def burn():
    reader, writer = os.pipe()
    if os.fork() == 0:
        for _ in range(3):
            if os.fork() == 0:
                while time.process_time() < 0.3:
                    pass
                os._exit(0)
        os._exit(0)
    os.close(writer)
    os.read(reader, 1)  # ends with the last of them
    return "burned 0.9 s"


attempt("children", burn)
