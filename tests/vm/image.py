"""Making a guest's disk: Debian packages, Python dependencies, a kernel and the initramfs that finds the disk.

Needs root (files of root are made), mmdebstrap, e2fsprogs, xz-utils, and pip in the interpreter that runs this.
"""

from __future__ import annotations

import glob
import os
import shutil
import stat
import subprocess
import sys
import time
import tomllib

from tests.vm.cache import LabError, digest, fresh, home, locked, prune, say
from tests.vm.guests import HERE, TREE, Guest

# What a real system has, and the programs that the tests run. No compiler for Rust or Java, no Node: CI tests those on its host.
PACKAGES = (
    "systemd", "systemd-sysv", "udev", "dbus", "dbus-user-session", "libpam-systemd", "apparmor", "uidmap", "util-linux",
    "procps", "kmod", "iproute2", "busybox-static", "python3", "libseccomp2", "bubblewrap", "crun", "sudo", "cron", "strace", "perl",
    "gcc", "libc6-dev", "golang-github-containers-common",
)  # fmt: skip
TESTS_NEED = ("pytest", "pytest-timeout", "hypothesis")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SIZE = "2G"
KEPT = 2
PROGRAMS = ("mmdebstrap", "qemu-system-x86_64", "qemu-img", "mke2fs", "xz", "setpriv")
INSIDE = os.path.join(HERE, "inside")
STAGED = ("agent.py", "lab.service", "setup")


def build(guest: Guest) -> str:
    """Return the folder with base.img, vmlinuz and initrd of a guest; make it where it is missing."""
    recipe = [read(os.path.join(INSIDE, name)) for name in ("init", *STAGED)]
    mine = os.path.join(home(), guest.name)
    os.makedirs(mine, exist_ok=True)
    folder = os.path.join(mine, f"image-{digest(*recipe, read(__file__), guest.land, guest.kernel, requirements())}")
    with locked(mine):
        if not os.path.exists(folder):
            check_host()
            began = time.monotonic()
            say(f"{guest.name}: building its disk from Debian's packages; takes a minute or two")
            with fresh(folder) as part:
                assemble(guest, part)
            say(f"{guest.name}: disk built in {time.monotonic() - began:.0f} s")
            prune(mine, "image-", KEPT)
    return folder


def read(path: str) -> str:
    """Read a text file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def check_host() -> None:
    """Raise LabError where the host lacks something that building needs."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")]
    if missing:
        packages = "mmdebstrap qemu-system-x86 qemu-utils e2fsprogs xz-utils util-linux"
        raise LabError(f"{', '.join(missing)} not found: apt-get install {packages}")
    if os.geteuid() != 0:
        raise LabError("building a guest makes files of root: run this once as root, JAILPY_VM_CACHE being a shared folder")


def requirements() -> list[str]:
    """List what the guest's Python gets: JailPy's dependencies, and those of its tests that run there."""
    with open(os.path.join(TREE, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)["project"]
    tests = [line for line in project["optional-dependencies"]["dev"] if line.partition(">")[0] in TESTS_NEED]
    return [*project["dependencies"], *tests]


def assemble(guest: Guest, folder: str) -> None:
    """Make all files of a guest's folder."""
    stage, root = os.path.join(folder, "stage"), os.path.join(folder, "root")
    os.mkdir(stage)
    for name in STAGED:
        shutil.copy(os.path.join(INSIDE, name), stage)
    install_python(guest, os.path.join(stage, "python"), f"{folder}/log")
    debootstrap(guest, stage, root, f"{folder}/log")
    modules = take_kernel(root, folder)
    write_initrd(root, modules, os.path.join(folder, "initrd"))
    make_disk(root, os.path.join(folder, "base.img"), f"{folder}/log")
    shutil.rmtree(stage)
    shutil.rmtree(root)


def run(*command: str, log: str) -> None:
    """Run a command with its output in a file; it ends with us. Raises LabError with the last lines of it."""
    tied = ("setpriv", "--pdeathsig", "TERM", "--", *command)
    with open(log, "ab") as file:
        status = subprocess.run(tied, stdout=file, stderr=file, stdin=subprocess.DEVNULL, check=False).returncode
    if status:
        tail = "\n".join(read(log).splitlines()[-15:])
        shutil.copy(log, os.path.join(home(), "failed.log"))
        raise LabError(f"{command[0]} ended with {status}; the end of {home()}/failed.log:\n{tail}")


def install_python(guest: Guest, folder: str, log: str) -> None:
    """Install the dependencies for the guest's Python, which may be another than this one."""
    options = ["--quiet", "--disable-pip-version-check", "--target", folder, "--python-version", guest.python]
    run(sys.executable, "-m", "pip", "install", *options, "--only-binary=:all:", *requirements(), log=log)


def mirror(variable: str, ending: str) -> str:
    """Return the mirror that this machine's apt uses. Raises LabError where none of its sources is Debian's."""
    if variable in os.environ:
        return os.environ[variable]
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    found = [line.rstrip("/") for line in lines if line.rstrip("/").endswith(f"/{ending}")]
    if not found:
        raise LabError(f"no source of this machine's apt ends in /{ending}: run apt-get update, or set {variable}")
    return found[0]


def sources(guest: Guest) -> list[str]:
    """List the lines of sources.list for a guest."""
    debian, security = mirror("JAILPY_VM_MIRROR", "debian"), mirror("JAILPY_VM_SECURITY_MIRROR", "debian-security")
    found = [(debian, guest.land), (security, f"{guest.land}-security")]
    if guest.kernel != guest.land:
        found.append((debian, guest.kernel))
    return [f"deb [signed-by={KEYRING}] {uri} {suite} main" for uri, suite in found]


def debootstrap(guest: Guest, folder: str, root: str, log: str) -> None:
    """Make the root filesystem, without manuals and translations; `setup` turns it into a guest."""
    unwanted = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "locale", "doc", "info")]
    hooks = [f"--customize-hook=sh '{folder}/setup' \"$1\" '{folder}'"]
    if guest.kernel != guest.land:
        pin = f"Package: linux-*\\nPin: release n={guest.kernel}\\nPin-Priority: 900\\n"
        hooks.append(f"--setup-hook=printf '{pin}' >\"$1/etc/apt/preferences.d/kernel\"")
    options = ["--variant=minbase", f"--include={','.join(PACKAGES)}", *hooks, *unwanted]
    run("mmdebstrap", *options, guest.land, root, *sources(guest), log=log)


