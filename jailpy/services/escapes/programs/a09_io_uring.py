# row = "A9"
# boundary = "the filter, by a ring that makes calls for the payload"
# ending = "ok"
# layers = ["seccomp"]
# control = "without"
# [unproven]
# io_uring_setup = "where kernel.io_uring_disabled is set"
"""Sets up an io_uring, whose operations no filter sees."""

import ctypes

from attack import attempt, call, reaches


def ring():
    return f"a ring: descriptor {call('io_uring_setup', 8, ctypes.create_string_buffer(120))}"


attempt("io_uring_setup", ring)
attempt("io_uring_enter", reaches, "io_uring_enter", -1, 1, 0, 0, 0, 0)
attempt("io_uring_register", reaches, "io_uring_register", -1, 0, 0, 0)
