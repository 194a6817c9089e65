# row = "C8"
# boundary = "limits.inodes"
# ending = "disk_limit"
# evidence = "statfs"
# layers = ["mount"]
# control = "loose"
# options = { set = { "limits.inodes" = 500 } }
# loose = { set = { "limits.inodes" = 5000 } }
"""Makes a tower of folders with names that no text has."""

import os

from attack import attempt


def tower():
    for _ in range(1200):
        os.mkdir(b"\xff\n" + b"x" * 200)
        os.chdir(b"\xff\n" + b"x" * 200)
    return "1200 levels"


raise SystemExit(not attempt("folders", tower))
