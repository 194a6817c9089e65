# row = "B4"
# boundary = "cgroup files, release_agent among them (CVE-2022-0492)"
# ending = "ok"
# layers = ["seccomp", "capabilities"]
# control = "namespaces"
"""Mounts a cgroup hierarchy of its own."""

from attack import attempt, call


def mount(kind):
    call("mount", b"none", b".", kind, 0, 0)
    return f"mounted {kind.decode()}"


attempt("cgroup2", mount, b"cgroup2")
