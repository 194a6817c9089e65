"""What this process runs inside: a container, a service, another jail; and the small looks that tell causes apart.

Parent side, no fork. `ROOT` stands before every path, so that tests can look at another host's files.
"""

from __future__ import annotations

import os
import sys

ROOT = ""
_FILTERED = "2"
_LIBRARY = "libsystemd-shared-"
_WHOLE_MAP = ["0", "0", "4294967295"]
_MARKS = (
    ("jailpy", "/.landlock"),
    ("kubernetes", "/var/run/secrets/kubernetes.io"),
    ("docker", "/.dockerenv"),
    ("podman", "/run/.containerenv"),
    ("flatpak", "/.flatpak-info"),
)


def text(path: str) -> str:
    """Return a file's text without the newline, "" where it cannot be read (a sysctl refuses reads of 4 MiB)."""
    try:
        with open(ROOT + path, encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\0\n")
    except OSError:
        return ""


def exists(path: str) -> bool:
    """Say whether a path is there; links of /proc are not followed, which some profiles forbid."""
    return os.path.lexists(ROOT + path)


def filtered() -> bool:
    """Say whether a system-call filter is on this process (proc_pid_status(5), Seccomp)."""
    return f"Seccomp:\t{_FILTERED}" in text("/proc/self/status")


def label() -> str:
    """Return the AppArmor profile that confines this process, "" where none does."""
    found = text("/proc/self/attr/apparmor/current") or text("/proc/self/attr/current")
    return found if found.endswith(("(enforce)", "(kill)")) else ""


def selinux() -> bool:
    """Say whether SELinux enforces its policy."""
    return text("/sys/fs/selinux/enforce") == "1"


def nested() -> bool:
    """Say whether this is not the host's own user namespace."""
    return text("/proc/self/uid_map").split() != _WHOLE_MAP


def chrooted() -> bool:
    """Say whether the root folder is no mount of its own, as in a chroot(2): user namespaces are refused there."""
    points = [line.split()[4] for line in text("/proc/self/mountinfo").splitlines()]
    return bool(points) and "/" not in points


def container() -> str:
    """Return what this runs inside: a name of `_MARKS`, "lxc", "service", or "" for a plain host."""
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    for name, mark in _MARKS:
        if exists(mark):
            return name
    if text("/run/systemd/container").startswith("lxc") or exists("/dev/lxd"):
        return "lxc"
    return "service" if unit() else ""


def around() -> str:
    """Return what this runs inside in words, "" for a plain host."""
    where = container()
    return {"": "", "service": unit(), "jailpy": "a JailPy jail"}.get(where, f"a {where} container")


def own_mounts() -> bool:
    """Say whether the mounts follow those of another namespace, as in a service with Protect...= (mount_namespaces(7))."""
    roots = [line.partition(" - ")[0].split() for line in text("/proc/self/mountinfo").splitlines()]
    return any(field.startswith("master:") for fields in roots if fields[4] == "/" for field in fields[6:])


def unit() -> str:
    """Return the system service that this process belongs to, "" where it is none."""
    for line in text("/proc/self/cgroup").splitlines():
        if line.startswith(("0::", "1:name=systemd:")) and "/user@" not in line:
            names = [name for name in line.split("/") if name.endswith(".service")]  # a subgroup may follow (DelegateSubgroup=)
            if names:
                return names[-1]
    return ""


def systemd() -> int:
    """Return the version of the systemd that is installed, 0 where there is none: its own library bears it in its name."""
    for folder in ("systemd", f"{os.uname().machine}-linux-gnu/systemd", "../lib64/systemd", "../../lib/systemd"):
        try:
            names = os.listdir(f"{ROOT}/usr/lib/{folder}")
        except OSError:
            continue
        found = [name[len(_LIBRARY) :][:3] for name in names if name.startswith(_LIBRARY)]
        if found and found[0].isdecimal():
            return int(found[0])
    return 0


def kernel() -> str:
    """Return the kernel as people name it."""
    return f"Linux {os.uname().release}"


def release() -> tuple[int, ...]:
    """Return the first two numbers of the kernel's release."""
    return tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2] if part.isdecimal())


def unescaped(path: str) -> str:
    """Return a path of mountinfo as it is: space, tab, newline and backslash stand there in octal (proc_pid_mountinfo(5))."""
    for code in (" ", "\t", "\n", "\\"):
        path = path.replace(f"\\{ord(code):03o}", code)
    return path


def _os_release() -> dict[str, str]:
    lines = (text("/etc/os-release") or text("/usr/lib/os-release")).splitlines()
    return {name: value.strip("\"'") for name, equals, value in (line.partition("=") for line in lines) if equals}


def distribution() -> list[str]:
    """Return the names of this distribution and of those that it is like, nearest first (os-release(5))."""
    values = _os_release()
    return [values.get("ID", ""), *values.get("ID_LIKE", "").split()]


def pretty_name() -> str:
    """Return the distribution as people name it."""
    return _os_release().get("PRETTY_NAME", "Linux")


def sudo() -> str:
    """Return the word that makes a command run as root: none for root."""
    return "" if os.geteuid() == 0 else "sudo "


def start_script() -> str:
    """Return the start script `jailpy`: the one that runs, else one beside the interpreter; "" where there is none."""
    beside = os.path.join(os.path.dirname(sys.executable), "jailpy")
    for path in (sys.argv[0] if sys.argv else "", beside):
        script = os.path.realpath(path) if path else ""
        if os.path.basename(script) == "jailpy" and script.isprintable() and os.access(script, os.X_OK):
            return script
    return ""


def started_by_script() -> bool:
    """Say whether AppArmor takes this program for its start script, not for the interpreter (`python -m jailpy`)."""
    script = start_script()
    return bool(script) and bool(sys.argv[0]) and os.path.realpath(sys.argv[0]) == script
