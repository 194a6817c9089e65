"""What of the host could have been changed, as values that can be compared."""

from __future__ import annotations

import hashlib
import os
import time

RESTLESS = (  # counters, and files that another value each time they are read
    "kernel/random/", "fs/file-nr", "fs/inode-nr", "fs/inode-state", "fs/dentry-state", "fs/aio-nr", "kernel/ns_last_pid", "kernel/pty/nr",
    "kernel/perf_event_max_sample_rate", "kernel/perf_cpu_time_max_percent", "net/netfilter/nf_conntrack_count", "debug/", "fs/binfmt_misc/",
    "vm/nr_hugepages", "kernel/tainted", "fs/quota/", "vm/stat_refresh",
)  # fmt: skip
FOLDERS = ("/", "/etc", "/dev", "/usr/bin")
MADE = ("/dev/shm/x", "/tmp/folder", "/work/file")  # the fuzzer's own names: other programs use these folders, too


def _text(path):
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read(1 << 16)).hexdigest()
    except OSError as error:
        return error.errno


def sysctls():
    found = {}
    for top, _, names in os.walk("/proc/sys"):
        for name in names:
            path = f"{top}/{name}".removeprefix("/proc/sys/")
            if not path.startswith(RESTLESS) and path not in RESTLESS:
                found[path] = _text(f"/proc/sys/{path}")
    return found


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return dict.fromkeys(file, "")


def files(watched):
    """Return what is known of a folder's files: kind and mode, owner, size, times, content of small ones."""
    found = {}
    for top, folders, names in os.walk(watched):
        for name in (*folders, *names):
            path = os.path.join(top, name)
            about = os.lstat(path)
            small = _text(path) if os.path.isfile(path) and not os.path.islink(path) else ""
            found[path] = (about.st_mode, about.st_uid, about.st_size, about.st_mtime_ns, small)
    return found


def names():
    there = {os.path.join(path, name): True for path in FOLDERS for name in os.listdir(path)}
    return {**there, **{path: os.path.lexists(path) for path in MADE}}


def facts():
    return {"host": os.uname().nodename, "clock": round((time.time() - time.monotonic()) / 5)}


def look(watched):
    """Return everything, by what it is."""
    return {"sysctls": sysctls(), "mounts": mounts(), "files": files(watched), "names": names(), "facts": facts()}


def differences(before, after):
    """Return what differs, in words."""
    return [
        f"{kind}: {key}: {before[kind].get(key)} -> {after[kind].get(key)}"
        for kind in before
        for key in before[kind].keys() | after[kind].keys()
        if before[kind].get(key) != after[kind].get(key)
    ]
