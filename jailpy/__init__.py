"""JailPy: run untrusted programs in a jail, without root, with a truthful record of what confined them.

Public names are loaded lazily: importing the package costs nothing.
"""

from __future__ import annotations

__version__ = "0.1.0"

_NAMES = {
    "Buffer": "jailpy.services.plugins.buffers",
    "CompletedRun": "jailpy.client.result",
    "Filter": "jailpy.services.plugins.filter",
    "HostFunction": "jailpy.services.plugins.hosts",
    "JailExecutor": "jailpy.client.executor",
    "Launcher": "jailpy.client.launcher",
    "Plugin": "jailpy.services.plugins.plugin",
    "Profile": "jailpy.client.profile",
    "Running": "jailpy.client.running",
    "Script": "jailpy.client.python",
    "run": "jailpy.client.launcher",
    "run_async": "jailpy.client.launcher",
    "CommandError": "jailpy.errors",
    "FunctionError": "jailpy.errors",
    "HostError": "jailpy.errors",
    "InternalError": "jailpy.errors",
    "JailPyError": "jailpy.errors",
    "LaunchError": "jailpy.errors",
    "PayloadError": "jailpy.errors",
    "ManifestError": "jailpy.errors",
    "PluginError": "jailpy.errors",
    "ProblemError": "jailpy.errors",
    "ProfileError": "jailpy.errors",
    "RefusalError": "jailpy.errors",
    "UsageError": "jailpy.errors",
}
TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy import grading as grading
    from jailpy.client.executor import JailExecutor as JailExecutor
    from jailpy.client.launcher import Launcher as Launcher
    from jailpy.client.launcher import run as run
    from jailpy.client.launcher import run_async as run_async
    from jailpy.client.profile import Profile as Profile
    from jailpy.client.python import Script as Script
    from jailpy.client.result import CompletedRun as CompletedRun
    from jailpy.client.running import Running as Running
    from jailpy.errors import CommandError as CommandError
    from jailpy.errors import FunctionError as FunctionError
    from jailpy.errors import HostError as HostError
    from jailpy.errors import InternalError as InternalError
    from jailpy.errors import JailPyError as JailPyError
    from jailpy.errors import LaunchError as LaunchError
    from jailpy.errors import ManifestError as ManifestError
    from jailpy.errors import PayloadError as PayloadError
    from jailpy.errors import PluginError as PluginError
    from jailpy.errors import ProblemError as ProblemError
    from jailpy.errors import ProfileError as ProfileError
    from jailpy.errors import RefusalError as RefusalError
    from jailpy.errors import UsageError as UsageError
    from jailpy.services.plugins.buffers import Buffer as Buffer
    from jailpy.services.plugins.filter import Filter as Filter
    from jailpy.services.plugins.hosts import HostFunction as HostFunction
    from jailpy.services.plugins.plugin import Plugin as Plugin
else:

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used."""
        if name not in (*_NAMES, "grading"):
            raise AttributeError(f"module 'jailpy' has no attribute {name!r}")
        import importlib

        if name == "grading":
            return importlib.import_module("jailpy.grading")
        value = getattr(importlib.import_module(_NAMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Name what there is."""
    return sorted([*globals(), *_NAMES, "grading"])
