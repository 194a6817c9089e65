"""Plans without a kernel: what a request turns into for host facts that the test chooses."""

from __future__ import annotations

import pytest

from jailpy import api
from jailpy.host import facts
from jailpy.profile.overrides import Override
from jailpy.steps import mounts


@pytest.fixture
def planned():
    """Return a function that plans `true` with overrides (dotted key to value) and changed host facts."""

    def plan(overrides=(), put=(), get=(), terminal=False, **changes):
        changes.setdefault("real_root", False)
        request = api.Request(
            argv=("true",),
            overrides=tuple(Override(key, value, "test") for key, value in dict(overrides).items()),
            excused=("cgroup",),
            put=tuple(put),
            get=tuple(get),
            terminal=terminal,
        )
        return api.plan(request, facts.gather().replace(**changes))

    return plan


@pytest.fixture
def mount_steps(planned):
    """Return a function that plans as `planned` does and returns the steps of the mount layer."""

    def steps(*args, **kwargs):
        return [step for step in planned(*args, **kwargs).steps if isinstance(step, mounts.MountStep)]

    return steps
