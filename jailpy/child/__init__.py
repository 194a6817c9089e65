"""All that runs between fork and execve: the child side of every step, and init (PID 1).

No decisions, no imports, no text: the plan decided. Every path ends in execve or os._exit.
"""

from __future__ import annotations

import _signal
import os
import sys

from jailpy import kernel
from jailpy.child import mounts, process, wire
from jailpy.child.init import SIGNALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    from jailpy.child.state import Child
    from jailpy.steps import Step

    Part: TypeAlias = list[tuple[int, Callable[..., object], tuple[Any, ...], object]]

APPLY: dict[type[Step], Callable[[Any, Child], None]] = {}
APPLY.update(mounts.APPLY)
APPLY.update(process.APPLY)


class Program:
    """What a child does, by the process that does it. Each entry: position in the plan, function, arguments, what it returns.

    Here a function applies a step; recorder.py turns that into the system calls that it makes.
    """

    def __init__(self, steps: Iterable[tuple[int, Step]], child: Child) -> None:
        sides: dict[str, Part] = {"init": [], "payload": [], "init-after-fork": []}
        for position, step in steps:
            if step.side in sides:
                sides[step.side].append((position, APPLY[type(step)], (step, child), None))
        self.init, self.payload, self.afterwards = sides.values()


def enter(child: Child, program: Program) -> None:
    """Be init: apply its steps, fork the payload, reap, and exit.

    Returns in the payload's process alone, and there only after a last step that returns (a script, jailpy/child/script.py).
    A message of failure names the position of the step in the plan.
    """
    sys.meta_path.clear()  # from here on an import would read the jail's files, before any filter and, in init, without one
    at, is_script = [0], False
    try:
        os.close(child.launchers_end)  # else this process would keep its own channel open, and miss a launcher that died
        apply(program.init, at)
        payload = os.fork()
        if payload == 0:
            apply(program.payload, at)
            is_script = True
            return
        apply(program.afterwards, at)
        os.write(child.status, wire.HIDDEN_RECORD)
        child.reap(child, payload)
        os._exit(0)
    except OSError as error:
        child.send(wire.failure(at[0], error.errno or 0, child.detail))
    except BaseException:  # noqa: BLE001 - nothing may unwind into the launcher's code; index and errno 0 say "bug"
        child.send(wire.failure(at[0], 0))
    finally:
        if not is_script:
            os._exit(125)


def apply(part: Part, at: list[int]) -> None:
    """Do what stands in a part; `at[0]` is the position of the step that is being applied. Raises OSError."""
    for at[0], function, args, wanted in part:
        if (got := function(*args)) != wanted:
            kernel.not_as_noted(got, args, wanted)


def block_signals() -> set[int]:
    """Block every signal, so that none finds the launcher's handlers in the child; return the mask to restore."""
    return {int(number) for number in _signal.pthread_sigmask(_signal.SIG_SETMASK, SIGNALS)}
