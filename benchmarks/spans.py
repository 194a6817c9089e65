"""Time inside one process: wrapped functions whose time is counted once, where it is spent. Nothing of JailPy is imported."""

from __future__ import annotations

import builtins
import mmap
import struct
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_SLOT = struct.Struct("qq")


class Spans:
    """Exclusive nanoseconds by label: a wrapped function inside another one is taken off the outer one's time."""

    def __init__(self, label: str, at: int) -> None:
        self.spent: dict[str, list[int]] = {label: [0, 1]}
        self._open = [label]
        self._since = at

    def turn(self, now: int) -> None:
        """Charge the time since the last turn to the label that is open."""
        self.spent[self._open[-1]][0] += now - self._since
        self._since = now

    def enter(self, label: str) -> None:
        """Begin a span."""
        self.turn(time.monotonic_ns())
        self._open.append(label)
        self.spent.setdefault(label, [0, 0])[1] += 1

    def leave(self) -> None:
        """End the innermost span."""
        self.turn(time.monotonic_ns())
        self._open.pop()

    def wrap(self, owner: object, name: str, label: str, then: object = None) -> None:
        """Replace `owner.name` by a function that is timed; `then` gets its result. Raises AttributeError."""
        inner = getattr(owner, name)

        def timed(*args: object, **named: object) -> object:
            self.enter(label)
            try:
                result = inner(*args, **named)
                if then:
                    then(result)  # type: ignore[operator]
                return result
            finally:
                self.leave()

        setattr(owner, name, timed)

    def wrap_imports(self, label: str) -> None:
        """Charge every import of a module that is not loaded yet to `label`."""
        inner = builtins.__import__

        def timed(name: str, *args: object) -> object:
            if name in sys.modules and not (len(args) > 2 and args[2]):
                return inner(name, *args)  # type: ignore[arg-type]
            self.enter(label)
            try:
                return inner(name, *args)  # type: ignore[arg-type]
            finally:
                self.leave()

        builtins.__import__ = timed  # type: ignore[assignment]


class SharedSlots:
    """Begin and end of each step, in memory that the child shares until its execve. One slot per step of the plan."""

    def __init__(self, count: int) -> None:
        self._memory = mmap.mmap(-1, count * _SLOT.size)
        self._index: dict[int, int] = {}
        self.names: list[tuple[str, str]] = []

    def name(self, steps: tuple[object, ...]) -> None:
        """Give each step its slot."""
        self._index = {id(step): index for index, step in enumerate(steps)}
        self.names = [(type(step).__name__, getattr(step, "side", "")) for step in steps]

    def wrap(self, apply: dict[Any, Any]) -> None:
        """Replace the functions of a table of steps by timed ones."""
        for kind, inner in apply.items():
            apply[kind] = self._timed(inner)

    def _timed(self, inner: object) -> object:
        def timed(step: object, child: object) -> None:
            at = self._index[id(step)] * _SLOT.size
            begin = time.monotonic_ns()
            _SLOT.pack_into(self._memory, at, begin, 0)  # the last step never returns
            inner(step, child)  # type: ignore[operator]
            _SLOT.pack_into(self._memory, at, begin, time.monotonic_ns())

        return timed

    def times(self) -> list[tuple[str, str, int, int]]:
        """Return name, side, begin and end of each step that was begun; end 0 where it did not return."""
        slots = [_SLOT.unpack_from(self._memory, index * _SLOT.size) for index in range(len(self.names))]
        return [(*name, *slot) for name, slot in zip(self.names, slots, strict=True) if slot[0]]
