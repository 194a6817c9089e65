"""The one table of a profile's keys. Parent side, pure.

Validation, the JSON Schema, `profile diff`, `loosened`, the words of the command line's options and
docs/reference/profile.md are all drawn from it. The defaults are the values of `strict`.
"""

from __future__ import annotations

from jailpy.frozen import Frozen
from jailpy.profile.model import LAYERS, TIERS
from jailpy.profile.values import LARGEST_SIZE, LONGEST_DURATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Scalar: TypeAlias = str | int | float | None
    Value: TypeAlias = Scalar | list[str] | dict[str, str]
    Document: TypeAlias = dict[str, Value]

RUNTIMES = ("java", "node", "go", "blas", "caller-python")
LANDLOCK_RIGHTS = (
    "execute", "write_file", "read_file", "read_dir", "remove_dir", "remove_file", "make_char", "make_dir", "make_reg",
    "make_sock", "make_fifo", "make_block", "make_sym", "refer", "truncate", "ioctl_dev", "resolve_unix", "bind_tcp",
    "connect_tcp",
)  # fmt: skip


class Key(Frozen):
    """One key of the profile.

    `kind` is how a value is written: schema, name, text, integer, number, size, duration, choice, root, directory,
    hostname, apparmor, list or table; `item` is the same for the entries of a list: layer, tier, profile, show,
    tmpfs, syscall, right, variable or runtime. `looser` says which of two values confines less: the larger ("more"), the
    later of `choices` ("later"), the one with more entries ("added") or fewer ("removed"), none ("never").
    `off` tells whether "off" is a value; it is the loosest.
    """

    name: str
    kind: str
    default: Value
    doc: str
    looser: str = "never"
    low: float = 0
    high: float = LARGEST_SIZE
    off: bool = False
    choices: tuple[str, ...] = ()
    item: str = ""
    unit: str = ""
    option: str = ""


def _size(name: str, default: int, doc: str, low: int, *, option: str = "", off: bool = False) -> Key:
    return Key(f"limits.{name}", "size", default, doc, "more", low=low, off=off, unit="bytes", option=option)


def _duration(name: str, default: float | None, doc: str) -> Key:
    key, option = f"limits.{name}", f"--{name}"
    return Key(key, "duration", default, doc, "more", 0.001, LONGEST_DURATION, off=True, unit="seconds", option=option)


def _count(name: str, default: int, doc: str, bounds: tuple[int, int], *, option: str = "", off: bool = False) -> Key:
    low, high = bounds
    return Key(f"limits.{name}", "integer", default, doc, "more", low=low, high=high, off=off, option=option)


def _list(name: str, default: list[str], doc: str, item: str, looser: str = "added", *, option: str = "") -> Key:
    choices = {"layer": LAYERS, "tier": TIERS, "right": LANDLOCK_RIGHTS, "runtime": RUNTIMES}.get(item, ())
    return Key(name, "list", default, doc, looser, item=item, choices=choices, option=option)


def _choice(name: str, choices: tuple[str, ...], default: str, doc: str, option: str = "") -> Key:
    return Key(name, "choice", default, doc, "later", choices=choices, option=option)


_HEAD = (
    Key("schema", "schema", 1, "Version of this format."),
    Key("name", "name", "", "Name in reports. Not inherited; the file's name where it is missing."),
    Key("description", "text", "", "One sentence: what the profile is for. Not inherited."),
    _list("extends", [], "Profiles that this one starts from: names, or paths relative to this file. Each file is "
          "applied once, parents first, in this order.", "profile", "never"),
    _list("runtime", [], "Presets that make a language runtime fit the limits.", "runtime", "never",
          option="--runtime"),
)  # fmt: skip

_WHO = (
    _list("require.layers", [layer for layer in LAYERS if layer != "apparmor"],
          "Layers that must hold: where the host cannot enforce one, nothing runs (exit status 125).", "layer",
          "removed"),
    _list("require.prefer", ["apparmor"], "Layers used where the host has them, and reported where it has not. A layer "
          "in neither list is off.", "layer", "removed"),
    _list("require.tiers", [], "Weaker tiers that are accepted, each by its name: what JailPy does on hosts that lack "
          "namespaces, a whole /proc or cgroups. The report names those in force.", "tier"),
    Key("identity.uid", "integer", 1000, "User id inside the jail.", low=1, high=2**32 - 2),
    Key("identity.gid", "integer", 1000, "Group id inside the jail.", low=1, high=2**32 - 2),
    Key("identity.hostname", "hostname", "jail", "Host name inside the jail."),
)  # fmt: skip

