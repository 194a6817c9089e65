# row = "C5"
# boundary = "files of the host, by a second name"
# ending = "ok"
# layers = ["mount", "landlock"]
# control = "outside"
# root_only = ["a file of the system"]
"""Gives files that it was shown a second name where it may write."""

import os

from attack import HERE, attempt


def link(path, *folders):
    """Try one folder after the other: a link cannot leave its filesystem, and /tmp may be one of its own."""
    for folder in folders:
        name = os.path.join(folder, f"second-{os.getpid()}")
        try:
            os.link(path, name)
        except OSError as error:
            refusal = error
        else:
            os.unlink(name)
            return f"linked {path}"
    raise refusal


with open("first", "w"):
    pass
attempt("a shown file", link, os.path.join(HERE, "attack.py"), ".")
attempt("a file of the system", link, "/etc/passwd", ".", "/var/tmp")
