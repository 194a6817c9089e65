"""Proof that each layer holds: the parked payload as the kernel shows it, one moment before execve. Parent side.

The payload's process runs nothing of the payload's yet, so what /proc says of it is what the payload will start with.
"""

from __future__ import annotations

import os

from jailpy.errors import LaunchError
from jailpy.kernel import files
from jailpy.steps import process as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.launcher.cgroups import RunCgroups
    from jailpy.plan.compile import Plan

_NAMESPACES = {
    "user": "user",
    "mount": "mnt",
    "pid": "pid",
    "net": "net",
    "ipc": "ipc",
    "uts": "uts",
    "cgroup-ns": "cgroup",
}
_LIMIT_WORDS = {
    "RLIMIT_NOFILE": "Max open files",
    "RLIMIT_FSIZE": "Max file size",
    "RLIMIT_CORE": "Max core file size",
    "RLIMIT_STACK": "Max stack size",
    "RLIMIT_MEMLOCK": "Max locked memory",
    "RLIMIT_NICE": "Max nice priority",
    "RLIMIT_RTPRIO": "Max realtime priority",
    "RLIMIT_MSGQUEUE": "Max msgqueue size",
    "RLIMIT_SIGPENDING": "Max pending signals",
    "RLIMIT_NPROC": "Max processes",
    "RLIMIT_CPU": "Max cpu time",
    "RLIMIT_DATA": "Max data size",
}
_NEWLINE = "\n"
_NO_DIGITS = dict.fromkeys(map(ord, "0123456789"))
_checked: dict[str, object] = {}  # what the run before was found to have, word by word
_own: dict[str, str] = {}  # what this process itself has: it never leaves its namespaces, and loads no filter


def verify(plan: Plan, pid: int, groups: RunCgroups) -> dict[str, str]:
    """Return what was seen, by layer. Raises LaunchError for a layer that is planned and not seen."""
    try:
        return _look(plan, pid, groups)
    except OSError as error:
        words = f"pid: could not look at the parked payload, killed from outside perhaps: {error.strerror}"
        raise LaunchError(words, layer="pid", step="verify", errno=error.errno or 0) from error


def _look(plan: Plan, pid: int, groups: RunCgroups) -> dict[str, str]:
    planned = [
        layer.name
        for layer in plan.layers
        if layer.state in ("enforced", "degraded") and (layer.steps or layer.name in _NAMESPACES)
    ]
    status = Status(pid)
    own = _of_this_process()
    seen = {name: _namespace(pid, name, kind, own[kind]) for name, kind in _NAMESPACES.items() if name in planned}
    if "user" in planned:
        seen["user"] += f", uid_map {_uid_map(plan, pid)}"
        seen["mount"] += f", {_mounts(plan, pid)}"
    else:
        from jailpy.launcher import verify_plain

        seen = verify_plain.look(plan, pid, status)
    seen["capabilities"] = _capabilities(plan, status)
    seen["no-new-privs"] = _expect("no-new-privs", [status["NoNewPrivs"]], "1")
    if "seccomp" in planned:
        seen["seccomp"] = _filters(status)
    if "landlock" in planned:
        seen["landlock"] = "a file outside the rules was refused (EACCES)"
    if "apparmor" in planned:
        seen["apparmor"] = "the request to stack at execve reads back"
    if "cgroup" in planned:
        seen["cgroup"] = _cgroups(pid, groups)
    if "rlimits" in planned:
        seen["rlimits"] = _rlimits(plan, pid)
    return seen


def _refuse(layer: str, what: str) -> LaunchError:
    return LaunchError(f"{layer}: {what}", layer=layer, step="verify", errno=0)


class Status:
    """The fields of /proc/PID/status. Most are of no interest, so each is looked for when it is asked for."""

    def __init__(self, pid: int | str) -> None:
        self._text = "\n" + files.whole(f"/proc/{pid}/status")

    def __contains__(self, name: str) -> bool:
        return f"\n{name}:" in self._text

    def __getitem__(self, name: str) -> str:
        _, found, rest = self._text.partition(f"\n{name}:")
        if not found:
            raise _refuse("pid", f"/proc/PID/status shows no {name}")
        return rest.partition("\n")[0].strip()


def _expect(layer: str, values: list[str], wanted: str) -> str:
    if any(value != wanted for value in values):
        raise _refuse(layer, f"/proc/PID/status shows {' '.join(values)} where {wanted} was expected")
    return f"/proc/PID/status shows {wanted}"


