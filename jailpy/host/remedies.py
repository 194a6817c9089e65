"""What to do about a failed step: (step, errno) -> the one likely cause and the smallest fix. Parent side, no kernel calls
but looks at /proc.
"""

from __future__ import annotations

import errno
import os

_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"


def _one(path: str, value: str) -> bool:
    try:
        with open(path) as file:
            return file.read().strip() == value
    except OSError:
        return False


def user_namespace() -> list[str]:
    """Name why user namespaces do not work for this account, and the administrator's one step."""
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        return ["this container's runtime refuses namespaces: start it with --security-opt seccomp=unconfined"]
    if _one(_APPARMOR, "1"):
        return [
            "Ubuntu's AppArmor takes the rights of unprivileged user namespaces away; an administrator can allow them:",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ]
    if _one("/proc/sys/kernel/unprivileged_userns_clone", "0"):
        return ["this kernel reserves user namespaces for root: sudo sysctl -w kernel.unprivileged_userns_clone=1"]
    if _one("/proc/sys/user/max_user_namespaces", "0"):
        return ["user namespaces are limited to 0: sudo sysctl -w user.max_user_namespaces=10000"]
    return ["a security module or container runtime refuses user namespaces here: see jailpy doctor"]


def for_step(step: str, number: int) -> list[str]:
    """Return hints for a step's class name and errno; an empty list where nothing better than the errno is known."""
    if step in ("CloneNamespaces", "MapIds", "CutPropagation", "BecomeUser") and number in (
        errno.EPERM, errno.ENOSPC, errno.EACCES, errno.EUSERS, errno.ENOSYS, errno.EINVAL,
    ):  # fmt: skip
        return user_namespace()
    if step == "NewProc" and number == errno.EPERM:
        return ["the outer /proc is partly masked (a container): start the container with --security-opt systempaths=unconfined"]
    if number == errno.ENOSPC and step in ("CopyTree", "MakeFile"):
        return ["it does not fit the jail's disk limit: raise --disk"]
    if number == errno.EACCES and step in ("OpenSource", "CopyTree"):
        return ["this account may not read it"]
    if number == errno.ELOOP:
        return ["a part of the path is a symbolic link now: name what it points to"]
    if step == "ChangeFolder":
        return ["the working directory must exist in the jail: show a folder there, or leave --workdir out"]
    if step in ("MakeCgroup", "SetCgroupLimit", "JoinCgroup", "EnterScope"):
        return ["see jailpy doctor for the cgroups of this account"]
    if step == "LoadFilter" and number == errno.EINVAL:
        return ["this kernel lacks a seccomp feature that the filter needs (user notification: Linux 5.5)"]
    return []
