"""What a run used, read from its cgroups, each number with its source. Parent side. A value not measured is None.

See Documentation/admin-guide/cgroup-v2.rst (memory.peak, memory.events, pids.peak, cpu.stat) and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from jailpy.kernel import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource

    from jailpy.launcher.cgroups import Group, RunCgroups


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isdecimal() else None


class _Table:
    """A file of "name number" lines."""

    def __init__(self, text: str) -> None:
        words = text.split()
        self._words = dict(zip(words[::2], words[1::2], strict=False))

    def get(self, name: str) -> int | None:
        """Return a number; None where there is none of that name."""
        return _number(self._words.get(name, ""))

    def some(self, names: dict[str, str]) -> dict[str, int]:
        """Return the numbers that are there, under other names."""
        return {name: value for name, old in names.items() if (value := self.get(old)) is not None}


class Accounting:
    """Reads the counters of one run. CPU time counts from `start`, when the payload was about to execute."""

    def __init__(self, groups: RunCgroups) -> None:
        self._groups = groups
        self._memory = groups.folder("memory")
        self._pids = groups.folder("pids")
        self._cpu = groups.folder("") or groups.folder("cpuacct")
        self._base = (0, 0, 0)
        self._oom_base = 0
        self._counts_cpu = False
        self._void = False
        self._last: dict[str, str] | None = None

    def start(self) -> None:
        """Take the counters as they stand before the payload."""
        now = self._cpu_now()
        self._counts_cpu = now is not None
        self._base = now or (0, 0, 0)
        self._oom_base = self._oom_count() or 0

    def finish(self, usage: resource.struct_rusage, largest: int) -> None:
        """Take what wait4(2) says of init, once it is reaped, and the peak resident set of the payload in bytes (0: none).

        Nothing is counted from now on, so each file is read once.
        """
        self._last = {}

    def _text(self, path: str) -> str:
        """Read a file; "" where it is not there."""
        if self._last is not None and path in self._last:
            return self._last[path]
        try:
            text = files.whole(path)
        except OSError:
            text = ""
        if self._last is not None:
            self._last[path] = text
        return text

    def _number(self, path: str) -> int | None:
        return _number(self._text(path))

    def _table(self, path: str) -> _Table:
        return _Table(self._text(path))

    def distrust(self) -> None:
        """Measure nothing by the groups any more: the run was not in them all the time."""
        self._void = True

    def cpu_since_made(self) -> float | None:
        """Return the CPU seconds that the group has counted since it was made, init's own included."""
        now = self._cpu_now()
        return None if now is None else now[0] / 1e6

    def _cpu_now(self) -> tuple[int, int, int] | None:
        """Return total, user and system CPU time in microseconds."""
        if self._cpu is None:
            return None
        path = self._cpu.path
        if self._cpu.version == 1:
            total, user, system = (self._number(f"{path}/cpuacct.{name}") for name in ("usage", "usage_user", "usage_sys"))
            return None if total is None else (total // 1000, (user or 0) // 1000, (system or 0) // 1000)
        stat = self._table(f"{path}/cpu.stat")
        total = stat.get("usage_usec")
        return None if total is None else (total, stat.get("user_usec") or 0, stat.get("system_usec") or 0)

    def cpu(self) -> tuple[float, float, float] | None:
        """Return total, user and system CPU seconds of the payload and all its descendants."""
        now = self._cpu_now()
        if now is None or self._void:
            return None
        total, user, system = ((then - base) / 1e6 for then, base in zip(now, self._base, strict=True))
        return total, user, system

    def counts_cpu(self) -> bool:
        """Say whether there was CPU time to be read when the payload started."""
        return self._counts_cpu

    def cpu_source(self) -> str:
        """Say where the CPU time comes from."""
        return "cgroup2 cpu.stat" if self._cpu and self._cpu.version == 2 else "cgroup1 cpuacct.usage"

    def _v2(self, group: Group | None) -> bool:
        return group is not None and group.version == 2

    def memory_peak(self) -> tuple[int | None, str]:
        """Return the peak of charged memory in bytes, init's few pages included, and its source."""
        if self._memory is None or self._void:
            return None, ""
        name = "memory.peak" if self._v2(self._memory) else "memory.max_usage_in_bytes"
        return self._number(f"{self._memory.path}/{name}"), f"cgroup{self._memory.version} {name}"

    def memory_breakdown(self) -> dict[str, int]:
        """Return what the charged memory is made of now, in bytes: anon, file, shmem, kernel."""
        if self._memory is None or self._void:
            return {}
        stat = self._table(f"{self._memory.path}/memory.stat")
        if self._v2(self._memory):
            return stat.some({name: name for name in ("anon", "file", "shmem", "kernel")})
        found = stat.some({"anon": "rss", "file": "cache", "shmem": "shmem"})
        kernel = self._number(f"{self._memory.path}/memory.kmem.usage_in_bytes")
        return found if kernel is None else {**found, "kernel": kernel}

    def _oom_count(self) -> int | None:
        if self._memory is None:
            return None
        name = "memory.events" if self._v2(self._memory) else "memory.oom_control"
        return self._table(f"{self._memory.path}/{name}").get("oom_kill") or 0

    def oom_kills(self) -> tuple[int, str]:
        """Return how many processes the kernel killed for the memory limit, and the counter's name."""
        name = "memory.events" if self._v2(self._memory) else "memory.oom_control"
        return max((self._oom_count() or 0) - self._oom_base, 0), name

    def memory_refusals(self) -> int:
        """Return how often the limit was hit (and memory reclaimed, or a request refused), killed or not."""
        if self._memory is None:
            return 0
        if self._v2(self._memory):
            return self._table(f"{self._memory.path}/memory.events").get("max") or 0
        return self._number(f"{self._memory.path}/memory.failcnt") or 0

    def process_refusals(self) -> int:
        """Return how often a fork or clone was refused by the pids controller."""
        return self._table(f"{self._pids.path}/pids.events").get("max") or 0 if self._pids else 0

    def processes_peak(self) -> tuple[int | None, str]:
        """Return the largest number of tasks at one time, init not counted, and the source."""
        if self._pids is None or self._void:
            return None, ""
        peak = self._number(f"{self._pids.path}/pids.peak")
        return (None, "") if peak is None else (max(peak - 1, 0), f"cgroup{self._pids.version} pids.peak")

    def notes(self) -> tuple[str, ...]:
        """Return what the reader of the report should know of these numbers."""
        hits = self.memory_refusals()
        return (f"the memory limit was reached {hits} times without a kill",) if hits and not self.oom_kills()[0] else ()

    def io_bytes(self) -> tuple[int, int] | None:
        """Return bytes read from and written to block devices (version 2 io.stat), None where io is not delegated."""
        group = self._groups.folder("io")
        if group is None or group.version != 2 or self._void:
            return None
        try:
            words = [word.partition("=") for word in files.read(f"{group.path}/io.stat").split() if "=" in word]
        except OSError:
            return None
        read, written = (sum(int(value) for name, _, value in words if name == wanted) for wanted in ("rbytes", "wbytes"))
        return read, written

    def oom_event_files(self) -> tuple[str, str] | None:
        """Return (memory.oom_control, cgroup.event_control) where OOM kills must be watched for: version 1."""
        if self._memory is None or self._memory.version != 1:
            return None
        return f"{self._memory.path}/memory.oom_control", f"{self._memory.path}/cgroup.event_control"
