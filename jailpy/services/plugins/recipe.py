"""How a plugin's worker is started: its command, and the options of its run."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import msgspec

from jailpy.client.python import PRESET, calling_interpreter, has_own_prefixes
from jailpy.errors import ManifestError
from jailpy.services.plugins import inside
from jailpy.services.plugins.limits import Bounds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.services.plugins.access import Access
    from jailpy.services.plugins.manifest import Manifest

_PLACE = "/plugin"
_RUNNER = "/jailpy/inside.py"
VARIABLE = "JAILPY_FD"


class Recipe:
    """The command and options of a plugin's run; each worker adds the number of its descriptor."""

    def __init__(self, manifest: Manifest, access: Access, profile: Any, bounds: Bounds | None) -> None:
        self.manifest, self.bounds = manifest, bounds or Bounds()
        name = os.path.basename(manifest.folder)
        if ":" in manifest.folder or not name:
            raise ManifestError(f"{manifest.folder}: a plugin's folder needs a name, and no colon in its path")
        self._inner = f"{_PLACE}/{name}"
        self.options: dict[str, Any] = {**access.options(), "profile": profile}
        self.options["ro"] = [f"{os.path.realpath(manifest.folder)}:{self._inner}", *self.options["ro"]]
        if manifest.module:
            self._folders = self._module_folders()
            self.options["ro"].append(f"{os.path.abspath(inside.__file__)}:{_RUNNER}")
            self.options["runtime"] = [PRESET] if has_own_prefixes() else []
        else:
            self.options["cwd"] = self._inner

    def argv(self, number: int) -> list[str]:
        """Return the command of a worker that has this descriptor."""
        manifest = self.manifest
        if not manifest.module:
            return list(manifest.command or manifest.filter)
        config = {
            "fd": number,
            "module": manifest.module,
            "entries": manifest.entries,
            "folders": self._folders,
            "bounds": msgspec.to_builtins(self.bounds),
        }
        return [calling_interpreter(), "-I", "-u", "-B", _RUNNER, json.dumps(config)]

    def env(self, number: int) -> dict[str, str]:
        """Return the variables of a worker."""
        return {**self.options["env"], VARIABLE: str(number)}

    def _module_folders(self) -> list[str]:
        """Return what goes onto sys.path: the folder that holds the module, and the packages."""
        top, is_package = self.manifest.module.partition(".")[0], self._has("__init__.py")
        own = _PLACE if is_package and os.path.basename(self.manifest.folder) == top else self._inner
        return [own, *self._packages()]

    def _packages(self) -> list[str]:
        name = self.manifest.packages
        if not name:
            return []
        if self._has(f"{name}/pyvenv.cfg"):
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            inner = f"{name}/lib/python{version}/site-packages"
            if not self._has(inner):
                raise ManifestError(f"{self.manifest.name}: packages: {name} is of another Python than {version}")
            return [f"{self._inner}/{inner}"]
        wheels = sorted(file for file in os.listdir(os.path.join(self.manifest.folder, name)) if file.endswith(".whl"))
        return [f"{self._inner}/{name}", *(f"{self._inner}/{name}/{wheel}" for wheel in wheels)]

    def _has(self, path: str) -> bool:
        return os.path.exists(os.path.join(self.manifest.folder, path))
