"""A transient systemd scope with Delegate=yes for the launcher, asked for over the user manager's D-Bus. Parent side.

Only JailPy's own process moves there, never its caller. See org.freedesktop.systemd1(5), StartTransientUnit, and
systemd's "Control Group APIs and Delegation".
"""

from __future__ import annotations

import os
import time

from jailpy.host.cgroups import bus_path
from jailpy.kernel import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jailpy.launcher.cgroups import RunCgroups
    from jailpy.steps.cgroups import EnterScope

_CONTROLLERS = ("memory", "pids", "cpu")
_TIMEOUT_S = 5.0
_MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")


def enter(step: EnterScope, groups: RunCgroups) -> None:
    """Apply EnterScope: move this process to a leaf of a new scope, and enable the controllers beside it.

    Raises OSError: ETIMEDOUT where the manager does not answer, EACCES where it refuses.
    """
    _ask(f"jailpy-{os.getpid()}-{time.monotonic_ns()}.scope")
    folder = _own_group()
    groups.enter_leaf(folder, _enabled(folder))
    groups.place(step.base, folder)


def _enabled(folder: str) -> list[str]:
    offered = files.read(f"{folder}/cgroup.controllers").split()
    return [name for name in _CONTROLLERS if name in offered]


def _own_group() -> str:
    line = next(line for line in files.read("/proc/self/cgroup").splitlines() if line.startswith("0::"))
    point = next(path for path in _MOUNTS if os.path.exists(f"{path}/cgroup.subtree_control"))
    return point + line[3:]


def _ask(name: str) -> None:
    """Call StartTransientUnit and wait until this process is in the scope."""
    from jeepney import DBusAddress, DBusErrorResponse, new_method_call
    from jeepney.io.blocking import open_dbus_connection
    from jeepney.wrappers import unwrap_msg

    address = DBusAddress("/org/freedesktop/systemd1", "org.freedesktop.systemd1", "org.freedesktop.systemd1.Manager")
    properties: list[tuple[str, tuple[str, Any]]] = [
        ("PIDs", ("au", [os.getpid()])),
        ("Delegate", ("b", True)),
        ("CollectMode", ("s", "inactive-or-failed")),
        ("Description", ("s", "JailPy run")),
    ]
    call = new_method_call(address, "StartTransientUnit", "ssa(sv)a(sa(sv))", (name, "fail", properties, []))
    try:
        with open_dbus_connection(bus=f"unix:path={bus_path(os.geteuid())}") as connection:
            unwrap_msg(connection.send_and_get_reply(call, timeout=_TIMEOUT_S))
    except (DBusErrorResponse, ConnectionError, TimeoutError) as error:
        raise PermissionError(13, f"the systemd user manager refused a scope: {error}") from error
    deadline = time.monotonic() + _TIMEOUT_S
    while name not in files.read("/proc/self/cgroup"):
        if time.monotonic() > deadline:
            raise TimeoutError(110, "the systemd user manager did not move the launcher into its scope")
        time.sleep(0.005)
