"""What a run used, read from its cgroups, each number with its source. Parent side. A value not measured is None.

See Documentation/admin-guide/cgroup-v2.rst (memory.peak, memory.events, pids.peak, cpu.stat) and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from jailpy.kernel import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource

    from jailpy.launcher.cgroups import Group, RunCgroups


def _number(path: str) -> int | None:
    try:
        text = files.read(path).strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def table(path: str) -> dict[str, int]:
    """Read a file of "name number" lines; {} where it is not there."""
    try:
        lines = files.read(path).splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


class Accounting:
    """Reads the counters of one run. CPU time counts from `start`, when the payload was about to execute."""

    def __init__(self, groups: RunCgroups) -> None:
        self._groups = groups
        self._memory = groups.folder("memory")
        self._pids = groups.folder("pids")
        self._cpu = groups.folder("") or groups.folder("cpuacct")
        self._base = (0, 0, 0)
        self._oom_base = 0
        self._void = False

    def start(self) -> None:
        """Take the counters as they stand before the payload."""
        self._base = self._cpu_now() or (0, 0, 0)
        self._oom_base = self._oom_count() or 0

    def finish(self, usage: resource.struct_rusage, largest: int) -> None:
        """Take what wait4(2) says of init, once it is reaped, and the peak resident set of the payload in bytes (0: none)."""

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
            total, user, system = (_number(f"{path}/cpuacct.{name}") for name in ("usage", "usage_user", "usage_sys"))
            return None if total is None else (total // 1000, (user or 0) // 1000, (system or 0) // 1000)
        stat = table(f"{path}/cpu.stat")
        return (stat["usage_usec"], stat["user_usec"], stat["system_usec"]) if "usage_usec" in stat else None

    def cpu(self) -> tuple[float, float, float] | None:
        """Return total, user and system CPU seconds of the payload and all its descendants."""
        now = self._cpu_now()
        if now is None or self._void:
            return None
        total, user, system = ((then - base) / 1e6 for then, base in zip(now, self._base, strict=True))
        return total, user, system

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
        return _number(f"{self._memory.path}/{name}"), f"cgroup{self._memory.version} {name}"

    def memory_breakdown(self) -> dict[str, int]:
        """Return what the charged memory is made of now, in bytes: anon, file, shmem, kernel."""
        if self._memory is None or self._void:
            return {}
        stat = table(f"{self._memory.path}/memory.stat")
        if self._v2(self._memory):
            return {name: stat[name] for name in ("anon", "file", "shmem", "kernel") if name in stat}
        names = {"anon": "rss", "file": "cache", "shmem": "shmem"}
        found = {name: stat[old] for name, old in names.items() if old in stat}
        kernel = _number(f"{self._memory.path}/memory.kmem.usage_in_bytes")
        return found if kernel is None else {**found, "kernel": kernel}

    def _oom_count(self) -> int | None:
        if self._memory is None:
            return None
        name = "memory.events" if self._v2(self._memory) else "memory.oom_control"
        return table(f"{self._memory.path}/{name}").get("oom_kill", 0)

    def oom_kills(self) -> tuple[int, str]:
        """Return how many processes the kernel killed for the memory limit, and the counter's name."""
        name = "memory.events" if self._v2(self._memory) else "memory.oom_control"
        return max((self._oom_count() or 0) - self._oom_base, 0), name

    def memory_refusals(self) -> int:
        """Return how often the limit was hit (and memory reclaimed, or a request refused), killed or not."""
        if self._memory is None:
            return 0
        if self._v2(self._memory):
            return table(f"{self._memory.path}/memory.events").get("max", 0)
        return _number(f"{self._memory.path}/memory.failcnt") or 0

    def process_refusals(self) -> int:
        """Return how often a fork or clone was refused by the pids controller."""
        return table(f"{self._pids.path}/pids.events").get("max", 0) if self._pids else 0

    def processes_peak(self) -> tuple[int | None, str]:
        """Return the largest number of tasks at one time, init not counted, and the source."""
        if self._pids is None or self._void:
            return None, ""
        peak = _number(f"{self._pids.path}/pids.peak")
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
