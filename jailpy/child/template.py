"""A template: a process in a user and a mount namespace that holds the view of a plan, and is cloned for each run.

Cloned with CLONE_PARENT, init is the worker's own child, dies with it, and is reaped by it, as in a cold launch. The rest of
a plan's steps is kept here as a program, which every clone finds ready. What a run brings (command and environment, data) comes
to the clone by its own channel: the template itself never sees it, so no run finds anything of another one in its memory.
"""

from __future__ import annotations

import _signal
import _socket
import array
import marshal
import os

from jailpy import child as applying
from jailpy import rights
from jailpy.child import wire
from jailpy.child.state import Child
from jailpy.kernel import files, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from jailpy.child import Program
    from jailpy.steps import Step

LEARN, CLONE = b"L", b"C"
_MOST_DESCRIPTORS = 200
_KINDS = {kind.__name__: kind for kind in applying.APPLY}


def packed(steps: Iterable[tuple[int, Step]]) -> bytes:
    """Return steps with their positions as bytes. Both sides."""
    return marshal.dumps([(at, type(step).__name__, [getattr(step, name) for name in step._fields]) for at, step in steps])


def serve(control: _socket.socket, view: Program, wipe: tuple[int, int]) -> None:
    """Be the template: apply the view's steps, tell so, then learn and clone at each word of the launcher. Never returns."""
    child, at = Child(control, -1, (-1, -1, -1), {}, []), [0]
    try:
        files.close_all_but((2, control.fileno()))
        take_standard_numbers()
        applying.apply(view.init, child, at)
        process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGKILL)
        child.send(wire.READY)
        programs: dict[int, Program] = {}
        while obey(control, programs, wipe):
            pass
        os._exit(0)
    except OSError as error:
        child.send(wire.failure(at[0], error.errno or 0))
    except BaseException:  # noqa: BLE001 - nothing may unwind into the launcher's code; index and errno 0 say "bug"
        child.send(wire.failure(at[0], 0))
    finally:
        os._exit(125)


def take_standard_numbers() -> None:
    """Hold 0, 1 and 2: what a run hands over must not have the numbers that become its payload's."""
    number = 0
    while number <= 2:
        number = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.close(number)


def obey(control: _socket.socket, programs: dict[int, Program], wipe: tuple[int, int]) -> bool:
    """Take one word of the launcher. False at its end of file, and in a payload that runs a script of this very process."""
    message, ancillary, _, _ = control.recvmsg(4096, _socket.CMSG_SPACE(_MOST_DESCRIPTORS * 4), _socket.MSG_CMSG_CLOEXEC)
    if not message:
        return False
    held = array.array("i", ancillary[0][2]).tolist()
    number, *words = marshal.loads(message[1:])  # noqa: S302 - from the launcher
    if message[:1] == LEARN:
        programs[number] = _program(held[0])
        _close(held)
        return True
    pid, pidfd = _clone(control, programs[number], words, held, wipe)
    if pid == 0:
        return False
    # Before the answer: the run may be over before this process goes on, and its channel's end is to be seen by then.
    _close(held)
    answer = [pidfd] if pidfd >= 0 else []
    rights.send(control, pid.to_bytes(8, "little", signed=True), answer)
    _close(answer)
    return True


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _program(body: int) -> Program:
    with open(body, "rb", closefd=False) as file:
        plain: Any = marshal.load(file)  # noqa: S302 - from the launcher
    return applying.Program([(at, _KINDS[name](*values)) for at, name, values in plain])


def _clone(
    control: _socket.socket, program: Program, words: list[Any], held: list[int], wipe: tuple[int, int]
) -> tuple[int, int]:
    """Clone init for one run; return its pid and pidfd, or minus the errno and -1. A payload that returns has pid 0."""
    flags, cgroup, slots = words
    try:
        pid, pidfd = process.clone3(flags | process.CLONE_PARENT, exit_signal=0, cgroup=held[-1] if cgroup else None, bare=True)
    except OSError as error:
        return -(error.errno or 1), -1
    if pid == 0:
        _be_init(control, program, held[:-1] if cgroup else held, slots, wipe)
    return pid, pidfd


def _be_init(control: _socket.socket, program: Program, held: list[int], slots: list[int], wipe: tuple[int, int]) -> None:
    channel, status, stdin, stdout, stderr = held[:5]
    tasks = held[5 + len(slots) :]
    child = Child(
        _socket.socket(fileno=channel), status, (stdin, stdout, stderr), dict(zip(slots, held[5:], strict=False)), tasks
    )
    child.wipe = wipe
    child.launchers_end = control.detach()
    child.root = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # the clone's own copy of the mount
    applying.enter(child, program)
