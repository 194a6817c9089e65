"""What one run of the benchmarks has at hand: how much to measure, environments, callers; and what it had to leave out."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from benchmarks import peers
from benchmarks.common import FailedError, UnavailableError
from benchmarks.environments import Environments, Installed
from benchmarks.remote import Remote
from benchmarks.timing import in_turns

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from benchmarks.contestants import Contestant


@dataclass(frozen=True)
class Amounts:
    """How much is measured."""

    pause_s: float = 0.02
    starts: int = 200
    parallel_rounds: int = 3
    parallel_s: float = 2.0
    processor: int = 500
    alive: int = 200
    steps: int = 31
    inside: int = 20
    scripts: int = 40
    mounts: tuple[int, ...] = (10, 100, 300, 1000)
    starts_by_mounts: int = 40
    past_runs: int = 2000
    accuracy: int = 5
    submissions: int = 400
    plugin_calls: int = 10_000
    plugin_starts: int = 30
    plugins: int = 50


QUICK = Amounts(
    starts=15,
    parallel_rounds=1,
    parallel_s=0.4,
    processor=60,
    alive=40,
    steps=5,
    inside=3,
    scripts=5,
    mounts=(10, 1000),
    starts_by_mounts=8,
    past_runs=500,
    accuracy=1,
    submissions=8,
    plugin_calls=500,
    plugin_starts=4,
    plugins=5,
)


class Stage:
    """Environments and callers, made when first asked for. A context manager; leaving it ends the callers."""

    def __init__(self, scratch: str, amounts: Amounts, *, in_place: bool) -> None:
        self.scratch = scratch
        self.amounts = amounts
        self.environments = Environments(scratch, in_place=in_place)
        self.skipped: list[dict[str, str]] = []
        self.failed: list[dict[str, str]] = []
        self._callers: dict[str, Remote] = {}

    @property
    def installed(self) -> Installed:
        return self.environments.get("jailpy")

    def caller(self, where: str) -> Remote:
        """Return the one process that makes all calls of this kind. Raises FailedError and UnavailableError."""
        if where not in self._callers:
            self._callers[where] = self.fresh(where)
        return self._callers[where]

    def fresh(self, where: str) -> Remote:
        """Return a new process, for what must not meet launchers of other parts. Raises FailedError and UnavailableError."""
        prefix = _PREFIXES[where]() if where in _PREFIXES else []
        installed = self.environments.get(where if where in {"sandlock", "numpy"} else "jailpy")
        return Remote(installed.python, installed.environment, prefix)

    def times(self, contestants: Iterable[Contestant], rounds: int) -> dict[str, list[float]]:
        """Time those that are here, in turns; return the milliseconds of each by name."""
        calls = {}
        for entry in contestants:
            with self.noting(entry.name):
                calls[entry.name] = entry.ready(self.caller(entry.where))
        return in_turns(calls, rounds, self.amounts.pause_s)

    def noting(self, name: str) -> AbstractContextManager[None]:
        """Return a context in which what is missing or fails is noted under this name, and does not end the rest."""
        return _Noting(self, name)

    def close(self) -> None:
        """End all callers."""
        for caller in self._callers.values():
            caller.close()
        self._callers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Noting:
    def __init__(self, stage: Stage, name: str) -> None:
        self._stage = stage
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, UnavailableError | FailedError):
            return False
        entries = self._stage.failed if isinstance(error, FailedError) else self._stage.skipped
        entry = {"name": self._name, "why": str(error)}
        if entry not in entries:
            entries.append(entry)
        return True


def _own_mounts() -> list[str]:
    """Return what starts a program in a mount namespace of its own. Raises UnavailableError."""
    as_root = ["--mount", "--propagation", "private", "--"]
    prefix = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), *as_root]
    if not shutil.which("unshare"):
        raise UnavailableError("unshare is not installed (apt-get install util-linux)")
    done = subprocess.run([*prefix, "true"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise UnavailableError(f"no mount namespace of its own: {done.stderr.strip()}")
    return prefix


def _without_cgroup2() -> list[str]:
    """Return what starts a program that does not see cgroup version 2 beside version 1. Raises UnavailableError."""
    hidden = peers.cgroup2_beside_version_1()
    if not hidden:
        return []
    if os.geteuid():
        raise UnavailableError("crun refuses hosts that have both versions of cgroups, and only root can hide one from it")
    return [*_own_mounts(), "sh", "-c", f'umount {" ".join(hidden)} && exec "$@"', "sh"]


_PREFIXES = {"mounts": _own_mounts, "crun": _without_cgroup2}
