"""Where runs are made: one slot for each job, with cores and launchers of its own; and a lock for runs that are made alone."""

from __future__ import annotations

import contextlib
import os
import threading

from jailpy.errors import JailPyError
from jailpy.services.grading.contained import launcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal, TypeAlias

    Quality: TypeAlias = Literal["alone", "own-core", "shared"]

_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


class Slot:
    """What one job at a time uses. `folder` is its own, on the host; `runs` and `checks` are warm launchers.

    `feedback` is a folder for what a validator leaves, `state` one for what it left in the pass before.

    All of its processes stay on `cpus`, the threads of one physical core.
    """

    def __init__(self, folder: str, cpus: frozenset[int], profile: str) -> None:
        self.folder = folder
        self.cpus = cpus
        self.feedback, self.state, self.empty = (os.path.join(folder, name) for name in ("feedback", "state", "empty"))
        for path in (folder, self.feedback, self.state, self.empty):
            os.mkdir(path)
        self.nothing = os.path.join(folder, "nothing")
        with open(self.nothing, "xb"):
            pass
        self.runs, self.checks = launcher(profile), launcher(profile)
        thread = threading.Thread(target=self._start)
        thread.start()
        thread.join()

    def _start(self) -> None:
        """Start the servers from a thread that is on the slot's cores: what they start stays there."""
        os.sched_setaffinity(0, self.cpus)
        for used in (self.runs, self.checks):
            with contextlib.suppress(JailPyError):  # the first real run says what is wrong
                used.run(["true"])

    def close(self) -> None:
        """End the launchers, and what runs with them."""
        self.runs.close()
        self.checks.close()


class Slots:
    """The slots of one judge. `quality` says how far apart they are."""

    def __init__(self, folder: str, jobs: int | None, profile: str = "strict") -> None:
        cores = physical_cores()
        wanted = len(cores) if jobs is None else jobs
        places = [cores[number % len(cores)] for number in range(wanted)]
        self._free = [Slot(os.path.join(folder, f"slot{number}"), cpus, profile) for number, cpus in enumerate(places)]
        self._all = tuple(self._free)
        self._condition = threading.Condition()
        self._running = 0
        self._waiting_alone = 0
        self.quality: Quality = "alone" if wanted == 1 else "own-core" if wanted <= len(cores) else "shared"

    def __len__(self) -> int:
        """Return how many jobs there can be at a time."""
        return len(self._all)

    @contextlib.contextmanager
    def one(self) -> Iterator[Slot]:
        """Take a slot, once one is free."""
        with self._condition:
            self._condition.wait_for(lambda: self._free)
            slot = self._free.pop()
        try:
            yield slot
        finally:
            with self._condition:
                self._free.append(slot)
                self._condition.notify_all()

    @contextlib.contextmanager
    def beside_others(self) -> Iterator[None]:
        """Run something, while nothing wants to be alone."""
        with self._condition:
            self._condition.wait_for(lambda: self._running >= 0 and not self._waiting_alone)
            self._running += 1
        try:
            yield
        finally:
            with self._condition:
                self._running -= 1
                self._condition.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Run something while nothing else of this judge runs. Not to be entered from within `beside_others`."""
        with self._condition:
            self._waiting_alone += 1
            try:
                self._condition.wait_for(lambda: self._running == 0)
                self._running = -1
            finally:
                self._waiting_alone -= 1
        try:
            yield
        finally:
            with self._condition:
                self._running = 0
                self._condition.notify_all()

    def close(self) -> None:
        """End all launchers."""
        for slot in self._all:
            slot.close()


def physical_cores() -> list[frozenset[int]]:
    """Return the threads of each physical core that this process may use."""
    allowed = os.sched_getaffinity(0)
    return sorted({_siblings(cpu) & allowed for cpu in allowed}, key=min)


def _siblings(cpu: int) -> frozenset[int]:
    """Return the threads of a processor's core; itself where the kernel does not say."""
    try:
        with open(_TOPOLOGY.format(cpu), encoding="ascii") as file:
            text = file.read().strip()
    except OSError:
        return frozenset((cpu,))
    found = {cpu}
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)