_PRIVATE = ["/tmp", "/work", "/dev/shm"]  # noqa: S108 - places in the jail
_WHERE = (
    Key("filesystem.root", "root", "system", '"system" (the host\'s /usr and its like, read-only), "empty", or the '
        "path of a folder that holds a root filesystem.", "later", choices=("empty", "system")),
    _list("filesystem.ro", [], "Host paths shown read-only.", "show", option="--ro"),
    _list("filesystem.rw", [], "Host folders shown read-write: what is written there is bounded by `limits.file_size` "
          "only.", "show", option="--rw"),
    _list("filesystem.cow", [], "Host paths shown copy-on-write: the payload may write, the host never changes.",
          "show", option="--cow"),
    _list("filesystem.tmpfs", _PRIVATE, "Empty private folders. They share `limits.disk`; one "
          "with a size of its own is a part of it.", "tmpfs", "never",
          option="--tmpfs"),
    Key("filesystem.workdir", "directory", "/work", "Working directory of the command.", option="--workdir"),
    _choice("filesystem.proc", ("none", "private"), "private", "A /proc of the jail's own processes, or none."),
    _choice("filesystem.exec", ("none", "system", "any"), "system", 'What may be executed: anything ("any"), system '
            'paths and what `ro` shows ("system"), nothing after the first program ("none").'),
    _choice("network.mode", ("none", "loopback", "host"), "none", 'No interface at all, a loopback of its own, or the '
            'host\'s network ("host" turns the layer `net` off).', "--net"),
)  # fmt: skip

_KERNEL = (
    _list("seccomp.allow", ["@default"], "System calls allowed: names and @groups.", "syscall"),
    _list("seccomp.deny", [], "System calls denied: names and @groups. Beats `allow`. "
          "Denied or not, a process may lower its own RLIMIT_NOFILE: the launch does.", "syscall", "removed"),
    _choice("seccomp.violation", ("kill", "errno", "record"), "errno", 'What a denied call meets: the end of the run '
            '("kill"), EPERM and a line in the report ("errno"), only the line ("record": it is let through).'),
    _list("landlock.drop", [], "Landlock rights granted nowhere, beyond what [filesystem] and [network] leave.",
          "right", "removed"),
    Key("apparmor.profile", "apparmor", "auto", '"auto" (jailpy-NAME where it is loaded), "off", or the name of a '
        "loaded AppArmor profile.", "later", choices=("auto", "off")),
)  # fmt: skip

_LIMITS = (
    _duration("wall", 10.0, "Time from exec to end."),
    _duration("cpu", 5.0, "Processor time of all processes together."),
    _duration("idle", None, "Ends a run without output and without more than 1 ms of processor time for this long."),
    _size("memory", 256 << 20, "Memory of the whole run, its tmpfs pages included.", 1 << 20, option="--memory",
          off=True),
    _size("swap", 0, "Swap on top of `memory`.", 0),
    _count("processes", 32, "Processes and threads at one time.", (1, 1 << 22), option="--processes", off=True),
    _count("open_files", 64, "Open descriptors of one process.", (8, 1 << 20), option="--open-files"),
    _size("file_size", 64 << 20, "Size of one file that the payload writes (SIGXFSZ beyond).", 0, option="--file-size",
          off=True),
    _size("disk", 64 << 20, "All writable places of the jail's own together (tmpfs, cow).", 4096, option="--disk"),
    _size("stack", 8 << 20, "Stack of a process's first thread.", 64 << 10, option="--stack"),
    _count("inodes", 16384, "Files and folders in the jail's own writable places.", (16, 1 << 31)),
    _size("output", 16 << 20, "Standard output and standard error together.", 0, option="--output", off=True),
    Key("limits.cpus", "number", 1.0, "Processors' worth of time.", "more", low=0.01, high=4096, off=True,
        option="--cpus"),
    Key("limits.io", "size", None, "Bytes that may be read, and as many that may be written, in a second, on each block "
        "device behind what the jail shows. Slows down, ends nothing. Needs the io controller of cgroup version 2.",
        "more", low=4096, off=True, unit="bytes per second"),
)  # fmt: skip

_ENVIRONMENT = (
    _list("environment.pass", ["LANG", "LC_ALL", "TZ"], "Variables passed on from the caller where they are set. A "
          "later `set` of the same name replaces the entry.", "variable", "added", option="--env"),
    Key("environment.set", "table", {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/work"}, "Variables set to these "
        "values. Merged name by name; a later `pass` of the same name replaces the entry.", option="--env"),
)  # fmt: skip

KEYS: dict[str, Key] = {key.name: key for key in (*_HEAD, *_WHO, *_WHERE, *_KERNEL, *_LIMITS, *_ENVIRONMENT)}
TABLES: dict[str, str] = {
    "require": "Which isolation layers must hold.",
    "identity": "Who the payload is inside.",
    "filesystem": "What the payload sees and where it may write.",
    "network": "What it can reach.",
    "seccomp": "Which system calls it may make. Unknown and new ones fail with ENOSYS.",
    "landlock": "Narrowing beyond what [filesystem] and [network] derive.",
    "apparmor": "The AppArmor profile, where that security module is on.",
    "limits": "How much it may use. A limit that acted is the run's verdict.",
    "environment": "Its variables, built from nothing.",
}
NOT_SETTINGS = ("schema", "name", "description", "extends")
"""Keys that describe a file rather than a jail: not inherited, not to be overridden."""


def defaults() -> Document:
    """Return a fresh document with every setting at its default, which is what `strict` says."""
    fresh: Document = {}
    for name, key in KEYS.items():
        value = key.default
        fresh[name] = list(value) if isinstance(value, list) else dict(value) if isinstance(value, dict) else value
    return fresh
