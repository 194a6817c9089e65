"""HostFacts: what a plan needs to know of this host, gathered by looking (no fork). On the way to execve: keep it cheap."""

from __future__ import annotations

import os
import resource
import stat

from jailpy import cache
from jailpy.frozen import Frozen
from jailpy.host import apparmor, cgroups
from jailpy.kernel import ARCH, files, landlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.apparmor import Loaded

# systemd's table of uid ranges leaves 1879048192 to 2147483647 unused (systemd.io, UIDS-GIDS).
UNUSED_UIDS = 1879048192
SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store", "gnu/store")
NEARER = ("usr/lib", "usr/share", "usr/local")
_ETC = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "alternatives", "ca-certificates", "pki",
    "crypto-policies", "mime.types", "magic", "perl", "ssl/certs", "ssl/openssl.cnf",
)  # fmt: skip
_ETC_PREFIXES = ("java", "python3")
_INTERFACES = (
    "proc", "sysfs", "cgroup", "cgroup2", "devtmpfs", "devpts", "debugfs", "tracefs", "securityfs", "configfs", "bpf",
    "efivarfs",
)  # fmt: skip
_AT_HOME = ("/proc/", "/sys/", "/dev/")
_HUGE_PAGES = "/sys/kernel/mm/hugepages"
_ETC_NETWORK = ("services", "protocols", "gai.conf")


class Entry(Frozen):
    """A path of the host: `kind` is "folder", "file" or "link" (then `target` is where it points).

    With a `target`, a folder or file is shown from there: its own path is a link to what no jail shows otherwise.
    """

    path: str
    kind: str
    target: str = ""


class Plain(Frozen):
    """What a launch without namespaces needs to know (jailpy/host/plain.py).

    `refused` says why there are no namespaces here, "" where there are or where nobody tried. `base` is the folder for
    work folders. `capabilities` are the effective ones, as bits; `tasks` counts those of this account.
    """

    refused: str
    base: str
    capabilities: int
    tasks: int


class HostFacts(Frozen):
    """See the module. `outside` are the host uid and gid that the jail's own map to.

    `nesting_switch` says that user.max_user_namespaces can be written through the host's /proc. Looked at only where a
    profile accepts it: `plain`, what a launch without namespaces needs, and `proc_refused`, that no procfs can be mounted.
    `nearer` are folders of the system's that most opened files are in. `interfaces` are where filesystems like proc and sysfs
    are mounted beside /proc, /sys and /dev. `huge_pages` says that there are some in a pool, or can be (hugetlbpage.rst).
    """

    kernel: tuple[int, int]
    machine: str
    euid: int
    egid: int
    real_root: bool
    outside: tuple[int, int]
    last_capability: int
    landlock_abi: int
    hard_limits: tuple[tuple[str, int], ...]
    processors: int
    system: tuple[Entry, ...]
    etc: tuple[Entry, ...]
    etc_network: tuple[Entry, ...]
    devices: tuple[str, ...]
    proc: tuple[Entry, ...]
    root_filesystem: str
    apparmor: bool
    apparmor_profiles: tuple[Loaded, ...]
    tmpfs_user_xattr: bool
    resolv_conf: str
    cgroups: cgroups.CgroupFacts
    hidden: tuple[str, ...]
    nesting_switch: bool = True
    proc_refused: bool = False
    plain: Plain | None = None
    nearer: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    huge_pages: bool = False


