# row = "C5"
# boundary = "files of the host, by a second name"
# ending = "ok"
# layers = ["mount", "landlock"]
# control = "outside"
# root_only = ["a file of the system"]
"""Gives files that it was shown a second name where it may write."""

import os

from attack import HERE, attempt


def link(path):
    os.link(path, "second")
    os.unlink("second")
    return f"linked {path}"


with open("first", "w"):
    pass
attempt("a shown file", link, os.path.join(HERE, "attack.py"))
attempt("a file of the system", link, "/etc/passwd")
