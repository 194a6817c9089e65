"""A hint for the commonest mistake: the command names a file of the caller's folder that nobody showed to the jail."""

from __future__ import annotations

import os
import shlex

from jailpy.steps.process import ChangeFolder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.plan.compile import Plan


def hint(plan: Plan) -> str | None:
    """Return a line about the first argument that is a file or folder here, and not in the jail; None where all are."""
    workdir = plan.profile.filesystem.workdir
    if [step.path for step in plan.of(ChangeFolder)] != [workdir]:  # names mean other places there
        return None
    places = [source.destination.rstrip("/") + "/" for source in (*plan.command.sources, *plan.command.put)]
    for word in plan.command.argv[1:]:
        if _is_here(word) and not os.path.normpath(os.path.join(workdir, word, "_")).startswith(tuple(places)):
            return f"hint: {word} is here, but not in the jail; to show it: --ro {shlex.quote(_top(word))}"
    return None


def _is_here(word: str) -> bool:
    """Say whether it names something below the current folder; other places are nothing to recommend."""
    return not word.startswith(("-", "/")) and _top(word) not in ("", ".", "..") and os.path.exists(word)


def _top(word: str) -> str:
    return os.path.normpath(word).partition("/")[0]