def take_kernel(root: str, folder: str) -> str:
    """Move the unpacked kernel out of the root and its modules to their place. Returns the modules' folder."""
    unpacked = f"{root}/kernel/unpacked"
    (found,) = glob.glob(f"{unpacked}/lib/modules/*") + glob.glob(f"{unpacked}/usr/lib/modules/*")
    version = os.path.basename(found)
    (kernel,) = glob.glob(f"{unpacked}/boot/vmlinuz-*") + glob.glob(f"{found}/vmlinuz")
    shutil.move(kernel, f"{folder}/vmlinuz")
    os.makedirs(f"{root}/usr/lib/modules", exist_ok=True)
    modules = shutil.move(found, f"{root}/usr/lib/modules/{version}")
    shutil.rmtree(f"{root}/kernel")
    run("chroot", root, "depmod", version, log=f"{folder}/log")
    return modules


def drivers(modules: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the named kernel modules and those they need, in the order of loading."""
    with open(f"{modules}/modules.dep", encoding="utf-8") as file:
        needs = dict(line.rstrip("\n").split(":", 1) for line in file)
    wanted = [path for name in names for path in needs if os.path.basename(path).split(".")[0] == name]
    found = {}
    for path in (part for one in wanted for part in [*reversed(needs[one].split()), one]):
        with open(f"{modules}/{path}", "rb") as file:
            data = file.read()
        packed = path.endswith(".xz")
        found[os.path.basename(path).removesuffix(".xz")] = unpack(data) if packed else data
    return found


def unpack(data: bytes) -> bytes:
    """Decompress what xz made."""
    return subprocess.run(["xz", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout


def write_initrd(root: str, modules: str, path: str) -> None:
    """Write the initramfs: busybox, the drivers of the disk, and inside/init."""
    folder, program, console = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755, stat.S_IFCHR | 0o600
    found = drivers(modules, ("virtio_pci", "virtio_blk"))
    with open(os.path.realpath(f"{root}/bin/busybox"), "rb") as file:
        busybox = file.read()
    files = {
        **dict.fromkeys(("bin", "dev", "root"), (folder, b"")),
        "dev/console": (console, b""),
        "bin/busybox": (program, busybox),
        "init": (program, read(os.path.join(INSIDE, "init")).encode()),
        "modules": (program, " ".join(found).encode()),
        **{name: (program, data) for name, data in found.items()},
    }
    with open(path, "wb") as file:
        file.write(archive(files))


def archive(files: dict[str, tuple[int, bytes]]) -> bytes:
    """Return a cpio archive of the newc format (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    made = bytearray()
    for number, (name, (mode, data)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], 1):
        device = (5, 1) if stat.S_ISCHR(mode) else (0, 0)
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        made += b"070701" + b"".join(b"%08X" % field for field in fields) + path
        made += b"\0" * (-len(made) % 4) + data
        made += b"\0" * (-len(made) % 4)
    return bytes(made)


def make_disk(root: str, path: str, log: str) -> None:
    """Write the root filesystem into an image without a journal: a guest is thrown away after each run."""
    options = ["-q", "-t", "ext4", "-O", "^has_journal", "-m", "0"]
    run("mke2fs", *options, "-d", root, path, SIZE, log=log)
