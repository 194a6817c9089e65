"""What an interpreter sees while it imports modules: of all that a run shows, its own files and the modules to preload.

Whatever else a run shows is its own affair: runs of one interpreter find all that it has read in their memory. Parent side.
"""

from __future__ import annotations

import os
import sys

from jailpy import cache
from jailpy.host.sources import lies_in
from jailpy.layers import Context, mount
from jailpy.plan.order import ordered
from jailpy.steps import mounts
from jailpy.steps.process import Execute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.host.sources import Source
    from jailpy.plan.compile import Plan
    from jailpy.steps import Step

_OF_A_RUN = (mounts.NewProc, mounts.NewDevpts, mounts.BindReadOnly, mounts.OfferFolder)


def sources(plan: Plan) -> tuple[Source, ...]:
    """Return what the plan shows of the interpreter, of folders in PYTHONPATH, and of modules to preload, by their names."""
    command = execute(plan)
    folder = plan.profile.filesystem.workdir
    programs = {os.path.normpath(os.path.join(folder, os.fsdecode(candidate))) for candidate in command.candidates}
    hosts = {*(os.path.realpath(host_path(plan, program)) for program in programs), *_caller()}
    modules = {name.partition(".")[0] for name in plan.command.preload}
    importable = on_python_path(plan)

    def is_needed(source: Source) -> bool:
        at = source.destination
        if os.path.basename(at).partition(".")[0] in modules or any(lies_in(path, source.path) for path in hosts):
            return True
        return any(lies_in(path, at) for path in programs) or source in importable

    return tuple(source for source in plan.command.sources if is_needed(source))


def on_python_path(plan: Plan) -> list[Source]:
    """Return what the plan shows or puts in or around a folder of PYTHONPATH: an interpreter imports from it when it starts."""
    folders = os.fsdecode(dict(execute(plan).environment).get(b"PYTHONPATH", b"")).split(":")

    def is_on_path(at: str) -> bool:
        return any(lies_in(folder, at) or lies_in(at, folder) for folder in folders if folder)

    return [source for source in (*plan.command.sources, *plan.command.put) if is_on_path(source.destination)]


def on_path(plan: Plan) -> list[Source]:
    """Return what the plan shows around a place where PATH has an interpreter looked for by its name.

    Not the Python that runs this program: the preset caller-python puts it there.
    """
    command = execute(plan)
    if b"/" in command.argv[0]:
        return []
    places = [os.fsdecode(candidate) for candidate in command.candidates]
    shown = [source for source in plan.command.sources if any(lies_in(place, source.destination) for place in places)]
    return [source for source in shown if not any(lies_in(source.path, prefix) for prefix in _caller())]


def may_change(plan: Plan) -> bool:
    """Say whether a run may write to the files that its interpreter is made of, where it sees them or by another path."""
    writable = [source.path for source in plan.command.sources if source.mode == "rw"]
    if not writable:  # nearly always: the rest looks at the host's files, at each run
        return False
    system = [step.path for step in plan.steps if isinstance(step, mounts.ShowSystem)]
    seen = [*system, *(source.path for source in sources(plan))]
    return any(lies_in(one, other) or lies_in(other, one) for one in seen for other in writable)


def execute(plan: Plan) -> Execute:
    """Return the last step."""
    return next(step for step in reversed(plan.steps) if isinstance(step, Execute))


def _caller() -> Iterator[str]:
    """Yield where the caller's own Python lies, which the preset caller-python shows."""
    yield from {os.path.realpath(prefix) for prefix in (sys.prefix, sys.base_prefix)}


def place(plan: Plan, shown: tuple[Source, ...]) -> list[Step]:
    """Return the mount steps of a jail that shows no more than this, but for those of the view, and for what is a run's own.

    That is its procfs, what is handed to the launcher, and what is copied into its private folders.
    """
    command = plan.command.replace(sources=shown, put=(), script=None, collect=False)
    steps, shared = ordered(mount.plan(Context(profile=plan.profile, host=plan.host, command=command)).steps)
    left_out = {step.slot for step in steps if isinstance(step, mounts.NewProc | mounts.NewDevpts)}
    return [step for at, step in enumerate(steps) if at not in shared and not _is_of_a_run(step, left_out)]


def _is_of_a_run(step: Step, left_out: set[int]) -> bool:
    if isinstance(step, mounts.Attach):
        return step.slot in left_out
    if isinstance(step, mounts.Mask):
        return any(path.startswith("proc/") for path in (*step.files, *step.folders))
    if isinstance(step, mounts.CopyTree):
        return not step.path.startswith(mounts.DISK)
    return isinstance(step, _OF_A_RUN)


def stamp(plan: Plan, path: str) -> list[int]:
    """Return what changes with a file of the jail, seen from here; [] for one that the jail does not have."""
    return cache.stamp(host_path(plan, path))


def host_path(plan: Plan, path: str) -> str:
    """Return where the host has a path of the jail. What is private to the jail, or copied into it, is not looked for."""
    around = [source for source in plan.command.sources if lies_in(path, source.destination)]
    if around:
        inner = max(around, key=lambda source: len(source.destination))
        return inner.path + path[len(inner.destination) :]
    root = plan.profile.filesystem.root
    return path if root == "system" else os.path.realpath(root) + path
