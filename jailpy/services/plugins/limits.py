"""Bounds of the plugin protocol, and the three ways in which a conversation breaks."""

from __future__ import annotations

import msgspec


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Of one message: bytes of its line, how deep values are nested in each other, how many there are."""

    message: int = 4 << 20
    depth: int = 64
    count: int = 200_000


class BrokenError(Exception):
    """The conversation with a worker is over. `reason` is that of the PluginError that the caller gets."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


def violation(words: str) -> BrokenError:
    """Return the error for a message that the protocol does not allow."""
    return BrokenError("protocol", words)


def gone() -> BrokenError:
    """Return the error for a worker that has closed its end."""
    return BrokenError("crashed", "it ended, or closed its descriptor")
