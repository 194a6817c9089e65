"""Proof of what stands in for namespaces: ids, process group, parent. Parent side, imported for such launches only."""

from __future__ import annotations

from jailpy.errors import LaunchError
from jailpy.kernel import files
from jailpy.steps.plain import BecomeUnused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.launcher.verify import Status
    from jailpy.plan.compile import Plan


def look(plan: Plan, pid: int, status: Status) -> dict[str, str]:
    """Return what was seen of the layers `user` and `pid`. Raises LaunchError, OSError."""
    return {"user": _ids(plan, status), "pid": _group(pid)}


def _ids(plan: Plan, status: Status) -> str:
    uid, gid = (str(number) for number in plan.host.outside)
    expected = [[uid] * 4, [gid] * 4]
    found = [status["Uid"].split(), status["Gid"].split()]
    own = bool(plan.of(BecomeUnused))
    if found != expected or (own and status["Groups"]):
        raise _refuse("user", f"/proc/PID/status shows Uid {status['Uid']}, Gid {status['Gid']}, Groups {status['Groups']}")
    return f"/proc/PID/status shows uid {uid}, gid {gid}" + (", no groups" if own else "")


def _group(pid: int) -> str:
    """Expect a payload that leads a process group and session of its own."""
    parent, group, session = (int(word) for word in files.stat_fields(pid)[1:4])
    if (group, session) != (pid, pid):
        raise _refuse("pid", f"the payload {pid} is in process group {group} and session {session}")
    return f"leads process group and session {pid}, below init {parent}"


def _refuse(layer: str, what: str) -> LaunchError:
    return LaunchError(f"{layer}: {what}", layer=layer, step="verify", errno=0)
