"""Jails built ahead: parked and verified, each for one run that differs from what they were built for in its command alone.

A jail waits in front of its last step. It is taken for a run whose plan, made anew as for every run, is the same but for that
step; whatever else changed since, in the request or on the host, makes plans differ, or the files that they name. Parent side.
"""

from __future__ import annotations

import collections
import os
import resource
import select

from jailpy.launcher import cold, template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from jailpy.launcher.cold import Jail
    from jailpy.launcher.template import Template
    from jailpy.plan.compile import Plan

    Stamps: TypeAlias = tuple[tuple[int, int], ...]


_EACH = 10  # descriptors that a parked jail holds, rounded up
_LEFT = 100  # descriptors that are left for a run


class Parked:
    """A jail that waits, and what it was built for: the key of its template, and the files that it shows.

    It ends with `origin`, the template that it was cloned from.
    """

    def __init__(self, jail: Jail, key: bytes, stamps: Stamps | None, origin: Template) -> None:
        self.jail = jail
        self.key = key
        self.stamps = stamps
        self.origin = origin

    def fits(self, plan: Plan, key: bytes) -> bool:
        """Say whether the jail is what a launch of this plan would make."""
        same = key == self.key and plan.steps[:-1] == self.jail.plan.steps[:-1]
        return same and self.stamps is not None and _stamps(plan) == self.stamps

    def waits(self) -> bool:
        """Say whether all of it lives: neither init nor the channel nor the status pipe has anything to tell."""
        if self.jail.channel is None:  # ended with its template
            return False
        poll = select.poll()
        for descriptor in (self.jail.pidfd, self.jail.channel.fileno(), self.jail.status):
            poll.register(descriptor, select.POLLIN)
        return not poll.poll(0)


class Pool:
    """The jails that one worker has parked, at most `size`; the oldest go first."""

    def __init__(self) -> None:
        self.size = 0
        self._parked: collections.deque[Parked] = collections.deque()

    def take(self, plan: Plan, key: bytes) -> Jail | None:
        """Return a parked jail for a plan, told what to execute; None where none fits."""
        self._remove_dead()
        found = next((each for each in self._parked if each.fits(plan, key)), None)
        if found is None:
            return None
        self._remove(found)
        found.jail.plan, found.jail.command = plan, template.command(plan)
        return found.jail

    def lacks(self, plan: Plan, key: bytes) -> bool:
        """Say whether another jail of a plan should be parked: there is room for it, or none fits that plan."""
        if not self.size or not may_wait(plan, key):
            return False
        self._remove_dead()
        return len(self._parked) < self.size or not any(each.fits(plan, key) for each in self._parked)

    def park(self, plan: Plan, key: bytes) -> None:
        """Build a jail and keep it, in place of the oldest where there is no room. Raises LaunchError."""
        self.shrink(self.size - 1)
        stamps, origin = _stamps(plan), template.of(plan, key)
        assert origin is not None
        jail = cold.launch(plan, origin)
        origin.waiting.append(jail)
        self._parked.append(Parked(jail, key, stamps, origin))

    def resize(self, size: int) -> None:
        """Keep at most `size` jails from now on, and no more than leave a run enough descriptors (RLIMIT_NOFILE)."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.size = max(0, min(size, (limit - _LEFT) // _EACH))
        self.shrink(self.size)

    def shrink(self, size: int) -> None:
        """Let go of what is more than `size`."""
        while len(self._parked) > size:
            self._discard(self._parked[0])

    def _remove_dead(self) -> None:
        for parked in [each for each in self._parked if not each.waits()]:
            self._discard(parked)

    def _discard(self, parked: Parked) -> None:
        self._remove(parked)
        parked.jail.close()

    def _remove(self, parked: Parked) -> None:
        self._parked.remove(parked)
        if parked.jail in parked.origin.waiting:
            parked.origin.waiting.remove(parked.jail)


def may_wait(plan: Plan, key: bytes) -> bool:
    """Say whether a jail for this plan can be built ahead: not one that holds what its run brings, nor without a template."""
    return bool(key) and not plan.command.put and plan.command.script is None


def _stamps(plan: Plan) -> Stamps | None:
    """Identify the files and folders that a plan shows by their paths; None where one has just gone."""
    paths = [*(source.path for source in plan.command.sources), *(entry.path for entry in plan.command.root)]
    try:
        return tuple((stat.st_dev, stat.st_ino) for stat in map(os.stat, paths))
    except OSError:
        return None
