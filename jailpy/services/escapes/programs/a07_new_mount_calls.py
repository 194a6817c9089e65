# row = "A7"
# boundary = "the jail's mounts"
# ending = "ok"
# layers = ["seccomp"]
# control = "namespaces"
# [unproven]
# statmount = "from Linux 6.8"
# listmount = "from Linux 6.8"
# open_tree_attr = "from Linux 6.15"
# listns = "from Linux 6.19"
"""Mounts by the calls that deny-lists forgot (CVE-2021-41133)."""

from attack import attempt, reaches

for name in (
    "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "statmount", "listmount",
    "open_tree_attr", "listns",
):  # fmt: skip
    attempt(name, reaches, name, -1, -1, -1, -1, -1)
