"""A transient systemd scope with Delegate=yes for the launcher, asked for over D-Bus. Parent side.

An ordinary user's own manager is asked, for root the system's. Only JailPy's own process moves there, never its caller.
What the manager says is not believed but looked at. See org.freedesktop.systemd1(5), StartTransientUnit, and systemd's
"Control Group APIs and Delegation".
"""

from __future__ import annotations

import contextlib
import errno
import os
import time

from jailpy.escape import line
from jailpy.host.cgroups import bus_path, discover, folder_of_own
from jailpy.kernel import files
from jailpy.launcher.cgroups import RunCgroups, collect_from_scopes, name_for, start_time
from jailpy.steps.cgroups import EnterScope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TIMEOUT_S = 5.0
_entered: list[str] = []


def enter_ahead() -> None:
    """Enter a scope before a run asks for one, where systemd gives this account its groups: what is forked later lives in it.

    One that cannot be had is left to the runs: each asks anew if its profile wants a group, and tells what is wrong.
    """
    with contextlib.suppress(OSError):
        facts = discover(files.mounts(), os.geteuid())
        if facts.via == "scope":
            base, groups = facts.bases[0], RunCgroups(name_for(os.getpid(), start_time("self"), 0))
            enter(EnterScope(base=base.path, controllers=base.controllers), groups)


def enter(step: EnterScope, groups: RunCgroups) -> None:
    """Apply EnterScope: move this process to a leaf of a new scope, and enable the controllers beside it.

    A process that is in a scope of its own already stays there. Raises OSError: ETIMEDOUT where the manager does not
    answer or does not do what it says, EACCES where it refuses, ECONNREFUSED or ENOENT where nobody listens,
    EOPNOTSUPP where the scope has not the controllers of the step.
    """
    own = folder_of_own()
    if not (_entered and own.startswith(_entered[0] + "/")):
        _entered[:] = [_new_scope(own)]
        collect_from_scopes(os.path.dirname(_entered[0]))
    folder = _entered[0]
    offered = files.read(f"{folder}/cgroup.controllers").split()
    lacking = [name for name in step.controllers if name not in offered]
    if lacking:
        raise OSError(errno.EOPNOTSUPP, f"the scope that systemd made has no {' and no '.join(lacking)} controller")
    groups.enter_leaf(folder, step.controllers)
    groups.place(step.base, folder)


def _new_scope(before: str) -> str:
    """Ask for a scope, wait until this process is in it, and return its folder."""
    name = f"jailpy-{os.getpid()}-{time.monotonic_ns()}.scope"
    deadline = time.monotonic() + _TIMEOUT_S
    _ask(bus_path(os.geteuid()), name)
    while not (found := folder_of_own()).endswith(f"/{name}"):
        if time.monotonic() > deadline:
            words = f"systemd promised a scope and did not move the launcher there: it is still in {line(before)}"
            raise TimeoutError(errno.ETIMEDOUT, words)
        time.sleep(0.002)
    return found


def _ask(path: str, name: str) -> None:
    """Call StartTransientUnit at the bus behind a socket."""
    from jeepney import DBusAddress, new_method_call

    from jailpy.launcher.bus import Bus, BusError

    address = DBusAddress("/org/freedesktop/systemd1", "org.freedesktop.systemd1", "org.freedesktop.systemd1.Manager")
    properties: list[tuple[str, tuple[str, Any]]] = [
        ("PIDs", ("au", [os.getpid()])),
        ("Delegate", ("b", True)),
        ("CollectMode", ("s", "inactive-or-failed")),
        ("Description", ("s", "JailPy run")),
    ]
    call = new_method_call(address, "StartTransientUnit", "ssa(sv)a(sa(sv))", (name, "fail", properties, []))
    bus = Bus(path, _TIMEOUT_S)
    try:
        bus.connect()
        bus.call(call)
    except BusError as error:
        raise PermissionError(errno.EACCES, f"{path}: {line(error.strerror or '')}") from error
    except TimeoutError as error:
        raise TimeoutError(errno.ETIMEDOUT, f"{path}: no answer within {_TIMEOUT_S:.0f} s") from error
    except OSError as error:
        raise OSError(error.errno, f"{path}: {error.strerror}") from error
    finally:
        bus.close()
