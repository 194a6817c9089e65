"""The one door to profiles: a name or a path, and overrides, to a Profile. Parent side, on the way of every start.

Nothing of the TOML parser is imported where the merged document is in the cache and its files have not changed since.
"""

from __future__ import annotations

import os

from jailpy import cache
from jailpy.profile import locate
from jailpy.profile.convert import to_profile
from jailpy.profile.locate import shadow_warning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from jailpy.profile.merge import Override
    from jailpy.profile.model import Profile

__all__ = ["load", "shadow_warning"]


def load(name_or_path: str, overrides: Sequence[Override] = ()) -> Profile:
    """Return the resolved profile: files, then runtime presets, then overrides.

    Raises ProfileError with every problem of every file and override at once.
    """
    path = locate.resolve(name_or_path)
    kept = _kept(path) or _resolve(name_or_path, path)
    if overrides or kept["document"]["runtime"]:
        from jailpy.profile.overrides import apply

        return apply(kept, overrides)
    return to_profile(kept["document"], kept["digest"], kept["origin"], kept["loosened"])


def _kept(path: str) -> dict[str, Any] | None:
    """Return what the cache holds for a profile's file, None where any file that went in has changed."""
    kept: Any = cache.load("profile", os.path.abspath(path))
    return kept if kept is not None and all(locate.is_unchanged(stamp) for stamp in kept["stamps"]) else None


def _resolve(name: str, path: str) -> dict[str, Any]:
    from jailpy.profile.resolve import resolve

    return resolve(name, path)
