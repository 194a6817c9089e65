"""How far an AppArmor profile lets a payload go, as JailPy derives it from a profile of its own. Parent side, pure.

The AppArmor profile is written once, by an administrator; a run may then ask for more on its command line. So what the
profile grants is kept in its head, line by line, and a plan that needs more does without AppArmor and says so.
"""

from __future__ import annotations

import os.path

from jailpy.frozen import Frozen
from jailpy.host.sources import lies_in
from jailpy.layers.view import view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.layers import Context
    from jailpy.layers.view import Seen
    from jailpy.profile.model import Profile

NOT_SHOWN = ("/dev", "/proc", "/sys")
SYSTEM = (*NOT_SHOWN, "/bin", "/boot", "/etc", "/gnu", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/sbin", "/usr")
_EXEC = ("none", "system", "any")
_NETWORK = ("none", "loopback", "host")
_NAMED_SOCKETS = ("@unix", "bind", "connect", "listen")
_QUEUES = ("@message-queues", "mq_open")


class Grants(Frozen):
    """What is granted beyond reading what the jail shows, and writing outside of the system's folders.

    `execute` and `network` are the values of filesystem.exec and network.mode; `sockets` says that Unix sockets may have
    names, `queues` that POSIX message queues may be used. `write` are places inside the system's folders that may be
    written. `private` are writable folders that nothing is executed from.
    """

    execute: str
    network: str
    sockets: bool
    queues: bool
    write: tuple[str, ...]
    private: tuple[str, ...]


def of_profile(profile: Profile) -> Grants:
    """Return what a profile needs by itself, without a command line."""
    filesystem, allow = profile.filesystem, profile.seccomp.allow
    writable = [place.destination for place in filesystem.tmpfs]
    private = [path for path in writable if not within(filesystem.workdir, (path,))]
    shown = (*filesystem.rw, *filesystem.cow)
    writable += [show.destination or _default(show.source, filesystem.workdir) for show in shown]
    return Grants(
        execute=filesystem.exec,
        network=profile.network.mode,
        sockets=any(name in allow for name in _NAMED_SOCKETS),
        queues=any(name in allow for name in _QUEUES),
        write=tuple(sorted({path for path in (*writable, filesystem.workdir) if within(path, SYSTEM)})),
        private=() if filesystem.exec == "any" else tuple(sorted(path for path in private if not within(path, SYSTEM))),
    )


def _default(source: str, workdir: str) -> str:
    """Return where something is shown that has no destination of its own; see jailpy/host/sources.py."""
    plain = os.path.normpath(source)
    return plain if os.path.isabs(source) else os.path.join(workdir, os.path.basename(plain))


def within(path: str, places: tuple[str, ...]) -> bool:
    """Say whether a path is one of these places or lies below one."""
    return any(lies_in(path, place) for place in places)


def to_lines(grants: Grants) -> tuple[str, ...]:
    """Return the grants as the lines that stand in the head of a profile."""
    words = [("sockets", "Unix sockets with names"), ("queues", "POSIX message queues")]
    return (
        f"exec {grants.execute}",
        f"network {grants.network}",
        *(text for field, text in words if getattr(grants, field)),
        *(f"write {path}" for path in grants.write),
        *(f"no exec {path}" for path in grants.private),
    )


def from_lines(lines: tuple[str, ...]) -> Grants:
    """Return the grants that lines stand for; what is not said is not granted."""

    def after(word: str) -> tuple[str, ...]:
        return tuple(line[len(word) :] for line in lines if line.startswith(word))

    return Grants(
        execute="".join(after("exec ")) or "none",
        network="".join(after("network ")) or "none",
        sockets="Unix sockets with names" in lines,
        queues="POSIX message queues" in lines,
        write=after("write "),
        private=after("no exec "),
    )


def lacking(context: Context, grants: Grants) -> str:
    """Say what a plan needs and the grants do not give; "" where they suffice."""
    wanted = of_profile(context.profile)
    if _EXEC.index(wanted.execute) > _EXEC.index(grants.execute):
        return f'filesystem.exec = "{wanted.execute}"; it allows "{grants.execute}"'
    if _NETWORK.index(wanted.network) > _NETWORK.index(grants.network):
        return f'network.mode = "{wanted.network}"; it allows "{grants.network}"'
    if wanted.sockets and not grants.sockets:
        return "Unix sockets with names, which it does not allow"
    if wanted.queues and not grants.queues:
        return "POSIX message queues, which it does not allow"
    return next((why for seen in view(context) if (why := _refused(seen, grants))), "")


def _refused(seen: Seen, grants: Grants) -> str:
    """Say why a place of the jail could not be used as it is meant to be."""
    if seen.kind in ("device", "listing", "system") or within(seen.path, grants.write):
        return ""
    own = seen.path in NOT_SHOWN or within(seen.path, ("/dev/shm", "/dev/pts"))  # noqa: S108 - a place in the jail
    if within(seen.path, NOT_SHOWN) and not own:
        return f"{seen.path} is shown, which it does not allow to be read"
    if seen.writable and within(seen.path, SYSTEM) and not own:
        return f"{seen.path} is writable, which it does not allow"
    if seen.execute and not seen.writable and within(seen.path, grants.private):
        return f"programs are run from {seen.path}, which it does not allow"
    return ""
