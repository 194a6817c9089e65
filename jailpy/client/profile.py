"""Profiles as Python values: loaded, changed, checked. The files are read again at each run, so a run never uses old ones."""

from __future__ import annotations

import os

from jailpy.errors import ProfileError
from jailpy.profile import load as loading
from jailpy.profile import merge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Unpack

    from jailpy.client.options import Override, Settings
    from jailpy.profile import model


class Profile:
    """A profile by name or path, with what `replace` laid over it. Made by `Profile.load`; never changes."""

    def __init__(self, source: str, overrides: tuple[Override, ...] = ()) -> None:
        self.source = source
        self.overrides = overrides

    @classmethod
    def load(cls, name_or_path: str | os.PathLike[str]) -> Profile:
        """Load a profile by name, or a file (a path has a `/` or ends in .toml). Raises ProfileError with every problem."""
        source = os.fspath(name_or_path)
        if "/" in source or source.endswith(".toml"):
            source = _absolute(source)
        profile = cls(source)
        profile.resolve()
        return profile

    def replace(self, **options: Unpack[Settings]) -> Profile:
        """Return a copy with options of `jailpy.run` laid over: `replace(memory="64M", set={"limits.inodes": 100})`.

        Raises UsageError for what is no option, ProfileError for a value that does not fit.
        """
        from jailpy.client import options as words

        more = words.overrides(words.given(options, words.SETTINGS))
        profile = Profile(self.source, (*self.overrides, *more))
        profile.resolve()
        return profile

    @staticmethod
    def check(path: str | os.PathLike[str]) -> list[str]:
        """Return every problem of a profile's file as `file:line: key: what was expected`; none where it is right."""
        try:
            Profile.load(_absolute(os.fspath(path)))
        except ProfileError as error:
            return list(error.problems) or [error.message]
        return []

    def resolve(self) -> model.Profile:
        """Return the profile with everything merged. Raises ProfileError."""
        return loading.load(self.source, [merge.Override(*override) for override in self.overrides])

    def __repr__(self) -> str:
        """Show what it was made of."""
        return f"Profile({self.source!r}" + (f", {len(self.overrides)} overrides)" if self.overrides else ")")


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except FileNotFoundError as error:  # the current folder was deleted
        raise ProfileError(f"{path}: cannot be opened: {error.strerror}") from error
