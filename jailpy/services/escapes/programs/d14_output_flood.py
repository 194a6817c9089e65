# row = "D14"
# boundary = "limits.output"
# ending = "output_limit"
# evidence = "pipes"
# layers = ["supervisor"]
# control = "loose"
# options = { output = "1M" }
# loose = { output = "16M" }
"""Writes more than may be written, on both streams."""

import os

from attack import attempt


def flood():
    for _ in range(40):
        os.write(1, b"x" * 65535 + b"\n")
        os.write(2, b"x" * 65535 + b"\n")
    return "5 MiB"


attempt("output", flood)
