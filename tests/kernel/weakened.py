"""Start a command on a host that lacks something, made by real means in namespaces of its own; as any account.

    python -P tests/kernel/weakened.py WHAT[,WHAT...] COMMAND [ARG...]

cgroup       /sys/fs/cgroup is covered: no cgroup can be made
proc         parts of /proc are covered as containers cover them, so the kernel refuses a new procfs
proc-rw      as proc, but /proc/sys can be written
hidepid      /proc shows an account its own processes only; for root alone to set up
"""

from __future__ import annotations

import os
import sys

from jailpy.kernel import files, mount, process

# What container engines cover by default: files by /dev/null, folders by an empty tmpfs; the last are made read-only.
MASKED_FILES = ("kcore", "keys", "timer_list", "interrupts", "sched_debug", "latency_stats")
MASKED_FOLDERS = ("acpi", "scsi")
READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")


def own_namespaces():
    """Enter a mount namespace, and without root a user namespace that maps this account to itself."""
    uid, gid = os.geteuid(), os.getegid()
    process.unshare(process.CLONE_NEWNS | (process.CLONE_NEWUSER if uid else 0))
    if uid:
        files.write("/proc/self/setgroups", "deny")
        files.write("/proc/self/uid_map", f"{uid} {uid} 1")
        files.write("/proc/self/gid_map", f"{gid} {gid} 1")
    mount.make_private()


def cover_by_tmpfs(path):
    number = mount.new_filesystem(b"tmpfs", (("size", "4096"),), mount.NOSUID)
    mount.move_mount(number, mount.AT_FDCWD, path.encode())
    os.close(number)


def bind(source, path, attributes=0):
    number = mount.open_tree(mount.AT_FDCWD, source.encode())
    mount.mount_setattr(number, attributes)
    mount.move_mount(number, mount.AT_FDCWD, path.encode())
    os.close(number)


def cover_proc(read_only):
    for name in MASKED_FILES:
        if os.path.exists(f"/proc/{name}"):
            bind("/dev/null", f"/proc/{name}")
    for name in MASKED_FOLDERS:
        if os.path.isdir(f"/proc/{name}"):
            cover_by_tmpfs(f"/proc/{name}")
    for name in read_only:
        if os.path.exists(f"/proc/{name}"):
            bind(f"/proc/{name}", f"/proc/{name}", mount.RDONLY)


def hide():
    number = mount.new_filesystem(b"proc", (("hidepid", "invisible"),), mount.NOSUID)
    mount.move_mount(number, mount.AT_FDCWD, b"/proc")
    os.close(number)


MEANS = {
    "cgroup": lambda: cover_by_tmpfs("/sys/fs/cgroup"),
    "proc": lambda: cover_proc(READ_ONLY),
    "proc-rw": lambda: cover_proc([name for name in READ_ONLY if name != "sys"]),
    "hidepid": hide,
}


if __name__ == "__main__":
    what, *command = sys.argv[1:]
    own_namespaces()
    for name in what.split(","):
        MEANS[name]()
    os.execv(command[0], command)
