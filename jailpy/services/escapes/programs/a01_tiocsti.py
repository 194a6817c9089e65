# row = "A1"
# boundary = "the caller's terminal"
# ending = "ok"
# layers = ["seccomp"]
# violations = ["ioctl"]
# control = "without"
"""Types into the terminal of the caller: TIOCSTI (CVE-2017-5226)."""

from attack import attempt, reaches

attempt("TIOCSTI", reaches, "ioctl", 0, 0x5412, b"x")