def entry(path: str) -> Entry | None:
    """Look at one path without following a last link; None where there is nothing."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return None
    if stat.S_ISLNK(mode):
        return Entry(path, "link", os.readlink(path))
    return Entry(path, "folder" if stat.S_ISDIR(mode) else "file")


def _entries(root: str, names: tuple[str, ...]) -> tuple[Entry, ...]:
    return tuple(found for name in names if (found := entry(root + name)))


def _etc_names() -> tuple[str, ...]:
    try:
        listed = sorted(os.listdir("/etc"))
    except OSError:
        listed = []
    return _ETC + tuple(name for name in listed if name.startswith(_ETC_PREFIXES))


def _etc_entries(names: tuple[str, ...]) -> tuple[Entry, ...]:
    return tuple(_followed(found) if found.kind == "link" else found for found in _entries("/etc/", names))


def _followed(link: Entry) -> Entry:
    """Return what a link leads to where that lies outside /usr and /etc, as the certificates of openSUSE do in /var/lib."""
    real = os.path.realpath(link.path)
    found = None if real.startswith(("/usr/", "/etc/")) else entry(real)
    return Entry(link.path, found.kind, real) if found else link


def _proc() -> tuple[Entry, ...]:
    """Return the entries of /proc that are no process and that others than root may use.

    The rest needs no mask: the jail's user is never root's, nor in its group, to a file of procfs, and has no capability.
    """
    with os.scandir("/proc") as listing:
        names = [
            Entry(found.name, "link" if found.is_symlink() else "folder" if found.is_dir() else "file")
            for found in listing
            if not found.name.isdecimal() and found.stat(follow_symlinks=False).st_mode & 0o077
        ]
    return tuple(sorted(names, key=lambda found: found.path))


def _outside(euid: int, egid: int, real_root: bool) -> tuple[int, int]:
    if not real_root:
        return euid, egid
    first, _, count = (int(word) for word in files.read("/proc/self/uid_map").split()[-3:])
    wanted = UNUSED_UIDS + os.getpid() if first + count > UNUSED_UIDS + (1 << 22) else first + count - 1 - os.getpid() % 1000
    return wanted, wanted


def _hard_limits() -> tuple[tuple[str, int], ...]:
    names = ("NOFILE", "FSIZE", "CORE", "STACK", "MEMLOCK", "NICE", "RTPRIO", "NPROC", "CPU", "MSGQUEUE", "SIGPENDING", "DATA")
    return tuple(
        (name, resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1])
        for name in names
        if hasattr(resource, f"RLIMIT_{name}")
    )


def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    digits = "".join(char for char in minor if char.isdecimal())
    return int(major), int(digits or 0)


def _interfaces(mounts: list[str]) -> tuple[str, ...]:
    kinds = ((line.split(" ", 5)[4], line.partition(" - ")[2].partition(" ")[0]) for line in mounts)
    points = [point for point, kind in kinds if kind in _INTERFACES and not f"{point}/".startswith(_AT_HOME)]
    if not points:
        return ()
    from jailpy.host import surroundings

    return tuple(map(surroundings.unescaped, points))


def _huge_pages() -> bool:
    """Say whether a pool has huge pages of any size, or may get some; also where that cannot be read."""
    counts = ("nr_hugepages", "nr_overcommit_hugepages")
    try:
        return any(int(files.read(f"{_HUGE_PAGES}/{size}/{count}")) for size in os.listdir(_HUGE_PAGES) for count in counts)
    except OSError:
        return True


def _nesting_switch() -> bool:
    try:
        return not os.statvfs("/proc/sys/user/max_user_namespaces").f_flag & os.ST_RDONLY
    except OSError:
        return False  # containers may cover /proc/sys


def _read_or_empty(path: str) -> str:
    try:
        return files.read(path)
    except OSError:
        return ""


def gather() -> HostFacts:
    """Look at the host. Raises OSError where /proc cannot be read at all."""
    euid, egid = os.geteuid(), os.getegid()
    maps = files.read("/proc/self/uid_map").split()
    real_root = euid == 0 and sum(int(count) for count in maps[2::3]) > 1
    mounts = files.mounts()
    root = next((line for line in mounts if line.split()[4] == "/"), "")
    return HostFacts(
        kernel=_kernel(),
        machine=ARCH,
        euid=euid,
        egid=egid,
        real_root=real_root,
        outside=_outside(euid, egid, real_root),
        last_capability=int(files.read("/proc/sys/kernel/cap_last_cap")),
        landlock_abi=landlock.abi()[0],
        hard_limits=_hard_limits(),
        processors=len(os.sched_getaffinity(0)),
        system=_entries("/", SYSTEM),
        etc=_etc_entries(_etc_names()),
        etc_network=_etc_entries(_ETC_NETWORK),
        devices=tuple(name for name in ("null", "zero", "full", "random", "urandom", "tty") if os.path.exists(f"/dev/{name}")),
        proc=_proc(),
        root_filesystem=root.partition(" - ")[2].split(" ")[0],
        apparmor=apparmor.enabled(),
        apparmor_profiles=apparmor.loaded() if apparmor.enabled() else (),
        tmpfs_user_xattr=_kernel() >= (6, 6),
        resolv_conf=_read_or_empty("/etc/resolv.conf"),
        cgroups=cgroups.discover(mounts, euid),
        nesting_switch=_nesting_switch(),
        hidden=tuple(os.path.realpath(path) for path in (cache.folder(),) if path),
        interfaces=_interfaces(mounts),
        huge_pages=_huge_pages(),
        nearer=tuple(found.path for found in _entries("/", NEARER) if found.kind == "folder"),
    )
