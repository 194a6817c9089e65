"""What cannot be had without namespaces is refused, with what can. Parent side; looks at the sources' modes."""

from __future__ import annotations

from jailpy.errors import ProfileError, UsageError
from jailpy.host import plain as host
from jailpy.host.sources import lies_in
from jailpy.layers.mount import hidden
from jailpy.layers.view import root_entries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.sources import Source
    from jailpy.layers import Context

_DEFAULT_PLACES = ("/tmp", "/dev/shm")  # noqa: S108 - places of strict, which a profile need not take out


def check(context: Context) -> None:
    """Raise UsageError or ProfileError for what the profile or the command asks beyond the tier."""
    problems = _profile_problems(context)
    if problems:
        message = problems[0] if len(problems) == 1 else f"{context.profile.name}: {len(problems)} problems"
        raise ProfileError(message, problems, [f"this is a launch without namespaces: tier {context.tier}"])
    if context.command.terminal:
        raise UsageError("--tty: a pseudo-terminal of the jail's own needs a mount namespace")
    for source in (*context.command.sources, *context.command.put):
        _check_source(context, source)
        if source.mode == "rw":
            _check_writable(context, source)
    for path in hidden(context):
        raise UsageError(f"{path} is JailPy's own folder: without a mount namespace what is around it cannot be shown")


def _profile_problems(context: Context) -> list[str]:
    profile, own_uid = context.profile, context.tier == "container-root"
    problems = []
    if not context.wants("seccomp") or profile.seccomp.violation == "record":
        problems.append("seccomp: expected a filter that denies: without namespaces it keeps processes and sockets inside")
    if not own_uid and not context.wants("landlock"):
        problems.append("landlock: expected it to be required: without namespaces it alone keeps files and signals apart")
    if not own_uid and profile.filesystem.root != "system":
        problems.append('filesystem.root: expected "system": without a mount namespace only root can change the root')
    if profile.network.mode == "loopback":
        problems.append('network.mode: expected "none" or "host": a loopback of its own needs a network namespace')
    if "@unix" in profile.seccomp.allow:
        problems.append("seccomp.allow: expected no @unix: without namespaces it reaches the host's sockets")
    for entry in profile.filesystem.tmpfs:
        if entry.size is not None or entry.destination not in (profile.filesystem.workdir, *_DEFAULT_PLACES):
            words = "expected the work folder alone: other private folders, and sizes, need a mount namespace"
            problems.append(f"filesystem.tmpfs: {words}, got {entry.destination}")
    return problems


def _check_source(context: Context, source: Source) -> None:
    what = f"--{source.mode} {source.path}"
    if source.mode in ("put", "cow"):
        inside(context, source.destination)
        return
    if context.profile.filesystem.root != "system":
        raise UsageError(f"{what}: without a mount namespace nothing is shown in another root", ["copy it in: --put"])
    if not host.is_at(source.path, source.destination):
        words = f"{what}: without a mount namespace a path can only be shown where it is, not at {source.destination}"
        raise UsageError(words, [f"show it there: --{source.mode} {source.path}; or copy it in: --put"])
    if context.tier == "container-root" and source.mode == "rw":
        raise UsageError(f"{what}: the run's own uid owns nothing of it", ["copy it in and out: --put and --get"])
    if context.tier == "container-root" and not host.readable_by_others(source.path):
        raise UsageError(f"{what}: the run's own uid may not read it", ["copy it in: --put"])


def _check_writable(context: Context, source: Source) -> None:
    """Refuse what Landlock cannot take back: it gives each file what any folder around it is given (landlock(7))."""
    what, shown = f"--rw {source.path}", [each.path for each in context.command.sources if each.mode == "ro"]
    for path in shown:
        if lies_in(path, source.path):
            words = f"{what}: without a mount namespace it makes --ro {path} writable too"
            raise UsageError(words, ["copy it in: --put"])
    system = [entry.path for entry, _ in root_entries(context)]
    for path in (*shown, *system) if context.profile.filesystem.exec == "system" else ():
        if lies_in(source.path, path):
            words = f"{what}: without a mount namespace what is written there could be executed, for {path} is around it"
            raise UsageError(
                words, ["copy it in and out: --put and --get", "or let everything be executed: --set filesystem.exec=any"]
            )


def inside(context: Context, destination: str) -> str:
    """Return a destination relative to the work folder. Raises UsageError where it lies elsewhere."""
    workdir = context.profile.filesystem.workdir.rstrip("/")
    if destination == (workdir or "/"):
        return "."
    if not destination.startswith(f"{workdir}/"):
        words = f"{destination}: without a mount namespace files are copied to the work folder ({workdir}) only"
        raise UsageError(words, [f"choose a destination below {workdir}, which stands for the private work folder"])
    return destination[len(workdir) + 1 :]
