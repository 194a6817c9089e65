"""All that runs between fork and execve: the child side of every step, and init (PID 1).

No decisions, no imports, no text: the plan decided. Every path ends in execve or os._exit.
"""

from __future__ import annotations

import _signal
import os

from jailpy.child import mounts, process, wire
from jailpy.child.init import SIGNALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from jailpy.child.state import Child
    from jailpy.steps import Step

APPLY: dict[type[Step], Callable[[Any, Child], None]] = {}
APPLY.update(mounts.APPLY)
APPLY.update(process.APPLY)


def enter(child: Child, steps: Iterable[tuple[int, Step]]) -> None:
    """Be init: apply its steps, fork the payload, reap, and exit. Never returns.

    Each step comes with its position in the plan, which a message of failure names.
    """
    at, steps = [0], tuple(steps)
    try:
        os.close(child.launchers_end)  # else this process would keep its own channel open, and miss a launcher that died
        apply(steps, "init", child, at)
        payload = os.fork()
        if payload == 0:
            apply(steps, "payload", child, at)
        apply(steps, "init-after-fork", child, at)
        child.reap(child, payload)
        os._exit(0)
    except OSError as error:
        child.send(wire.failure(at[0], error.errno or 0, child.detail))
    except BaseException:  # noqa: BLE001 - nothing may unwind into the launcher's code; index and errno 0 say "bug"
        child.send(wire.failure(at[0], 0))
    finally:
        os._exit(125)


def apply(steps: Iterable[tuple[int, Step]], side: str, child: Child, at: list[int]) -> None:
    """Apply the steps of one side; `at[0]` is the position of the step that is being applied."""
    for position, step in steps:
        if step.side == side:
            at[0] = position
            APPLY[type(step)](step, child)


def block_signals() -> set[int]:
    """Block every signal, so that none finds the launcher's handlers in the child; return the mask to restore."""
    return {int(number) for number in _signal.pthread_sigmask(_signal.SIG_SETMASK, SIGNALS)}
