"""What `Plugin` is given: a folder, a manifest, the name of an installed module. Nothing of a plugin is imported for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from typing import Any

import msgspec

from jailpy.errors import ManifestError
from jailpy.services.plugins import manifest


def find(source: str | os.PathLike[str], given: Mapping[str, Any] | str | os.PathLike[str] | None) -> manifest.Manifest:
    """Return the manifest of a plugin. Raises ManifestError."""
    path = os.fspath(source)
    if not os.path.exists(path):
        path = _installed(path)
    if given is None:
        return manifest.load(path)
    folder = os.path.abspath(path if os.path.isdir(path) else os.path.dirname(path))
    if isinstance(given, Mapping):
        return manifest.check(given, folder, "manifest")
    return msgspec.structs.replace(manifest.load(os.fspath(given)), folder=folder)


def _installed(name: str) -> str:
    """Return the folder of a module on sys.path, without importing anything."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise ManifestError(f"{name}: there is no such file or folder")
    folders, spec = list(sys.path), None
    for at, _ in enumerate(name.split(".")):
        spec = PathFinder.find_spec(".".join(name.split(".")[: at + 1]), folders)
        if spec is None:
            raise ManifestError(f"{name}: is neither a path nor an installed module")
        folders = list(spec.submodule_search_locations or ())
    assert spec
    return folders[0] if folders else os.path.dirname(spec.origin or "")
