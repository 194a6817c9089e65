# row = "A13"
# boundary = "denied calls, when the supervisor cannot look into the caller"
# ending = "ok"
# layers = ["seccomp"]
# violations = ["ptrace", "unshare"]
# control = "without"
"""Makes itself unreadable to the supervisor, then makes denied calls (safedep/pmg#448)."""

from attack import attempt, call, check, libc, reaches

check(libc.prctl(4, 0, 0, 0, 0))
attempt("ptrace", lambda: f"may be traced: {call('ptrace', 0, 0, 0, 0)}")
attempt("unshare", reaches, "unshare", 0)
