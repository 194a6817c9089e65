"""The steps of a launch as plain data: what the launcher plans and the child applies. Both sides of the fork.

A step carries everything that its apply function needs, and `describe()` says it in the words that `explain`, `-v` and
errors use. `side` names the process that applies it, `phase` its place in the order (jailpy/plan/order.py).
"""

from __future__ import annotations

from jailpy.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


class Step(Frozen):
    """One step. `layer` is a name of `jailpy.profile.model.LAYERS` or "payload"."""

    layer: ClassVar[str] = ""
    side: ClassVar[str] = "init"
    phase: ClassVar[str] = ""

    def describe(self) -> str:
        """Say what this step does, as a clause that begins with a verb."""
        raise NotImplementedError


def size_words(size: int) -> str:
    """Return a size in bytes with the largest binary unit that divides it: 268435456 is "256M"."""
    for unit, letter in ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")):
        if size and size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)
