# row = "B17"
# boundary = "interpreters that the host registered: binfmt_misc"
# ending = "ok"
# layers = ["mount", "landlock"]
# control = "outside"
# [grade]
# "own" = "it may execute what it wrote"
# [unproven]
# "foreign" = "no interpreter is registered for it"
"""Executes a file of its own making, and one for another processor."""

import os

from attack import attempt

with open("/usr/bin/true", "rb") as file:
    program = bytearray(file.read())


def execute(name, data):
    with open(name, "wb", opener=lambda path, flags: os.open(path, flags, 0o755)) as file:
        file.write(data)
    pid = os.fork()
    if pid == 0:
        try:
            os.execv(f"./{name}", [name])
        except OSError as error:
            os._exit(100 + error.errno)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status > 100:
        raise OSError(status - 100, "")
    return f"ran: {status}"


attempt("own", execute, "own", program)
program[18:20] = (0x16).to_bytes(2, "little")  # EM_S390
attempt("foreign", execute, "foreign", program)
