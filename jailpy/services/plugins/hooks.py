"""An adapter for pluggy: the entries of a jailed plugin as hook implementations of a plugin manager."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from jailpy.errors import UsageError
from jailpy.services.plugins import supply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jailpy.services.plugins.plugin import Plugin
    from jailpy.services.plugins.stream import Stream


class _Hooks:
    """What a manager registers: an attribute for each hook."""


def register(manager: Any, plugin: Plugin) -> object:
    """Register a jailed plugin with a `pluggy.PluginManager`; return what to unregister.

    Each entry of the plugin that is a hook of the manager becomes an implementation of it, which gets all the arguments of the
    specification by name. The arguments, and what a hook returns, are data. A generator comes as a list, which is no more than
    one message may hold and is there within the time of one call: otherwise the hook raises PluginError.

    Raises UsageError for an entry that is no hook.
    """
    import pluggy

    marker = pluggy.HookimplMarker(manager.project_name)
    hooks = _Hooks()
    for entry in plugin.manifest.entries:
        caller = getattr(manager.hook, entry, None)
        if caller is None or caller.spec is None:
            raise UsageError(f"{plugin.manifest.name}: {entry}: {manager.project_name} specifies no such hook")
        setattr(hooks, entry, marker(_implementation(plugin, entry, tuple(caller.spec.argnames))))
    manager.register(hooks, name=plugin.manifest.name)
    for caller in manager.get_hookcallers(hooks) or ():
        for implementation in caller.get_hookimpls():
            if implementation.plugin is hooks:
                implementation.argnames = tuple(caller.spec.argnames)  # pluggy reads them off a signature: ours is (*args)
    return hooks


def _implementation(plugin: Plugin, entry: str, names: tuple[str, ...]) -> Callable[..., Any]:
    from jailpy.services.plugins.stream import Stream

    def call(*args: Any) -> Any:
        found = plugin.call(entry, **dict(zip(names, args, strict=True)))
        return _listed(plugin, found) if isinstance(found, Stream) else found

    return call


def _listed(plugin: Plugin, stream: Stream) -> list[Any]:
    """Return the items of a stream, which may have no end. Raises PluginError."""
    bounds, items, size = plugin.bounds, [], 0
    until = time.monotonic() + plugin.access.wall
    for item in stream:
        items.append(item)
        size += len(msgspec.json.encode(item))
        if size > bounds.message or len(items) > bounds.count:
            reason, words = "protocol", f"its items are over {bounds.message} bytes of JSON or {bounds.count} values"
        elif time.monotonic() > until:
            reason, words = "wall_limit", f"its items took over {plugin.access.wall:g} s (wall)"
        else:
            continue
        stream.close()
        raise supply.error(plugin.manifest.name, stream.entry, reason, words)
    return items
