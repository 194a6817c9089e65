"""The profile as a value: what a TOML file means once it is merged, checked and converted. Parent side, pure.

Sizes are bytes, durations are seconds, `None` is "off". Every field is one key of the TOML file and has the same name
(`environment.pass` is `pass_` here).
"""

from __future__ import annotations

from jailpy.frozen import Frozen

LAYERS = (
    "user", "mount", "pid", "net", "ipc", "uts", "cgroup-ns", "capabilities", "no-new-privs",
    "seccomp", "landlock", "apparmor", "cgroup", "rlimits",
)  # fmt: skip
TIERS = ("no-namespaces", "container-root", "no-proc", "no-cgroup")


class Require(Frozen):
    """Which layers must hold (`layers`), which are used where the host has them (`prefer`), which weaker tiers are accepted."""

    layers: tuple[str, ...]
    prefer: tuple[str, ...]
    tiers: tuple[str, ...]


class Identity(Frozen):
    """Who the payload is inside, and the name of its machine (uts namespace)."""

    uid: int
    gid: int
    hostname: str


class Show(Frozen):
    """A host path shown in the jail. `destination` is "" where the profile leaves it to the default."""

    source: str
    destination: str


class Tmpfs(Frozen):
    """An empty private folder; `size` in bytes, None for a share of the one disk limit."""

    destination: str
    size: int | None


class Filesystem(Frozen):
    """What the payload sees. `root` is "system", "empty" or the path of a root filesystem folder."""

    root: str
    ro: tuple[Show, ...]
    rw: tuple[Show, ...]
    cow: tuple[Show, ...]
    tmpfs: tuple[Tmpfs, ...]
    workdir: str
    proc: str
    exec: str


class Network(Frozen):
    """`mode` is "none", "loopback" or "host"."""

    mode: str


class Seccomp(Frozen):
    """The system calls: names and @groups allowed, names and @groups denied, and what a denied call meets.

    `violation` is "errno", "kill" or "record" (the call is let through and written down: profile `observe`).
    """

    allow: tuple[str, ...]
    deny: tuple[str, ...]
    violation: str


class Landlock(Frozen):
    """Narrowing beyond [filesystem] and [network]: names of Landlock rights that are granted nowhere."""

    drop: tuple[str, ...]


class Apparmor(Frozen):
    """`profile` is "auto" (jailpy-NAME where it is loaded), "off" or the name of a loaded AppArmor profile."""

    profile: str


class Limits(Frozen):
    """Seconds for wall, cpu and idle; bytes for the sizes, a second for io; `None` is "off"."""

    wall: float | None
    cpu: float | None
    idle: float | None
    memory: int | None
    swap: int
    processes: int | None
    open_files: int
    file_size: int | None
    disk: int
    stack: int
    inodes: int
    output: int | None
    cpus: float | None
    io: int | None


class Environment(Frozen):
    """Names passed on from the caller where they are set, and variables that are always set."""

    pass_: tuple[str, ...]
    set: tuple[tuple[str, str], ...]


class Profile(Frozen):
    """One resolved profile. `digest` is "sha256:..." over the merged document; `origin` is its file.

    `loosened` names every key that is looser than `strict`, as "key: strict's value -> value".
    """

    name: str
    description: str
    digest: str
    origin: str
    require: Require
    identity: Identity
    filesystem: Filesystem
    network: Network
    seccomp: Seccomp
    landlock: Landlock
    apparmor: Apparmor
    limits: Limits
    environment: Environment
    runtime: tuple[str, ...]
    loosened: tuple[str, ...]
