"""The host paths that a run shows or copies: looked at once, and their places in the jail checked, before the plan.

Parent side, no fork. What is found here is opened later without following a link, so a source that changes meanwhile
makes the launch fail and shows nothing else.
"""

from __future__ import annotations

import os
import stat

from jailpy.errors import UsageError
from jailpy.frozen import Frozen
from jailpy.host import facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jailpy.host.facts import Entry

_WHOLE = ("/", "/proc", "/sys", "/dev", "/run", "/tmp", "/var/run", "/var/tmp", "/run/user")  # noqa: S108
_BELOW = ("/proc/", "/sys/", "/dev/")
_OWN_PLACES = ("proc", "sys", "dev", "run", "tmp")
_TAKEN = ("/proc", "/dev", "/.landlock")
_MOST_NAMES, _MOST_LOOKS, _MOST_FOREIGN = 1000, 5000, 3


class Source(Frozen):
    """A host path to show. `mode` is "ro", "rw", "cow" or "put"; `destination` is absolute, in the jail.

    `foreign` says which files of a copy-on-write folder the payload cannot change, "" where there are none.
    """

    mode: str
    path: str
    destination: str
    kind: str
    owner: tuple[int, int]
    foreign: str = ""


class Place(Frozen):
    """A path of the jail that is taken. `host` is the path behind it, "" for a private folder."""

    path: str
    kind: str
    host: str
    mode: str


def look(mode: str, source: str, destination: str, workdir: str, cwd: str, hidden: tuple[str, ...] = ()) -> Source:
    """Resolve one SRC[:DST]. Raises UsageError: missing, a link, a special file, or a place that is never shown.

    `hidden` are folders of JailPy's own: nothing inside them is shown.
    """
    path = os.path.join(cwd, os.path.expanduser(source))
    found = _stat(mode, source, path)
    real = _real(mode, source, path, found)
    kind = "folder" if stat.S_ISDIR(found.st_mode) else "file"
    _refuse_place(mode, source, real, kind, hidden)
    plain = os.path.normpath(path)
    keeps_path = os.path.isabs(source) and mode != "put"
    where = destination or (plain if keeps_path else os.path.join(workdir, os.path.basename(plain)))
    foreign = _foreign(real) if mode == "cow" and kind == "folder" else ""
    return Source(mode, real, where, kind, (found.st_uid, found.st_gid), foreign)


def script(name: str, workdir: str) -> Source:
    """Return the place of a script that comes as text, for `check`: it is put into the work folder like any file."""
    return Source("put", name, os.path.normpath(os.path.join(workdir, name)), "file", (0, 0))


def _stat(mode: str, source: str, path: str) -> os.stat_result:
    try:
        found = os.lstat(path)
    except OSError as error:
        raise UsageError(f"--{mode} {source}: {error.strerror}", [f"looked for {os.path.normpath(path)}"]) from error
    if stat.S_ISLNK(found.st_mode):
        raise UsageError(f"--{mode} {source}: is a symbolic link", [f"name what it points to: {os.path.realpath(path)}"])
    if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
        raise UsageError(f"--{mode} {source}: is neither a file nor a folder")
    return found


def _real(mode: str, source: str, path: str, found: os.stat_result) -> str:
    """Return the path without links of what was found. What was put in its place meanwhile is refused (CVE-2021-30465)."""
    real = os.path.realpath(path)
    if not os.path.samestat(found, _stat(mode, source, real)):
        raise UsageError(f"--{mode} {source}: changed while it was looked at")
    return real


def _refuse_place(mode: str, source: str, real: str, kind: str, hidden: tuple[str, ...]) -> None:
    """Refuse what would show the host's processes, devices or sockets, or JailPy's own folders."""
    below = ["name the folder or file below it that the command needs"]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if real in _WHOLE or os.path.dirname(real) == "/run/user" or (runtime and real == os.path.realpath(runtime)):
        raise UsageError(f"--{mode} {source}: {real} is never shown whole", below)
    if real.startswith(_BELOW):
        raise UsageError(f"--{mode} {source}: nothing below {os.path.join('/', real.split('/')[1])} is shown")
    for folder in hidden:
        if real == folder or real.startswith(folder + "/"):
            raise UsageError(f"--{mode} {source}: {folder} is JailPy's own folder and never shown")
    socket = _socket_in(real) if kind == "folder" and mode != "put" else ""
    if socket:
        words = f"--{mode} {source}: holds the socket {socket}, and a program behind a socket may do the payload's bidding"
        raise UsageError(words, below)


