# row = "A11"
# boundary = "memory and descriptors of other processes"
# ending = "ok"
# layers = ["seccomp"]
# violations = ["process_vm_writev", "process_vm_readv", "kcmp", "pidfd_getfd"]
# control = "without"
"""Reads, writes and robs a sibling, as it would a process of another jail."""

import ctypes
import os
import signal
import time

from attack import attempt, call

buffer = ctypes.create_string_buffer(b"x" * 16)
local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 16)
pid = os.fork()
if pid == 0:
    time.sleep(20)
    os._exit(0)
attempt("process_vm_readv", lambda: f"read {call('process_vm_readv', pid, local, 1, local, 1, 0)} bytes")
attempt("process_vm_writev", lambda: f"wrote {call('process_vm_writev', pid, local, 1, local, 1, 0)} bytes")
attempt("kcmp", lambda: f"compared: {call('kcmp', pid, os.getpid(), 0, 1, 1)}")
attempt("pidfd_getfd", lambda: f"took descriptor {call('pidfd_getfd', os.pidfd_open(pid), 1, 0)}")
os.kill(pid, signal.SIGKILL)
