# row = "B5"
# boundary = "the run's own limits"
# ending = "ok"
# layers = ["mount", "landlock"]
# control = "outside"
"""Opens the files of its own cgroup, to raise the limits or to move out."""

import os

from attack import Held, attempt


def own_files():
    with open("/proc/self/cgroup") as file:
        paths = [line.rstrip("\n").split(":", 2)[2].lstrip("/") for line in file]
    if not os.path.isdir("/sys/fs/cgroup"):
        raise Held("no /sys/fs/cgroup")
    for top, folders, names in os.walk("/sys/fs/cgroup"):
        if top.count("/") > 12:
            folders.clear()
        if not any(top.endswith(path) for path in paths):
            continue
        for name in names:
            if name in ("cgroup.procs", "tasks", "memory.max", "memory.limit_in_bytes", "pids.max", "cgroup.subtree_control"):
                try:
                    os.close(os.open(os.path.join(top, name), os.O_WRONLY))
                except OSError:
                    continue
                return f"may write {top}/{name}"
    raise Held("nothing to write")


attempt("limits", own_files)
