"""Manifests in plain words: what a plugin asks, what it gets, what a new version asks on top."""

from __future__ import annotations

import msgspec

from jailpy.profile.values import format_duration, format_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.services.plugins.access import Access
    from jailpy.services.plugins.manifest import Asks, Manifest

_NETWORKS = {"none": "no network", "loopback": "a loopback of its own", "host": "the host's network"}
_ORDER = list(_NETWORKS)
_AMOUNTS = {"memory": "memory", "cpu": "processor time", "wall": "time", "processes": "processes and threads"}


def title(manifest: Manifest) -> str:
    """Return name and version in a line."""
    return f"{manifest.name} {manifest.version}".rstrip()


def offers(manifest: Manifest) -> str:
    """Say in a sentence what a plugin is."""
    if manifest.filter:
        return f"a filter: {' '.join(manifest.filter)}"
    how = f"the Python module {manifest.module}" if manifest.module else f"the program {' '.join(manifest.command)}"
    return f"{how}, with {', '.join(manifest.entries)}"


def asks(asked: Asks) -> list[tuple[str, str]]:
    """Return what is asked for beyond a bare jail, as (key, words)."""
    found = [("read", f"read {path}") for path in asked.read]
    found += [("write", "write into a folder of the host's choice, which it sees as /data")] if asked.write else []
    found += [("environment", f"know the variable {name}") for name in asked.environment]
    found += [("network", f"use {_NETWORKS[asked.network]}")] if asked.network != "none" else []
    found += [("host", f"call the host's function {name}") for name in asked.host]
    return [*found, *((key, f"use {words}") for key, words in amounts(asked))]


def amounts(asked: Asks | Access) -> Iterator[tuple[str, str]]:
    """Yield the limits in words, as (key, words)."""
    if asked.memory is not None:
        yield "memory", f"{format_size(asked.memory)} of memory"
    if asked.cpu is not None:
        yield "cpu", f"{format_duration(asked.cpu)} of processor time a call"
    if asked.wall is not None:
        yield "wall", f"{format_duration(asked.wall)} of time a call"
    if asked.processes is not None:
        yield "processes", f"{asked.processes} processes and threads"


def gets(found: Access) -> list[str]:
    """Return what a plugin gets, a line each."""
    lines = [f"reads {path}" for path in found.read]
    lines += [f"writes into {found.write}, which it sees as /data"] if found.write else ["writes nothing but its own memory"]
    lines += [f"knows the variable {name}" for name in found.environment]
    lines += [f"has {_NETWORKS[found.network]}"]
    lines += [f"calls the host's function {name}" for name in found.host]
    lines += [f"has at most {words}" for _, words in amounts(found)]
    return lines


def more(old: Manifest, new: Manifest) -> list[str]:
    """Return what a new version asks on top of an old one, a line each; what it runs as and offers included."""
    known = set(asks(old.asks))
    lines = [words for key, words in asks(new.asks) if (key, words) not in known and not _is_less(key, old.asks, new.asks)]
    lines += [f"use {_AMOUNTS[key]} without a bound of its own" for key in _lifted(old.asks, new.asks)]
    if _runs(old) != _runs(new):
        lines.append(f"be {offers(new)}; it was {offers(old)}")
    return lines


def less(old: Manifest, new: Manifest) -> list[str]:
    """Return what a new version does not ask any more, a line each."""
    return more(_offering_like(new, old), _offering_like(old, new))


def _offering_like(old: Manifest, new: Manifest) -> Manifest:
    """Return what `old` asks, offered as `new` does."""
    kept = {name: getattr(new, name) for name in ("module", "command", "filter", "entries", "name", "version", "packages")}
    return msgspec.structs.replace(old, **kept)


def _runs(manifest: Manifest) -> tuple[object, ...]:
    return manifest.module, manifest.command, manifest.filter, manifest.packages


def _is_less(key: str, old: Asks, new: Asks) -> bool:
    before, after = getattr(old, key), getattr(new, key)
    if key in _AMOUNTS:
        return before is None or after <= before
    return key == "network" and _ORDER.index(after) <= _ORDER.index(before)


def _lifted(old: Asks, new: Asks) -> list[str]:
    return [key for key in _AMOUNTS if getattr(old, key) is not None and getattr(new, key) is None]
