"""Host functions: what a plugin may call in the host, by name, with checked arguments, so often and so large."""

from __future__ import annotations

import inspect
import logging
import time
import typing
from typing import Any

import msgspec

from jailpy.errors import ManifestError, RefusalError
from jailpy.services.plugins import values, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jailpy.services.plugins.limits import Bounds

_log = logging.getLogger("jailpy.plugins")


class HostFunction:
    """A function for plugins to call. Every parameter needs an annotation; arguments are converted to it, strictly.

    `calls` is how often it may be called during one call of the plugin, `rate` how often in a second (None: as often as `calls`
    allows), `size` the most bytes of JSON of its arguments. Raises ManifestError for a function that cannot be checked.
    """

    def __init__(
        self, function: Callable[..., Any], *, calls: int = 1000, rate: float | None = None, size: int = 1 << 20
    ) -> None:
        self.function, self.calls, self.rate, self.size = function, calls, rate, size
        name = getattr(function, "__name__", repr(function))
        try:
            self._signature = inspect.signature(function)
            hints = typing.get_type_hints(function)
        except (TypeError, ValueError, NameError) as error:
            raise ManifestError(f"grants: host: {name}: its signature cannot be read: {error}") from None
        bare = [parameter for parameter in self._signature.parameters if parameter not in hints]
        if bare:
            raise ManifestError(f"grants: host: {name}: parameter {bare[0]} has no annotation to check it against")
        self._hints = hints
        self._tokens, self._last = rate or 0.0, time.monotonic()

    def call(self, args: list[Any], kwargs: dict[str, Any], nth: int, size: int) -> Any:
        """Call it for a plugin, the `nth` time in this call. Raises RefusalError, and what the function raises."""
        if nth > self.calls:
            raise RefusalError(f"called over {self.calls} times in one call")
        if size > self.size:
            raise RefusalError(f"its arguments are {size} bytes of JSON, over {self.size}")
        if not self._in_rate():
            raise RefusalError(f"called over {self.rate:g} times in a second")
        bound = self._checked(args, kwargs)
        return self.function(*bound.args, **bound.kwargs)

    def _in_rate(self) -> bool:
        if self.rate is None:
            return True
        now = time.monotonic()
        self._tokens = min(max(self.rate, 1.0), self._tokens + (now - self._last) * self.rate)
        self._last = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _checked(self, args: list[Any], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """Bind arguments to parameters and convert each. Raises RefusalError."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise RefusalError(f"wrong arguments: {error}") from None
        for name, given in bound.arguments.items():
            kind = self._signature.parameters[name].kind
            try:
                bound.arguments[name] = self._converted(kind, given, self._hints[name])
            except msgspec.ValidationError as error:
                raise RefusalError(f"argument {name}: {error}") from None
        return bound

    @staticmethod
    def _converted(kind: Any, given: Any, hint: Any) -> Any:
        if kind is inspect.Parameter.VAR_POSITIONAL:
            return tuple(msgspec.convert(entry, hint, strict=True) for entry in given)
        if kind is inspect.Parameter.VAR_KEYWORD:
            return {key: msgspec.convert(entry, hint, strict=True) for key, entry in given.items()}
        return msgspec.convert(given, hint, strict=True)


def functions(given: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, HostFunction]:
    """Return the functions of these names. Raises ManifestError for one that cannot be checked."""
    return {name: given[name] if isinstance(given[name], HostFunction) else HostFunction(given[name]) for name in names}


class Calls:
    """The host calls of one call of a plugin."""

    def __init__(self, functions: Mapping[str, HostFunction], bounds: Bounds, plugin: str) -> None:
        self._functions, self._bounds, self._plugin = functions, bounds, plugin
        self._counts: dict[str, int] = {}
        self.count = 0

    def answer(self, asked: wire.Host, size: int) -> bytes:
        """Call a function; return the line that tells what came of it."""
        self.count += 1
        try:
            return self._result(asked, size)
        except RefusalError as error:
            text = error.message
        except Exception as error:  # noqa: BLE001 - the host's own function: logged for the host, and the plugin goes on
            _log.warning("plugin %s: host function %s failed", self._plugin, asked.name, exc_info=True)
            text = f"failed in the host: {type(error).__name__}"
        refusal = wire.Refusal(asked.id, f"{asked.name}: {text}"[:2000].encode(errors="backslashreplace").decode())
        return values.encode(refusal, self._bounds)

    def _result(self, asked: wire.Host, size: int) -> bytes:
        function = self._functions.get(asked.name)
        if function is None:
            raise RefusalError("is not granted to this plugin")
        nth = self._counts[asked.name] = self._counts.get(asked.name, 0) + 1
        found = function.call(asked.args, asked.kwargs, nth, size)
        packer = values.Packer(self._bounds, takes_buffers=False)
        return values.encode(wire.Answer(asked.id, packer.pack(found)), self._bounds)
