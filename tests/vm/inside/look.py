"""Runs in a guest: what it is, by other means than JailPy's own, as one JSON object."""

import ctypes
import json
import os
import platform
import re
import subprocess

LANDLOCK_CREATE_RULESET, VERSION = 444, 1  # landlock_create_ruleset(2)


def text(path):
    with open(path) as file:
        return file.read().strip()


def own_group():
    """The folder of this process's cgroup, version 2."""
    (line,) = (line for line in text("/proc/self/cgroup").splitlines() if line.startswith("0::"))
    return "/sys/fs/cgroup" + line[3:]


def controllers():
    """The controllers that this account may pass on from its own group."""
    group = own_group()
    mine = os.access(f"{group}/cgroup.subtree_control", os.W_OK)
    return sorted(text(f"{group}/cgroup.controllers").split()) if mine else []


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    systemd = run("systemctl", "--version").stdout
    print(
        json.dumps(
            {
                "kernel": platform.release(),
                "landlock": libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, VERSION),
                "systemd": int(re.match(r"systemd (\d+)", systemd)[1]),
                "python": platform.python_version(),
                "apparmor": text("/sys/module/apparmor/parameters/enabled") == "Y",
                "lsm": text("/sys/kernel/security/lsm"),
                "userns": run("unshare", "--user", "--map-root-user", "true").returncode == 0,
                "cgroup": run("stat", "-fc", "%T", "/sys/fs/cgroup").stdout.strip(),
                "controllers": controllers(),
                "distribution": platform.freedesktop_os_release()["PRETTY_NAME"],
                "processors": os.cpu_count(),
                "uid": os.getuid(),
            }
        )
    )


if __name__ == "__main__":
    main()
