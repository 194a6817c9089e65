"""The one door to profiles: a name or a path, and overrides, to a Profile. Parent side, on the way of every start.

Nothing but this module, `locate` and `model` is imported where the cache knows the profile, no file of it has changed
since, and nothing is overridden.
"""

from __future__ import annotations

import os

from jailpy import cache
from jailpy.profile import locate, model
from jailpy.profile.locate import shadow_warning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    from jailpy.profile.locate import Stamp
    from jailpy.profile.merge import Override

    Pairs: TypeAlias = tuple[Any, ...]

_OF_THE_MOMENT = ("runtime", "filesystem.rw")  # the caller's interpreter; where the caller's own profiles lie
__all__ = ["load", "shadow_warning"]


def load(name_or_path: str, overrides: Sequence[Override] = ()) -> model.Profile:
    """Return the resolved profile: files, then runtime presets, then overrides.

    Raises ProfileError with every problem of every file and override at once.
    """
    return _overridden(_resolved(name_or_path), overrides)


def load_stamped(name_or_path: str, overrides: Sequence[Override] = ()) -> tuple[model.Profile, tuple[Stamp, ...]]:
    """Return the profile, and the stamps of all files that went into it; no stamps where these alone do not tell a change.

    So it is for files that were written just now, and where more than files went in. Raises ProfileError.
    """
    kept = _resolved(name_or_path)
    profile = _overridden(kept, overrides)
    presets = [f"{locate.RUNTIME_FOLDER}/{name}{locate.SUFFIX}" for name in profile.runtime]
    stamps = (*kept["stamps"], *(locate.stamp_of(path, os.stat(path)) for path in presets))
    return profile, stamps if not profile.filesystem.rw and all(map(locate.is_settled, stamps)) else ()


def _resolved(name_or_path: str) -> dict[str, Any]:
    path = locate.resolve(name_or_path)
    kept = _kept(path)
    if kept is None:
        from jailpy.profile.resolve import resolve

        kept = resolve(name_or_path, path)
    return kept


def _overridden(kept: dict[str, Any], overrides: Sequence[Override]) -> model.Profile:
    if overrides or any(kept["document"][key] for key in _OF_THE_MOMENT):
        from jailpy.profile.overrides import apply

        kept = {"fields": apply(kept, overrides)}
    return _profile(kept["fields"])


def _kept(path: str) -> dict[str, Any] | None:
    """Return what the cache holds for a profile's file, None where any file that went in has changed."""
    kept: Any = cache.load("profile", os.path.abspath(path))
    return kept if kept is not None and all(locate.is_unchanged(stamp) for stamp in kept["stamps"]) else None


def _profile(fields: dict[str, Any]) -> model.Profile:
    """Build the value from the plain fields that `convert` made: tuples of each table's values, in their order."""
    name, description, digest, origin = fields["head"]
    runtime, loosened = fields["tail"]
    return model.Profile(
        name,
        description,
        digest,
        origin,
        model.Require(*fields["require"]),
        model.Identity(*fields["identity"]),
        _filesystem(*fields["filesystem"]),
        model.Network(*fields["network"]),
        model.Seccomp(*fields["seccomp"]),
        model.Landlock(*fields["landlock"]),
        model.Apparmor(*fields["apparmor"]),
        model.Limits(*fields["limits"]),
        model.Environment(*fields["environment"]),
        runtime,
        loosened,
    )


def _filesystem(root: str, ro: Pairs, rw: Pairs, cow: Pairs, tmpfs: Pairs, *rest: Any) -> model.Filesystem:
    ro, rw, cow = [tuple([model.Show(*pair) for pair in pairs]) for pairs in (ro, rw, cow)]
    return model.Filesystem(root, ro, rw, cow, tuple([model.Tmpfs(*pair) for pair in tmpfs]), *rest)
