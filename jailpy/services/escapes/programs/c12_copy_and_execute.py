# row = "C12"
# boundary = "exec = system: nothing that it wrote is executed"
# ending = "ok"
# layers = ["mount", "landlock", "seccomp"]
# violations = ["memfd_create"]
# control = "outside"
# [backstop]
# seccomp = "Landlock and the mounts do not see a memfd: the filter alone has it made without the right to execute"
# [grade]
# "a copy" = "the profile says exec = any"
# "a copy in /dev/shm" = "the same"
# "a memfd" = "the same"
"""Executes a copy of a program: from a folder that it may write, from shared memory, from a memfd."""

import os

from attack import attempt, call

with open("/usr/bin/true", "rb") as file:
    program = file.read()


def ended(pid):
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status if status > 0 else 1, "")
    return "ran"


def execute(path):
    with open(path, "wb", opener=lambda path, flags: os.open(path, flags, 0o755)) as file:
        file.write(program)
    pid = os.fork()
    if pid == 0:
        try:
            os.execv(path, [path])
        except OSError as error:
            os._exit(error.errno)
    try:
        return ended(pid)
    finally:
        os.unlink(path)


def memfd():
    number = call("memfd_create", b"x", 0)
    os.write(number, program)
    pid = os.fork()
    if pid == 0:
        try:
            os.execv(f"/proc/self/fd/{number}", ["x"])
        except OSError as error:
            os._exit(error.errno)
    return ended(pid)


attempt("a copy", execute, "./copied")
attempt("a copy in /dev/shm", execute, f"/dev/shm/copied{os.getpid()}")
attempt("a memfd", memfd)