def _capabilities(plan: Plan, status: Status) -> str:
    """Expect all five sets to be empty; the bounding set only where a step says that it empties it."""
    four_only = any(kind.__name__ == "GiveUpCapabilities" for kind in plan.kinds)
    names = ("Inh", "Prm", "Eff", "Amb") if four_only else ("Inh", "Prm", "Eff", "Bnd", "Amb")
    return _expect("capabilities", [status[f"Cap{name}"] for name in names], "0" * 16)


def _filters(status: Status) -> str:
    """Expect one filter more than the launcher itself is under (a container's). Linux before 5.9 does not count them."""
    found = _expect("seccomp", [status["Seccomp"]], "2")
    if "Seccomp_filters" not in status:
        return found
    added = int(status["Seccomp_filters"]) - int(_of_this_process()["filters"])
    if added != 1:
        raise _refuse("seccomp", f"/proc/PID/status shows {added} filters more than the launcher has where 1 was expected")
    return f"{found}, 1 filter"


def _of_this_process() -> dict[str, str]:
    """Return this process's namespaces by kind, and under "filters" how many it is under, where the kernel says."""
    pid = str(os.getpid())
    if _own.get("pid") != pid:
        status = Status("self")
        _own.update({kind: os.readlink(f"/proc/self/ns/{kind}") for kind in _NAMESPACES.values()})
        if "Seccomp_filters" in status:
            _own["filters"] = status["Seccomp_filters"]
        _own["pid"] = pid
    return _own


def _namespace(pid: int, name: str, kind: str, ours: str) -> str:
    theirs = os.readlink(f"/proc/{pid}/ns/{kind}")
    if theirs == ours:
        raise _refuse(name, "the payload is in the launcher's namespace")
    return theirs


def _uid_map(plan: Plan, pid: int) -> str:
    found = files.whole(f"/proc/{pid}/uid_map").split()
    wanted = [str(plan.profile.identity.uid), str(plan.host.outside[0]), "1"]
    if found != wanted:
        raise _refuse("user", f"uid_map is {' '.join(found)}")
    return " ".join(found)


def _mounts(plan: Plan, pid: int) -> str:
    """Check every mount of the jail: nosuid, and noexec where it can be written and exec is restricted.

    But for its numbers (of mounts and devices, and in names) the list is that of the run before, if that had the same plan:
    what was checked then word by word is checked by comparing.
    """
    text = files.read(f"/proc/{pid}/mountinfo", 1 << 22)
    shape = text.translate(_NO_DIGITS)
    if _checked.get("mounts") != (plan.profile.filesystem.exec, shape):
        _check_mounts(plan, text)
        _checked["mounts"] = plan.profile.filesystem.exec, shape
    how = "" if plan.profile.filesystem.exec == "any" else ", all writable ones noexec"
    return f"{text.count(_NEWLINE)} mounts, all nosuid{how}"


def _check_mounts(plan: Plan, text: str) -> None:
    for fields in map(str.split, text.splitlines()):
        options = fields[5].split(",")
        if "nosuid" not in options:
            raise _refuse("mount", f"{fields[4]} is mounted without nosuid")
        if "ro" not in options and "noexec" not in options and plan.profile.filesystem.exec != "any":
            raise _refuse("mount", f"{fields[4]} can be written and executed from")


def _cgroups(pid: int, groups: RunCgroups) -> str:
    if not groups.groups:
        return f"no group; /proc shows the payload's memory: {Status(pid)['VmRSS']} resident"
    lines = files.whole(f"/proc/{pid}/cgroup").splitlines()
    inside = [line for line in lines if line.rpartition("/")[2] == groups.name]
    if len(inside) != len(groups.groups):
        raise _refuse("cgroup", f"the payload is in {len(inside)} of {len(groups.groups)} groups")
    return f"in {groups.name} ({len(inside)} hierarchies), limits read back"


def _rlimits(plan: Plan, pid: int) -> str:
    text = files.whole(f"/proc/{pid}/limits")
    wanted = (*plan.of(steps.SetRlimit), *plan.of(steps.LimitOpenFiles))
    if _checked.get("limits") != (wanted, text):
        _check_limits(wanted, text)
        _checked["limits"] = wanted, text
    return "/proc/PID/limits shows the planned values"


def _check_limits(planned: tuple[steps.SetRlimit, ...], text: str) -> None:
    shown = {line[:26].strip(): line[26:].split() for line in text.splitlines()}
    for step in planned:
        found = shown[_LIMIT_WORDS[step.name]][:2]
        wanted = ["unlimited" if value < 0 else str(value) for value in (step.value, step.hard)]
        if found != wanted:
            raise _refuse("rlimits", f"{step.name} is {' '.join(found)} (soft, hard), not {' '.join(wanted)}")
