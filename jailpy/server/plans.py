"""Plans that are kept from run to run, for as long as all that they were made from is as it was. Parent side.

A plan that is out of date might show what it should not, so nothing is believed for long: each run looks at what can be seen
cheaply, and each plan is made anew after a second. What a request shows of the host is looked at in every run.
"""

from __future__ import annotations

import marshal
import os
import time

from jailpy import api
from jailpy.host import facts
from jailpy.host.changes import Changes
from jailpy.launcher import template
from jailpy.layers import privileges
from jailpy.plan import compile, tiers  # noqa: A004 - the module
from jailpy.profile import locate
from jailpy.profile.load import load_stamped
from jailpy.steps.mounts import HoldScript

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.facts import HostFacts
    from jailpy.layers import Command
    from jailpy.plan.compile import Plan
    from jailpy.profile.locate import Stamp
    from jailpy.profile.model import Profile

_LONGEST_S = 1.0
_MOST = 16
_NAMES = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")


class Known:
    """A plan that is kept: its file and the stamps of its files, the facts that it was made for, and until when it holds.

    `template` is the key of its template, b"" where it has none; `reused` says that it served another run before.
    """

    def __init__(self, plan: Plan, path: str, stamps: tuple[Stamp, ...], until: float) -> None:
        self.plan = plan
        self.template = template.key(plan)
        self.reused = False
        self._script = next((at for at, step in enumerate(plan.steps) if isinstance(step, HoldScript)), None)
        self._path = path
        self._stamps = stamps
        self._until = until

    def holds(self, name: str, now: float) -> bool:
        """Say whether the profile's name still leads to the same files, and they are unchanged."""
        return now < self._until and locate.resolve(name) == self._path and all(map(locate.is_unchanged, self._stamps))

    def plan_for(self, request: api.Request) -> Plan | None:
        """Return the plan for a request that differs in its command alone; None where what it shows has changed."""
        kept = self.plan.command
        if kept.sources or kept.put or kept.root or kept.keep or kept.devices or kept.without_device:
            command = api.command_of(request, self.plan.profile, self.plan.host)
        else:
            command = kept.replace(argv=request.argv, environment=api.environment_of(self.plan.profile), script=request.script)
        if _shape(command) != _shape(kept):
            return None
        steps, launcher = [*self.plan.steps[:-1], privileges.execute(command)], self.plan.launcher
        if self._script is not None and command.script is not None:
            steps[self._script] = steps[self._script].replace(content=command.script)
            launcher = compile.launcher_steps(steps)
        return self.plan.replace(command=command, steps=tuple(steps), launcher=launcher)


class Plans:
    """The plans of one worker, by all of a request but its command and its data."""

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}
        self._facts: HostFacts | None = None
        self._changes: Changes | None = None
        self._until = 0.0

    def of(self, request: api.Request) -> tuple[Plan, Known | None]:
        """Return the plan of a request, and what is kept of it. Raises ProfileError, UsageError, HostError."""
        now = time.monotonic()
        host, key = self._host(now), _key(request)
        known = self._known.get(key)
        if known and known.plan.host is host and any(request.argv[:1]) and known.holds(request.profile, now):
            plan = known.plan_for(request)
            if plan:
                known.reused = True
                return plan, known
        return self._new(key, request, host)

    def forget(self) -> None:
        """Forget every plan, and look at the host anew."""
        self._known.clear()
        self._until = 0.0

    def move(self, floor: int) -> None:
        """Move descriptors out of the numbers below `floor`. Raises OSError."""
        if self._changes:
            self._changes.move(floor)

    def close(self) -> None:
        """Forget all, and close what was opened."""
        self.forget()
        if self._changes:
            self._changes.close()
            self._changes = None

    def _host(self, now: float) -> HostFacts:
        """Return the facts: those of before, while nothing says that they might have changed."""
        if self._facts and self._changes and now < self._until and self._changes.none():
            return self._facts
        if self._changes:
            self._changes.close()
        self._changes, self._until = Changes(), now + _LONGEST_S
        self._facts = facts.gather()
        self._known.clear()
        return self._facts

    def _new(self, key: bytes, request: api.Request, host: HostFacts) -> tuple[Plan, Known | None]:
        self._known.pop(key, None)
        profile, stamps = load_stamped(request.profile, request.overrides)
        plan = api.compiled(request, profile, host)
        if not stamps or not _may_be_kept(profile, request):
            return plan, None
        while len(self._known) >= _MOST:
            self._known.pop(next(iter(self._known)))
        self._known[key] = Known(plan, locate.resolve(request.profile), stamps, self._until)
        return plan, self._known[key]


def _may_be_kept(profile: Profile, request: api.Request) -> bool:
    """Say whether the plan followed from host facts alone: weaker tiers look at more."""
    return not tiers.may_be_plain(profile, request.excused) and "no-proc" not in profile.require.tiers


def _key(request: api.Request) -> bytes:
    """Return all that makes a plan but the command."""
    overrides = [(each.key, each.value, each.spelling) for each in request.overrides]
    surroundings = [os.environ.get(name) for name in _NAMES]
    where = os.getcwd() if locate.is_path(request.profile) and not request.profile.startswith("/") else ""
    script = None if request.script is None else (request.argv[1], request.preload)
    rest = (request.excused, request.put, bool(request.get), request.terminal, request.keep, script)
    return marshal.dumps((request.profile, overrides, surroundings, where, rest))


def _shape(command: Command) -> Command:
    return command.replace(argv=(), environment=(), script=None)