def _socket_in(folder: str) -> str:
    """Return the name of a socket at the top of a folder, "" where there is none among the first names."""
    try:
        with os.scandir(folder) as listing:
            for entry, _ in zip(listing, range(_MOST_NAMES), strict=False):
                plain = entry.is_symlink() or entry.is_dir() or entry.is_file()
                if not plain and stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                    return entry.name
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from error
    return ""


def _foreign(path: str) -> str:
    """Name files below a folder that the jail's one user cannot own: copying them up would fail (EOVERFLOW)."""
    owner = os.lstat(path)
    mapped = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    names = []
    for (name, found), _ in zip(_below(path), range(_MOST_LOOKS), strict=False):
        if (found.st_uid, found.st_gid) != mapped:
            names.append(name[len(path) + 1 :] or ".")
    if not names:
        return ""
    more = f" and {len(names) - _MOST_FOREIGN} more" if len(names) > _MOST_FOREIGN else ""
    return f"cannot be changed in the copy, having another owner or group: {', '.join(sorted(names)[:_MOST_FOREIGN])}{more}"


def _below(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield a path and what lies below it. Not by os.walk, which recurses: the payload of an earlier run made the tree."""
    yield path, os.lstat(path)
    folders = [path]
    while folders:
        try:
            with os.scandir(folders.pop()) as listing:
                for entry in listing:
                    yield entry.path, entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:
            continue  # gone, unreadable, or deeper than a path is long: nothing that the copy could name either


def root_folder(root: str, hidden: tuple[str, ...]) -> tuple[tuple[Entry, ...], tuple[int, int]]:
    """Return the top level of a root filesystem folder and its owner; nothing for "system" and "empty".

    Raises UsageError. The places where JailPy mounts its own must not be links: a link would lead the mount elsewhere
    (CVE-2025-31133).
    """
    if root in ("system", "empty"):
        return (), (0, 0)
    found = look("root", root, "/", "/", os.getcwd(), hidden)
    if found.kind != "folder":
        raise UsageError(f"filesystem.root: {root} is no folder")
    entries = [entry for name in sorted(os.listdir(found.path)) if (entry := facts.entry(f"{found.path}/{name}"))]
    for entry in entries:
        if os.path.basename(entry.path) in _OWN_PLACES and entry.kind != "folder":
            raise UsageError(f"filesystem.root: {entry.path} is a {entry.kind}, not a folder", ["mend the root folder"])
    return tuple(entry for entry in entries if os.path.basename(entry.path) not in _OWN_PLACES), found.owner


def system_places(entries: Iterable[Entry]) -> list[Place]:
    """Return the places that the host's own system takes."""
    return [Place(entry.path, entry.kind, entry.path, "system") for entry in entries]


def root_places(entries: Iterable[Entry]) -> list[Place]:
    """Return the places that a root filesystem folder takes."""
    return [Place("/" + os.path.basename(entry.path), entry.kind, entry.path, "root") for entry in entries]


def check(sources: tuple[Source, ...], private: tuple[str, ...], workdir: str, taken: list[Place]) -> None:
    """Check where sources, private folders and the work folder lie. `taken` are the places of the root.

    JailPy creates nothing in a folder of the host, so a destination inside one must be there already. Raises UsageError.
    """
    wanted = [(f"--{source.mode} {source.path}: destination {source.destination}", _place(source)) for source in sources]
    wanted += [(f"--tmpfs {path}: it", Place(path, "folder", "", "private")) for path in private]
    places = taken + [place for _, place in wanted if place.mode != "put"]
    seen: dict[str, str] = {}
    for words, place in wanted:
        into_private = place.mode == "private" and _put_into(place.path, sources)
        if place.path in seen and not into_private:
            raise UsageError(f"{words} is taken by {seen[place.path].partition(': ')[0]}")
        seen[place.path] = words
        _check_one(words, place, places)
        if place.mode == "put":
            _check_around(words, place, [other for _, other in wanted if other.mode != "put"], (*private, workdir))
    if workdir not in seen:
        _check_one(f"--workdir {workdir}: it", Place(workdir, "folder", "", "private"), places)
    elif next(place for _, place in wanted if place.path == workdir).kind != "folder":
        raise UsageError(f"--workdir {workdir}: it is a file: {seen[workdir].partition(': ')[0]}")


def check_interfaces(shown: Iterable[tuple[str, str]], interfaces: tuple[str, ...]) -> None:
    """Refuse what has proc, sysfs and their like in it, or lies there, by whatever path: they tell of the host's processes.

    `shown` has the words for each path, and the path; `interfaces` are as in `HostFacts`. Raises UsageError.
    """
    for words, path in shown:
        for point in interfaces:
            if lies_in(point, path) or lies_in(path, point):
                hint = "name what is beside it, or unmount it"
                raise UsageError(f"{words}: nothing of what is mounted at {point} is shown", [hint])


def check_execution(sources: tuple[Source, ...], taken: list[Place]) -> None:
    """Refuse what the payload may write at one place and execute at another, under `filesystem.exec = "system"`.

    `taken` are the places of the root. A place that covers the other one leaves nothing of it. Raises UsageError.
    """
    executable = [place for place in taken if place.kind != "link"]
    executable += [_place(source) for source in sources if source.mode == "ro"]
    for source in sources:
        for place in executable if source.mode == "rw" else ():
            written, executed = source.destination, place.path
            if lies_in(source.path, place.host):
                executed += source.path[len(place.host) :]
                hint = f"show it there: --rw {source.path}:{executed}"
            elif lies_in(place.host, source.path):
                written += place.host[len(source.path) :]
                hint = f"cover it: --ro {place.host}:{written}"
            else:
                continue
            if written != executed:
                words = f"--rw {source.path}: what is written at {written} could be executed at {executed}"
                raise UsageError(words, [hint, "or let everything be executed: --set filesystem.exec=any"])


def lies_in(path: str, folder: str) -> bool:
    """Tell whether a path is this one or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _put_into(path: str, sources: tuple[Source, ...]) -> bool:
    """Say whether a folder is put at this very path: its content then goes into the private folder that is there."""
    found = [source for source in sources if source.destination == path]
    return [(source.mode, source.kind) for source in found] == [("put", "folder")]


def may_write(number: int) -> bool:
    """Say whether files of the host can be written by a descriptor: of a file or disk open for writing."""
    import fcntl  # for descriptors that are passed on only

    try:
        mode, flags = os.fstat(number).st_mode, fcntl.fcntl(number, fcntl.F_GETFL)
    except OSError:
        return False  # it is not open: the launch fails
    return (stat.S_ISREG(mode) or stat.S_ISBLK(mode)) and flags & os.O_ACCMODE != os.O_RDONLY


def _place(source: Source) -> Place:
    return Place(source.destination, source.kind, source.path, source.mode)


def _check_one(words: str, place: Place, places: list[Place]) -> None:
    if place.mode != "private" and (place.path == "/" or any(f"{place.path}/".startswith(f"{own}/") for own in _TAKEN)):
        raise UsageError(f"{words} is JailPy's own place", ["choose a destination below the work folder"])
    covers = next((other for other in places if other.path == place.path and other.mode in ("system", "root")), None)
    if covers and place.mode == "private" and covers.kind != "folder":
        raise UsageError(f"{words} is a {covers.kind} of the host's system")
    around = [other for other in places if place.path.startswith(f"{other.path}/")]
    inner = max(around, key=lambda other: len(other.path), default=None)
    if inner and inner.mode != "private":
        _check_inside(words, place, inner)


def _check_around(words: str, place: Place, shown: list[Place], private: tuple[str, ...]) -> None:
    """Check that a copy which would cover what is shown below it is one that goes into a private folder instead."""
    below = next((other.path for other in shown if other.path.startswith(f"{place.path}/")), "")
    if below and (place.kind != "folder" or not any(lies_in(place.path, folder) for folder in private)):
        raise UsageError(f"{words} is around {below}, which it would cover", ["choose another destination for one of them"])


def _check_inside(words: str, place: Place, inner: Place) -> None:
    """Check a destination inside something of the host: what is mounted there must find a place of the same kind."""
    if inner.kind != "folder":
        target = f" to {os.readlink(inner.host)}" if inner.kind == "link" else ""
        raise UsageError(f"{words} lies below {inner.path}, which is a {inner.kind}{target}")
    there = inner.host + place.path[len(inner.path) :]
    if place.mode == "put" and inner.mode == "cow" and os.path.lexists(there):
        hint = f"--cow {place.host}:{place.path} stands in for it, or choose another destination"
        raise UsageError(f"{words} is there already, in {inner.path}", [hint])
    if place.mode == "put":
        fits = inner.mode == "cow" and _kind(os.path.dirname(there)) == "folder"
    else:
        fits = _kind(there) == place.kind
    if not fits:
        raise UsageError(
            f"{words} lies in {inner.path}, a folder of the host, and has no {place.kind} to cover there",
            ["choose a destination below the work folder: nothing is ever created in a folder of the host"],
        )


def _kind(path: str) -> str:
    """Return "folder" or "file" for a path without a link in it, else ""."""
    found = facts.entry(path)
    return found.kind if found and found.kind != "link" and os.path.realpath(path) == path else ""
