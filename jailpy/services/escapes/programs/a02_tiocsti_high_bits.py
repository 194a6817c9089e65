# row = "A2"
# boundary = "the caller's terminal"
# ending = "ok"
# layers = ["seccomp"]
# violations = ["ioctl"]
# control = "without"
"""The same with bits set that the kernel does not look at and a 64-bit comparison does (CVE-2019-10063)."""

from attack import attempt, reaches

for bits in (1 << 32, 0x7FFFFFFF << 32):
    attempt(f"TIOCSTI+{bits:#x}", reaches, "ioctl", 0, 0x5412 | bits, b"x")
