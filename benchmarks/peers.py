"""The peers: how each is found, asked for its version, and made to run one command, as strict as it can be.

Where a peer has no part of its own for a layer (a system-call filter that its user would have to write, cgroups that an
administrator would have to delegate) it goes without, which makes it quicker.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from benchmarks.common import UnavailableError

_LINKS = ("bin", "lib", "lib64")
_UNUSED_ID = 100000  # of the host: nobody, as JailPy started by root takes one too


@dataclass(frozen=True)
class Peer:
    """A program on PATH that runs a command. `confines` says what is around the command then."""

    name: str
    program: str
    install: str
    options: str
    confines: str

    def version(self) -> str:
        """Return the version that the program says it has, or "" where it does not say."""
        done = subprocess.run([self.path(), "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        found = re.search(r"\d+(\.\d+)+", done.stdout) if not done.returncode else None
        return found[0] if found else ""

    def path(self) -> str:
        """Find the program. Raises UnavailableError."""
        path = shutil.which(self.program)
        if not path:
            raise UnavailableError(f"{self.program} is not installed ({self.install})")
        return path

    def commands(self, command: list[str], scratch: str) -> list[list[str]]:
        """Return the commands that make one run, which has nothing of another run. `scratch` is a folder to put files into."""
        return [[self.path(), *self.options.split(), "--", *command]]

    def shown(self, command: list[str]) -> str:
        """Return the run as people would type it."""
        return " ".join([self.program, *self.options.split(), "--", *command])


class Crun(Peer):
    """An OCI runtime: reads a bundle, which is made here."""

    def commands(self, command: list[str], scratch: str) -> list[list[str]]:
        bundle = f"{scratch}/crun-{abs(hash(tuple(command)))}"
        write_bundle(bundle, command)
        common = [self.path(), "--root", f"{scratch}/crun-state", *self.options.split()]
        return [[*common, "run", "--bundle", bundle, f"jailpy-benchmark-{os.getpid()}"]]

    def shown(self, command: list[str]) -> str:
        return f"crun {self.options} run --bundle BUNDLE ID"


class Isolate(Peer):
    """A sandbox that is made, used and cleaned by three commands."""

    def commands(self, command: list[str], scratch: str) -> list[list[str]]:
        path = self.path()
        return [[path, "--init"], [path, *self.options.split(), "--run", "--", *command], [path, "--cleanup"]]

    def shown(self, command: list[str]) -> str:
        return f"isolate --init; isolate {self.options} --run -- {' '.join(command)}; isolate --cleanup"


BUBBLEWRAP = Peer(
    "bubblewrap",
    "bwrap",
    "apt-get install bubblewrap",
    "--unshare-all --die-with-parent --new-session --cap-drop ALL --ro-bind /usr /usr --proc /proc --dev /dev --tmpfs /tmp "
    "--symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64",
    "all namespaces; no filter, no limits",
)
PEERS = (
    BUBBLEWRAP,
    Peer(
        "nsjail",
        "nsjail",
        "https://github.com/google/nsjail, from source",
        "-Mo --really_quiet --user 1000:{outside} --group 1000:{outside} --iface_no_lo -R /usr -T /tmp "
        "-s /usr/bin:/bin -s /usr/lib:/lib -s /usr/lib64:/lib64".replace("{outside}", str(os.geteuid() or _UNUSED_ID)),
        "all namespaces, rlimits; no filter, no cgroups",
    ),
    Crun(
        "crun",
        "crun",
        "apt-get install crun",
        "--cgroup-manager=disabled",
        "all namespaces, no capabilities; no filter, no limits",
    ),
    Peer(
        "firejail",
        "firejail",
        "apt-get install firejail",
        "--quiet --noprofile --net=none --seccomp",
        "five namespaces, a filter; no limits; setuid",
    ),
    Isolate(
        "isolate",
        "isolate",
        "https://github.com/ioi/isolate",
        "--silent --processes=32 --mem=262144 --time=5 --wall-time=10",
        "four namespaces, rlimits; no filter, no cgroups; setuid",
    ),
)


def write_bundle(folder: str, command: list[str]) -> None:
    """Write an OCI bundle whose root shows /usr read-only, with all namespaces and no capability."""
    for name in ("usr", "proc", "dev", "tmp"):
        os.makedirs(f"{folder}/rootfs/{name}", exist_ok=True)
    for name in _LINKS:
        if not os.path.lexists(f"{folder}/rootfs/{name}"):
            os.symlink(f"usr/{name}", f"{folder}/rootfs/{name}")
    with open(f"{folder}/config.json", "w", encoding="ascii") as file:
        json.dump(bundle_config(command), file)


def bundle_config(command: list[str]) -> dict[str, object]:
    """Return the config.json of the bundle (opencontainers/runtime-spec 1.0)."""
    mapping = [{"containerID": 0, "hostID": os.geteuid() or _UNUSED_ID, "size": 1}]
    kinds = ("effective", "bounding", "permitted", "inheritable", "ambient")
    return {
        "ociVersion": "1.0.0",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": command,
            "env": ["PATH=/usr/bin"],
            "cwd": "/",
            "capabilities": {kind: [] for kind in kinds},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "jail",
        "mounts": [
            {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro", "nosuid", "nodev"]},
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "size=64m"]},
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("user", "mount", "pid", "network", "ipc", "uts", "cgroup")],
            "uidMappings": mapping,
            "gidMappings": mapping,
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
            "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"],
        },
    }


def cgroup2_beside_version_1() -> list[str]:
    """Return where cgroup version 2 is mounted on a host that has version 1 too: crun refuses such hosts."""
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
        mounts = [line.split()[1:3] for line in file]
    return [point for point, kind in mounts if kind == "cgroup2"] if any(kind == "cgroup" for _, kind in mounts) else []
