# row = "D17"
# boundary = "what accounts count for each user: inotify, pipes, keys, pending signals"
# ending = "ok"
# layers = ["seccomp", "rlimits"]
# control = "outside"
# [backstop]
# seccomp = "for inotify, fanotify and message queues it stands alone"
# rlimits = "for open files it stands alone"
"""Takes of the things that all processes of one account share."""

import os

from attack import attempt, call


def many_files():
    held = []
    try:
        while len(held) < 200:
            held.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        for number in held:
            os.close(number)
    return f"{len(held)} open files"


attempt("inotify", lambda: f"descriptor {call('inotify_init1', 0)}")
attempt("posix queues", lambda: f"descriptor {call('mq_open', b'escape', 0o100 | 2, 0o600, 0)}, {call('mq_unlink', b'escape')}")
attempt("open files", many_files)
