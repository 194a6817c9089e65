# row = "B18"
# boundary = "devices of the host"
# ending = "ok"
# layers = ["mount", "capabilities", "seccomp"]
# violations = ["mknodat"]
# control = "outside"
# root_only = ["make /dev/mem", "make /dev/null", "open /dev/mem", "open /dev/kmsg", "open /dev/fuse", "open /dev/kvm", "open /dev/uinput", "open /dev/loop-control",
#              "open /dev/net/tun", "open /dev/ptmx", "open /dev/tty0"]
# [unproven]
# "open /dev/mem" = "a kernel without it"
# "open /dev/kmsg" = "covered in containers"
# "open /dev/fuse" = "a kernel without it"
# "open /dev/kvm" = "a virtual machine without it"
# "open /dev/uinput" = "a kernel without it"
# "open /dev/loop-control" = "a kernel without it"
# "open /dev/net/tun" = "a kernel without it"
# "open /dev/tty0" = "a machine without consoles"
"""Makes device nodes, and opens those that a kernel has bugs behind."""

import os
import stat

from attack import attempt, opens


def make(kind, major, minor):
    os.mknod("node", kind | 0o600, os.makedev(major, minor))
    os.unlink("node")
    return "made a node"


attempt("make /dev/mem", make, stat.S_IFCHR, 1, 1)
attempt("make /dev/null", make, stat.S_IFCHR, 1, 3)
for name in ("mem", "kmsg", "fuse", "kvm", "uinput", "loop-control", "net/tun", "ptmx", "tty0"):
    attempt(f"open /dev/{name}", opens, f"/dev/{name}", os.O_RDWR)
