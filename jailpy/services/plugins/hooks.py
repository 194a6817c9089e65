"""An adapter for pluggy: the entries of a jailed plugin as hook implementations of a plugin manager."""

from __future__ import annotations

from typing import Any

from jailpy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jailpy.services.plugins.plugin import Plugin


class _Hooks:
    """What a manager registers: an attribute for each hook."""


def register(manager: Any, plugin: Plugin) -> object:
    """Register a jailed plugin with a `pluggy.PluginManager`; return what to unregister.

    Each entry of the plugin that is a hook of the manager becomes an implementation of it, which gets all the arguments of the
    specification by name. The arguments, and what a hook returns, are data. A generator comes as a list.

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
        return list(found) if isinstance(found, Stream) else found

    return call
