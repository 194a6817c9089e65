"""The run's own cgroups: made, limited, read back, joined, read, removed; and what a killed launcher left. Parent side."""

from __future__ import annotations

import errno
import os
import time

from jailpy.frozen import Frozen
from jailpy.kernel import files, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from jailpy.steps import cgroups as steps

_collected: dict[str, float] = {}

_ROUNDING = 65536  # limits are rounded down to a page, which has 64 KiB at most
_REMOVAL_S = 2.0
_LEFTOVER_S = 0.2
_COLLECT_S = 1.0
_DEEPEST = 2  # below a leftover: a template's group has those of its runs and its own leaf in it
_NOT_OURS = (errno.EPERM, errno.EACCES, errno.ENOENT, errno.ENODEV, errno.EBUSY, errno.EOPNOTSUPP)  # the last: of threads


class Group(Frozen):
    """One folder of the run: `version` 1 or 2, with the controllers that act there."""

    path: str
    controllers: tuple[str, ...]
    version: int


class RunCgroups:
    """The groups of one run."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.groups: list[Group] = []
        self.home: Home | None = None
        self._base: dict[str, str] = {}

    def make(self, step: steps.MakeCgroup) -> None:
        """Apply MakeCgroup, after removing what dead launchers left in the same place. Raises OSError."""
        parent = self._base.get(step.parent, step.parent)
        _collect_now_and_then(parent)
        if self.home and step.version == 2:
            self.place(step.parent, parent := self.home.below(parent, step.controllers))
        path = f"{parent}/{self.name}"
        os.mkdir(path, 0o755)
        self.groups.append(Group(path=path, controllers=step.controllers, version=step.version))
        if self.home and step.version == 2:
            self.home.hand_over(path)

    def place(self, label: str, folder: str) -> None:
        """Say which folder a parent that is only known while launching (a fresh scope) turned out to be."""
        self._base[label] = folder

    def enter_leaf(self, folder: str, controllers: Iterable[str]) -> None:
        """Move this process to a leaf of a delegated version 2 group, and enable controllers for the leaf's siblings.

        The leaf is named like a run's group, number 0: the next start removes it once this process is dead. Nothing is
        taken back at the end, for another launcher may have found the controllers enabled. Raises OSError; EBUSY where
        other processes are in the group.
        """
        leaf = f"{folder}/{self.name.rpartition('-')[0]}-0"
        if not os.path.isdir(leaf):
            os.mkdir(leaf)
        files.write(f"{leaf}/cgroup.procs", "0")
        enable(folder, controllers)

    def limit(self, step: steps.SetCgroupLimit) -> None:
        """Apply SetCgroupLimit. Raises OSError.

        ENOTRECOVERABLE where the kernel did not keep the value, EOPNOTSUPP where the controller is gone.
        """
        parent = self._base.get(step.parent, step.parent)
        path = f"{parent}/{self.name}/{step.file}"
        try:
            kept = files.write_and_read(path, step.value).strip()
        except OSError as error:
            if step.required and error.errno == errno.ENOENT:
                raise OSError(errno.EOPNOTSUPP, f"the group has no {step.file}", path) from error
            if step.required or _swap_active():
                raise
            return
        if not same(kept, step.value):
            raise OSError(errno.ENOTRECOVERABLE, f"wrote {step.value}, reads back {kept}", path)

    def open_tasks(self, version2: bool) -> list[int]:
        """Return descriptors of the version 1 groups' `tasks` files, for init to move itself. Raises OSError.

        With `version2` also that of the version 2 group's `cgroup.procs`.
        """
        names = {1: "tasks", 2: "cgroup.procs"} if version2 else {1: "tasks"}
        found = [f"{group.path}/{names[group.version]}" for group in self.groups if group.version in names]
        return [os.open(path, os.O_WRONLY | os.O_CLOEXEC) for path in found]

    def open_version2(self) -> int | None:
        """Return a descriptor of the version 2 group for CLONE_INTO_CGROUP, None where there is none."""
        for group in self.groups:
            if group.version == 2:
                return os.open(group.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return None

    def folder(self, controller: str) -> Group | None:
        """Return the group where a controller acts; "" asks for the version 2 group, whatever it controls."""
        for group in self.groups:
            if controller in group.controllers or (controller == "" and group.version == 2):
                return group
        return None

    def kill(self) -> None:
        """Kill everything in the version 2 group at once, where the kernel has cgroup.kill (5.14)."""
        group = self.folder("")
        if group:
            _kill_all(group.path)

    def remove(self) -> None:
        """Remove the groups; they are empty now. Raises OSError where one stays busy for two seconds."""
        while self.groups:
            _remove(self.groups[-1].path)
            self.groups.pop()


class Home:
    """A version 2 group below which a launcher that is root makes the groups of those runs that a process of `owner` starts.

    A process may start another one in a group (CLONE_INTO_CGROUP) if it could write that group's `cgroup.procs`, and that of
    the group around both. These two files, no limit among them, are `owner`'s, an otherwise unused uid that sees no cgroup
    filesystem. `leaf` is the group for the process itself.
    """

    def __init__(self, name: str, owner: tuple[int, int]) -> None:
        self.leaf = ""
        self._name = name
        self._owner = owner
        self._path = ""

    def below(self, parent: str, controllers: Iterable[str]) -> str:
        """Return the group, made below `parent` where it was missing. Raises OSError."""
        if not self._path:
            path = f"{parent}/{self._name}"
            os.mkdir(path, 0o755)
            self._path, self.leaf = path, f"{path}/template"
            os.mkdir(self.leaf, 0o755)
            self.hand_over(path)
            if controllers:
                enable(path, controllers)
        return self._path

    def hand_over(self, path: str) -> None:
        """Let `owner` start processes in a group. Raises OSError."""
        os.chown(f"{path}/cgroup.procs", *self._owner)

    def remove(self) -> None:
        """Remove the group, once nothing lives in it. Raises OSError where it stays busy for two seconds."""
        for path in (self.leaf, self._path):
            if path:
                _remove(path)
        self._path = self.leaf = ""


def enable(folder: str, controllers: Iterable[str]) -> None:
    """Enable controllers for the children of a version 2 group. Raises OSError; EBUSY where processes are in it."""
    files.write(f"{folder}/cgroup.subtree_control", " ".join(f"+{name}" for name in controllers))


def _kill_all(path: str) -> None:
    """Kill every process of a version 2 group; one that is gone, or a kernel without cgroup.kill, needs or has none of it."""
    try:
        files.write(f"{path}/cgroup.kill", "1")
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def same(kept: str, wanted: str) -> bool:
    """Compare what a limit reads back with what was written; io.max has a line for each device."""
    if "=" in wanted:
        device, *words = wanted.split()
        lines = (line.split() for line in kept.splitlines())
        return any(line[0] == device and set(words) <= set(line) for line in lines if line)
    if kept == wanted:
        return True
    return kept.isdecimal() and wanted.isdecimal() and 0 <= int(wanted) - int(kept) < _ROUNDING


def _swap_active() -> bool:
    return len(files.read("/proc/swaps").splitlines()) > 1


def _remove(path: str, seconds: float = _REMOVAL_S) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.001)
        else:
            return


def name_for(pid: int, start: str, number: int) -> str:
    """Return the name of a run's group: launcher pid, its start time in clock ticks, its pid namespace, a count of its runs.

    A pid of another namespace says nothing here, and containers may share a cgroup folder.
    """
    return f"jailpy-{pid}-{start}-{_pid_namespace()}-{number}"


def _pid_namespace() -> str:
    return os.readlink("/proc/self/ns/pid").partition("[")[2].rstrip("]")


def start_time(pid: int | str) -> str:
    """Return when a process started, in clock ticks after boot (proc_pid_stat(5), field 22). Raises OSError."""
    return files.stat_fields(pid)[19]


def _is_dead(parts: list[str]) -> bool:
    """Tell whether a launcher is gone, or a zombie: one whose parent was killed may wait long for init to reap it."""
    try:
        stat = files.stat_fields(parts[1])
        return stat[19] != parts[2] or stat[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def is_of_a_dead_launcher(name: str) -> bool:
    """Say whether this is a name that `name_for` gave in this pid namespace, and its launcher is gone."""
    parts = name.split("-")
    ours = name.startswith("jailpy-") and len(parts) == 5 and all(part.isdecimal() for part in parts[1:])
    return ours and parts[3] == _pid_namespace() and _is_dead(parts)


def _leftovers(parent: str) -> Iterable[str]:
    for name in os.listdir(parent):
        if is_of_a_dead_launcher(name):
            yield f"{parent}/{name}"


def _collect_now_and_then(parent: str) -> None:
    """Collect leftovers at the first start here, and once a second: a listing costs more than a group."""
    now = time.monotonic()
    if now - _collected.get(parent, -_COLLECT_S) >= _COLLECT_S:
        _collected[parent] = now
        collect_leftovers(parent)


def collect_leftovers(parent: str) -> None:
    """Kill what is left in groups whose launcher is dead, and remove them.

    A group of another account, one that another launcher collects just now, and one that stays busy are left alone: no
    leftover keeps a new run from starting, nor for long. Where the folder is shared, others choose how many there are and how
    deep they go.
    """
    until = time.monotonic() + _REMOVAL_S
    for path in _leftovers(parent):
        try:
            _collect(path, until)
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise


def _collect(path: str, until: float, depth: int = 0) -> None:
    """Kill what is in a group and in those below it, and remove them, the inner ones first. Raises OSError.

    EBUSY is that of a group that goes deeper than a launcher's, or when there is no time left.
    """
    if depth > _DEEPEST or time.monotonic() > until:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
    _kill_all(path)
    for pid in files.read(f"{path}/cgroup.procs").split():
        _kill(int(pid))
    with os.scandir(path) as listing:
        inner = [entry.path for entry in listing if entry.is_dir(follow_symlinks=False)]
    for each in inner:
        _collect(each, until, depth + 1)
    _remove(path, min(_LEFTOVER_S, until - time.monotonic()))


def collect_from_scopes(folder: str) -> None:
    """Collect leftovers in the scopes of other launchers; an empty scope systemd removes by itself.

    A run with a pid namespace leaves nothing there: the kernel ends it with its launcher.
    """
    for name in os.listdir(folder):
        if name.startswith("jailpy-") and name.endswith(".scope"):
            try:
                collect_leftovers(f"{folder}/{name}")
            except (FileNotFoundError, PermissionError):
                continue


def _kill(pid: int) -> None:
    if pid == 0:  # one of an outer pid namespace, of which this one has no number
        return
    try:
        pidfd = process.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        process.pidfd_send_signal(pidfd, 9)
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)
