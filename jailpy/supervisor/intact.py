"""Whether the run's cgroups stay what they were when the payload started. Parent side.

Whoever owns them can remove them, take their controllers away, write other limits, or move processes out. That is not
the payload: it has no way to them. But numbers of a group that the run was not in are nobody's.
See Documentation/admin-guide/cgroup-v2.rst, "Core Interface Files".
"""

from __future__ import annotations

import time

from jailpy.kernel import files
from jailpy.launcher.cgroups import same
from jailpy.steps.cgroups import SetCgroupLimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource

    from jailpy.launcher.cold import Jail
    from jailpy.supervisor.accounting import Accounting

EVERY_S = 1.0
_UNSEEN_S = 0.25  # of CPU time: init may have used that before it joined its version 1 groups
_UNSEEN_SHARE = 1.05
_LAST_EXIT_S = 0.2
_REMOVED = "its cgroup was removed"
_STATE, _PARENT, _FLAGS = 0, 1, 6  # of /proc/PID/stat, counted from behind the name: proc_pid_stat(5)
_PF_EXITING = 0x4


class Intact:
    """Looks at the groups of one run. `changed` says in words what was found; `strayed` that a process left them."""

    def __init__(self, jail: Jail) -> None:
        self._jail = jail
        self.changed: list[str] = []
        self._gone: list[str] = []
        self.strayed = False

    def look(self, payload: bool) -> None:
        """See whether init, and the payload where it lives, are in the run's groups."""
        wanted = len(self._jail.groups.groups)
        if not self._inside(self._jail.init, wanted) and _living(self._jail.init):
            self._stray("a process of the run was moved out of its cgroup")
        elif payload and not self._inside(self._jail.payload, wanted) and _living(self._jail.payload) == self._jail.init:
            self._stray("the payload was moved out of its cgroup")

    def look_at_dead(self) -> None:
        """See where init was when it died; a zombie keeps its version 2 group alone."""
        if self._jail.groups.folder("") and not self.strayed and not self._inside(self._jail.init, 1, "0:"):
            self._stray("the run was not in its cgroup when it ended")

    def _inside(self, pid: int, wanted: int, hierarchy: str = "") -> bool:
        try:
            lines = files.whole(f"/proc/{pid}/cgroup").splitlines()
        except OSError:
            return True  # gone meanwhile
        return sum(line.startswith(hierarchy) and self._jail.groups.name in line.split("/") for line in lines) >= wanted

    def _stray(self, words: str) -> None:
        if not self.strayed:
            self.changed.append(words)
        self.strayed = True

    def finish(self, usage: resource.struct_rusage, accounting: Accounting) -> None:
        """Look at groups and limits once the run is over. `usage` is what wait4(2) says of init."""
        for group in self._jail.groups.groups:
            self._empty(group.path)
        self.changed += [words for step in self._jail.plan.of(SetCgroupLimit) if (words := self._limit(step))]
        counted = accounting.cpu_since_made()
        if counted is not None and usage.ru_utime + usage.ru_stime > counted * _UNSEEN_SHARE + _UNSEEN_S:
            self._stray("the run used more CPU time than its cgroup counted")

    def _empty(self, folder: str) -> None:
        """See that the group is still there, and that nobody is in it now that the run is dead."""
        until = time.monotonic() + _LAST_EXIT_S
        try:
            while files.whole(f"{folder}/cgroup.procs"):
                if time.monotonic() > until:
                    return self._stray("processes that are not the run's are in its cgroup")
                time.sleep(0.005)
        except OSError:
            self.strayed = True
            self._gone.append(folder)
            self.changed += [] if _REMOVED in self.changed else [_REMOVED]

    def _limit(self, step: SetCgroupLimit) -> str:
        group = self._jail.groups.folder(step.file.partition(".")[0])
        if group is None or group.path in self._gone:
            return ""  # said already
        try:
            kept = files.whole(f"{group.path}/{step.file}").strip()
        except OSError as error:
            return f"{step.file} cannot be read any more: {error.strerror}" if step.required else ""
        return "" if same(kept, step.value) else f"{step.file} is {kept} at the end, {step.value} was written"


def _living(pid: int) -> int:
    """Return the parent of a process, 0 where it has ended or is about to: the kernel takes it out of its groups on the way."""
    try:
        found = files.stat_fields(pid)
    except OSError:
        return 0
    return 0 if found[_STATE] in "ZX" or int(found[_FLAGS]) & _PF_EXITING else int(found[_PARENT])
