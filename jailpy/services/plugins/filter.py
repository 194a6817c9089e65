"""`Filter`: a program that reads standard input and writes standard output, with the manifest and the limits of a plugin."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from jailpy import escape
from jailpy.client.launcher import Launcher, shared
from jailpy.client.profile import Profile
from jailpy.client.result import how
from jailpy.errors import PluginError, UsageError
from jailpy.services.plugins import access, manifest, source
from jailpy.services.plugins.recipe import Recipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.client.result import CompletedRun


class Filter:
    """A program as a function of bytes: `Filter(["convert", "-", "png:-"])(data)`. Each call is a jail of its own.

    `what` is a command, or the folder or manifest of a plugin whose manifest says `filter = [...]`. `manifest` is a dictionary
    with what a command asks for, or the path of a file. Safe to use from any thread.

    Raises ManifestError for manifest and grants, UsageError.
    """

    def __init__(
        self,
        what: Sequence[str] | str | os.PathLike[str],
        *,
        manifest: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        grants: Mapping[str, Any] | None = None,
        profile: str | os.PathLike[str] | Profile = "plugin",
        launcher: Launcher | None = None,
    ) -> None:
        self._profile = profile if isinstance(profile, Profile) else Profile.load(profile)
        has_folder = isinstance(what, str | os.PathLike)
        self.manifest = source.find(what, manifest) if has_folder else _of_command(what, manifest)  # type: ignore[arg-type]
        if not self.manifest.filter:
            raise UsageError(f"{self.manifest.name}: is no filter: its manifest has no `filter`")
        self.access = access.of(self.manifest, grants, self._profile)
        self._launcher = launcher or shared()
        self._argv = list(self.manifest.filter)
        self._options = self.access.options() | {"wall": self.access.wall, "cpu": self.access.cpu}
        if has_folder:
            recipe = Recipe(self.manifest, self.access, self._profile, None)
            self._options |= {"ro": recipe.options["ro"], "cwd": recipe.options["cwd"]}

    def __call__(self, data: bytes | bytearray | memoryview | str = b"", *args: str) -> bytes:
        """Filter `data`; `args` are added to the command. Raises PluginError where the program does not end with 0."""
        done = self.run(data, *args)
        if done.verdict == "ok":
            return bytes(done.stdout)
        reason = done.verdict if done.verdict in ("wall_limit", "cpu_limit") else "crashed"
        words = escape.line(f"{self.manifest.name}: ended without a result: ") + how(done)
        raise PluginError(words, plugin=self.manifest.name, reason=reason, report=done.report())

    def run(self, data: bytes | bytearray | memoryview | str = b"", *args: str) -> CompletedRun:
        """Filter `data`; return the whole run, however it ended. Raises as `jailpy.run` does."""
        return self._launcher.run([*self._argv, *args], input=data, profile=self._profile, **self._options)


def _of_command(argv: Sequence[str], given: Mapping[str, Any] | str | os.PathLike[str] | None) -> manifest.Manifest:
    """Return the manifest of a bare command. Raises ManifestError."""
    if given is not None and not isinstance(given, Mapping):
        return manifest.load(os.fspath(given))
    name = os.path.basename(str(next(iter(argv), "")))
    table = {"schema": 1, "name": name, "filter": list(argv), **(given or {})}
    return manifest.check(table, os.getcwd(), "manifest")
