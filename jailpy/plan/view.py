"""Which mount steps are the same for every run, and so may be done once, in a template, before any run. Parent side, pure.

The view is the new root with the system folders, /etc and /dev, and the empty folders and files that later mounts cover.
Whatever is the run's own (its tmpfs, procfs, sources, masks), and all that lies below it, is not part of the view.
"""

from __future__ import annotations

from jailpy.steps import mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jailpy.steps import Step

PHASE = "view"
_ONCE = (mounts.CutPropagation, mounts.EnterRoot)
_NODES = (mounts.MakeFolder, mounts.MakeFile, mounts.MakeLink)


def shared(steps: Sequence[Step]) -> set[int]:
    """Return the positions of the steps of the view. A mount step that comes later never changes what they do."""
    root = next((step.slot for step in steps if isinstance(step, mounts.EnterRoot)), None)
    covered = {mounts.DISK}
    found = set()
    for position, step in enumerate(steps):
        if isinstance(step, mounts.Attach):
            covered.add(step.path)
        elif isinstance(step, mounts.NewTmpfs):
            found |= {position} if step.slot == root else set()
        elif isinstance(step, _ONCE) or (isinstance(step, (*_NODES, mounts.ShowSystem)) and not _below(step, covered)):
            found.add(position)
    return found


def _below(step: Step, covered: set[str]) -> bool:
    path = step.at if isinstance(step, mounts.ShowSystem) else step.path  # type: ignore[attr-defined]
    return any(path.startswith(f"{place}/") for place in covered)
