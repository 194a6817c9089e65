# row = "C13"
# boundary = "exec = system, by a program that loads another"
# ending = "ok"
# layers = ["mount", "landlock"]
# control = "outside"
# [backstop]
# landlock = "the loader maps the file and does not execute it: the mounts' noexec alone sees that"
# [grade]
# "by the loader" = "the profile says exec = any"
# "mapped" = "the same"
"""Has the loader load a copy of a program, and maps one itself."""

import glob
import mmap
import os
import shutil

from attack import attempt


def by_loader():
    shutil.copy("/usr/bin/true", "copied")
    loader = (glob.glob("/lib64/ld-linux-*.so.*") + glob.glob("/lib/ld-linux-*.so.*"))[0]
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.execv(loader, [loader, "./copied"])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise PermissionError(1, "the loader could not map it")
    return "ran"


def mapped():
    with open("copied", "rb") as file:
        mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC, flags=mmap.MAP_PRIVATE).close()
    return "mapped to be executed"


attempt("by the loader", by_loader)
attempt("mapped", mapped)
