"""What a plugin gets: what it asks for, as far as the host grants it. `Access` also says so as options of a run."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from jailpy.profile.values import format_duration, format_size, printable
from jailpy.services.plugins import checks
from jailpy.services.plugins.manifest import Manifest, refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jailpy.client.profile import Profile

WRITE_PLACE = "/data"
CALL_CPU_S = 5.0
CALL_WALL_S = 10.0
_WIDER = 'name a profile that allows it: profile=jailpy.Profile.load("plugin").replace(memory="1G")'


class Grants(msgspec.Struct, frozen=True, kw_only=True):
    """What a host grants: bytes and seconds, None for what the profile has. Made by `grants`."""

    read: tuple[str, ...] = ()
    write: str = ""
    environment: tuple[str, ...] = ()
    network: str = "none"
    host: tuple[str, ...] = ()
    memory: int | None = None
    cpu: float = CALL_CPU_S
    wall: float = CALL_WALL_S
    processes: int | None = None


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin gets. `missing` says what it asked for and does not get, as (key, words)."""

    read: tuple[str, ...]
    write: str
    environment: tuple[str, ...]
    network: str
    host: tuple[str, ...]
    memory: int | None
    cpu: float
    wall: float
    processes: int | None
    missing: tuple[tuple[str, str], ...] = ()

    def options(self) -> dict[str, Any]:
        """Return the options of a run that stand for it."""
        return {
            "ro": [f"{os.path.realpath(path)}:{path}" for path in self.read],
            "rw": [f"{self.write}:{WRITE_PLACE}"] if self.write else [],
            "env": {name: os.environ[name] for name in self.environment if name in os.environ},
            "net": self.network,
            "memory": self.memory,
            "processes": self.processes,
        }


def _folder(value: Any) -> str:
    (found,) = checks.paths([value])
    return found


_GRANTS: Mapping[str, Callable[[Any], Any]] = {
    "read": checks.paths,
    "write": _folder,
    "environment": checks.variables,
    "network": checks.network,
    "host": lambda value: checks.names(list(value) if isinstance(value, dict) else value),
    "memory": checks.size,
    "cpu": checks.duration,
    "wall": checks.duration,
    "processes": checks.count,
}


def grants(plugin: str, given: Mapping[str, Any] | None, profile: Profile) -> Grants:
    """Check what a host grants a plugin. Raises ManifestError with every problem, grants wider than the profile included."""
    problems, found, where = [], {}, f"{plugin}: grants"
    for key, value in (given or {}).items():
        if key not in _GRANTS:
            problems.append(f"{where}: {printable(key)}: unknown key{checks.guess(key, _GRANTS)}")
            continue
        try:
            found[key] = _GRANTS[key](os.fspath(value) if isinstance(value, os.PathLike) else value)
        except ValueError as error:
            problems.append(f"{where}: {key}: {error}")
    wider = list(_wider(found, profile))
    problems += [f"{where}: {key}: is wider than the profile: {words}" for key, words in wider]
    if problems:
        raise refused(where, problems, [_WIDER] if wider else [])
    return Grants(**found)


def _wider(found: Mapping[str, Any], profile: Profile) -> Iterator[tuple[str, str]]:
    whole = profile.resolve()
    limits = whole.limits
    for key, most, shown in (("memory", limits.memory, format_size), ("processes", limits.processes, str)):
        if key in found and most is not None and found[key] > most:
            yield key, f"{shown(found[key])} against {shown(most)}"
    network, most_network = found.get("network", "none"), whole.network.mode
    if checks.NETWORKS.index(network) > checks.NETWORKS.index(most_network):
        yield "network", f"{network} against {most_network}"
    if "wall" in found and limits.wall is not None and found["wall"] > limits.wall:
        yield "wall", f"{format_duration(found['wall'])} against {format_duration(limits.wall)}"


def intersect(manifest: Manifest, granted: Grants) -> Access:
    """Return what the plugin gets: of everything the narrower of what it asks and what is granted."""
    asks = manifest.asks
    missing: list[tuple[str, str]] = []

    def common(key: str, asked: tuple[str, ...], have: Callable[[str], bool]) -> tuple[str, ...]:
        missing.extend((key, entry) for entry in asked if not have(entry))
        return tuple(entry for entry in asked if have(entry))

    def least(key: str, asked: float | None, most: float | None, shown: Callable[[Any], str]) -> Any:
        if asked is not None and most is not None and asked > most:
            missing.append((key, f"{shown(asked)}, gets {shown(most)}"))
        return most if asked is None else asked if most is None else min(asked, most)

    if asks.write and not granted.write:
        missing.append(("write", "a folder to write to"))
    network = min(asks.network, granted.network, key=checks.NETWORKS.index)
    if network != asks.network:
        missing.append(("network", f"{asks.network}, gets {network}"))
    return Access(
        read=common("read", asks.read, lambda path: any(_within(path, folder) for folder in granted.read)),
        write=granted.write if asks.write else "",
        environment=common("environment", asks.environment, granted.environment.__contains__),
        network=network,
        host=common("host", asks.host, granted.host.__contains__),
        memory=least("memory", asks.memory, granted.memory, format_size),
        cpu=least("cpu", asks.cpu, granted.cpu, format_duration),
        wall=least("wall", asks.wall, granted.wall, format_duration),
        processes=least("processes", asks.processes, granted.processes, str),
        missing=tuple(missing),
    )


def of(manifest: Manifest, given: Mapping[str, Any] | None, profile: Profile) -> Access:
    """Return what a plugin gets under a profile, whose limits stand for grants that are not given. Raises ManifestError."""
    found = grants(manifest.name, given, profile)
    limits = profile.resolve().limits
    memory = limits.memory if found.memory is None else found.memory
    processes = limits.processes if found.processes is None else found.processes
    return intersect(manifest, msgspec.structs.replace(found, memory=memory, processes=processes))


def _within(path: str, folder: str) -> bool:
    """Tell whether a path lies in a folder, links followed: a link in a granted folder must not lead out of it."""
    real, whole = os.path.realpath(path), os.path.realpath(folder)
    return real == whole or real.startswith(whole.rstrip("/") + "/")
