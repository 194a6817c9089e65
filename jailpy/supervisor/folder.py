"""The disk limit of a run without namespaces: no tmpfs bounds its work folder, so somebody looks. Parent side."""

from __future__ import annotations

import time

from jailpy.supervisor.outcome import Cause, Evidence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.launcher.work import Fill, WorkFolder
    from jailpy.profile.model import Limits

SOURCE = "a look at the work folder"
_SHORTEST_S = 0.01
_SHARE = 10  # of the time, at most one part in so many goes into looking


class FolderWatch:
    """Looks at a work folder at `next_at`, again and again; `last` is what the last look found."""

    def __init__(self, work: WorkFolder, limits: Limits) -> None:
        self._work = work
        self._limits = limits
        self.next_at = 0.0
        self.last: Fill | None = None

    def look(self) -> Cause | None:
        """Measure; return the cause to end the run where it holds more than its limits."""
        began = time.monotonic()
        self.last = found = self._work.fill(self._limits.inodes)
        now = time.monotonic()
        self.next_at = now + max(_SHORTEST_S, (now - began) * _SHARE)
        if found.bytes > self._limits.disk:
            return Cause("disk_limit", Evidence("disk", self._limits.disk, found.bytes, SOURCE))
        if not found.whole:
            return Cause("disk_limit", Evidence("inodes", self._limits.inodes, found.inodes, SOURCE))
        return None
