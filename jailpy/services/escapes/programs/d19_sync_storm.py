# row = "D19"
# boundary = "the disks of the host"
# ending = "ok"
# layers = ["seccomp"]
# violations = ["sync"]
# control = "without"
"""Has the host write back all of its disks, again and again."""

from attack import attempt, call

attempt("sync", lambda: f"done {[call('sync') for _ in range(3)]}")
