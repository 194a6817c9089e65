"""Adapters for code that comes as text: `safe_exec`, in the manner of codejail, and `run_code`, for agents."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import msgspec

from jailpy.client.launcher import shared
from jailpy.client.python import Script
from jailpy.errors import UsageError
from jailpy.services.plugins import inner, supply
from jailpy.services.plugins.plugin import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jailpy.client.launcher import Launcher
    from jailpy.client.profile import Profile

_MANIFEST = {"schema": 1, "name": "safe_exec", "module": "execute", "entries": ["execute"]}
_LIMITS = {"wall": 10.0, "cpu": 5.0}


def safe_exec(
    code: str,
    globals_dict: dict[str, Any],
    *,
    limits: Mapping[str, Any] | None = None,
    profile: str | os.PathLike[str] | Profile = "plugin",
) -> None:
    """Execute Python code in a jail of its own, with the variables of `globals_dict`, which is updated with what it leaves.

    Variables that are no data do not come back. `limits` are `memory`, `cpu`, `wall`, `processes`, as grants have them.

    Raises PluginError where the code raises, or does not end well; TypeError for variables that are no data.
    """
    folder = os.path.dirname(os.path.abspath(inner.__file__))
    variables = {name: value for name, value in globals_dict.items() if name != "__builtins__"}
    with Plugin(folder, manifest=_MANIFEST, grants=limits, profile=profile, isolation="call") as plugin:
        left = plugin.execute(code, variables)
        if not isinstance(left, dict):
            raise supply.error(plugin.manifest.name, "execute", "protocol", "it answered with no variables")
    globals_dict.update({name: value for name, value in left.items() if not name.startswith("__")})


class CodeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of code. `ok` says that it ended by itself with status 0; `files` are those asked for that are there."""

    ok: bool
    verdict: str
    returncode: int | None
    stdout: str
    stderr: str
    files: dict[str, bytes] = {}


def run_code(
    code: str,
    *,
    files: Mapping[str, bytes] | None = None,
    get: Iterable[str] = (),
    profile: str | os.PathLike[str] | Profile = "strict",
    launcher: Launcher | None = None,
    **options: Any,
) -> CodeResult:
    """Run Python code in a jail of its own, with files in its work folder, and return what it wrote.

    `files` are contents by name, `get` names of files to bring back; `options` are those of `jailpy.run`. Never raises for
    what the code does. Raises UsageError for a name with a folder in it, and what `jailpy.run` raises.
    """
    names = [*(files or {}), *(wanted := list(get))]
    for name in names:
        if name in ("", ".", "..") or "/" in name or ":" in name or "\0" in name:
            raise UsageError(f"file {name!r}: expected a name without a folder")
    with tempfile.TemporaryDirectory(prefix="jailpy-code-") as folder:
        for name, content in (files or {}).items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        made = os.path.join(folder, "..got")
        os.mkdir(made)
        done = (launcher or shared()).run(
            Script(code + "\n"),
            profile=profile,
            put=[os.path.join(folder, name) for name in files or {}],
            get=[f"{name}:{made}/{name}" for name in wanted],
            **{**_LIMITS, **options},
        )
        return CodeResult(
            ok=done.verdict == "ok",
            verdict=done.verdict,
            returncode=done.returncode,
            stdout=done.stdout.decode(errors="replace"),
            stderr=done.stderr.decode(errors="replace"),
            files={name: _read(path) for name in sorted(os.listdir(made)) if os.path.isfile(path := os.path.join(made, name))},
        )


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
