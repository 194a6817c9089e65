# row = "B9"
# boundary = "executables of the host: the launcher's own (CVE-2019-5736)"
# ending = "ok"
# layers = ["mount", "landlock"]
# control = "outside"
# [grade]
# "a copy" = "it may execute what it wrote, and that is its own"
# [unproven]
# "its interpreter" = "an ordinary user may not write it, and nobody may while it runs"
# "the parent's executable" = "the same"
"""Opens executables for writing, through /proc, once the process that runs them has gone."""

import os
import shutil
import signal
import time

from attack import attempt, opens


def own_copy():
    shutil.copy("/usr/bin/sleep", "copied")
    os.chmod("copied", 0o755)
    pid = os.fork()
    if pid == 0:
        os.execv("./copied", ["./copied", "5"])
    time.sleep(0.05)
    number = os.open(f"/proc/{pid}/exe", os.O_PATH)
    name = os.readlink(f"/proc/{pid}/exe")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if not name.endswith("copied"):
        raise PermissionError(13, "it did not run")
    os.close(os.open(f"/proc/self/fd/{number}", os.O_WRONLY))
    return "may write a file that it has executed"


attempt("its interpreter", opens, "/proc/self/exe", os.O_WRONLY)
attempt("the parent's executable", opens, f"/proc/{os.getppid()}/exe", os.O_WRONLY)
attempt("a copy", own_copy)
