"""Frozen values: what `dataclasses.dataclass(frozen=True)` gives, without its import time.

Importing `dataclasses` costs more than a jail takes to build (docs/adr/0001-imports-on-the-way-to-execve.md), so the
values that travel from profile to child derive from `Frozen` instead. Type checkers see an ordinary frozen dataclass.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> object:
        """Return the class unchanged: the real one matters to type checkers alone."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True, eq_default=True)
class Frozen:
    """A value with named fields, equality, hash, and no way to change it.

    Subclasses declare fields as annotations, with optional defaults, and need `from __future__ import annotations`.
    """

    _fields: tuple[str, ...] = ()
    _defaults: dict[str, Any] = {}

    def __init_subclass__(cls) -> None:
        own = tuple(name for name, kind in cls.__annotations__.items() if not kind.startswith("ClassVar"))
        cls._fields = tuple(dict.fromkeys(cls._fields + own))
        cls._defaults = cls._defaults | {name: cls.__dict__[name] for name in own if name in cls.__dict__}

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = type(self)._fields
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} values, {len(values)} were given")
        state = self.__dict__
        state.update(type(self)._defaults)
        state.update(zip(fields, values, strict=False))
        state.update(named)
        if len(state) != len(fields) or (named and not named.keys() <= set(fields[len(values) :])):
            raise TypeError(f"{type(self).__name__} takes exactly the fields {', '.join(fields)}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *(self.__dict__[name] for name in self._fields)))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self._fields)
        return f"{type(self).__name__}({inner})"

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed. Raises TypeError for a field that does not exist."""
        unknown = changes.keys() - set(self._fields)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}")
        return type(self)(**{**self.__dict__, **changes})
