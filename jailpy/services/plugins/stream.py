"""`Stream`: what a plugin yields, item by item, for `for` and `async for`."""

from __future__ import annotations

import weakref
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from jailpy.services.plugins.plugin import Plugin
    from jailpy.services.plugins.worker import Worker


class Stream:
    """The items of a generator in a plugin. Each is a call of its own, with the limits of one; other calls may come between.

    Closed when it ends, by `close`, and when it is dropped. Raises PluginError as calls do.
    """

    def __init__(self, plugin: Plugin, entry: str, number: int, worker: Worker) -> None:
        self.plugin, self.entry, self.number, self.worker = plugin, entry, number, worker
        self._open = True
        self._finalizer = weakref.finalize(self, plugin.abandoned.append, (worker, entry, number))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if not self._open:
            raise StopIteration
        try:
            return self.plugin.next_item(self)
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        self._open = False
        self._finalizer.detach()

    def close(self) -> None:
        """Leave the rest; the plugin's generator is closed."""
        if self._open:
            self._end()
            self.plugin.close_stream(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        from jailpy.services.plugins.asynchronous import run

        found = await run(lambda _: next(self, self))
        if found is self:
            raise StopAsyncIteration
        return found
