"""A template: a process in a user and a mount namespace that holds the view of a plan, and is cloned for each run.

Cloned with CLONE_PARENT, init is the worker's own child, dies with it, and is reaped by it, as in a cold launch. The rest of
a plan's steps is kept here as a program, which every clone finds ready. What a run brings (command and environment, data) comes
to the clone by its own channel: the template itself never sees it, so no run finds anything of another one in its memory.
"""

from __future__ import annotations

import _signal
import _socket
import errno
import marshal
import os

from jailpy import child as applying
from jailpy import rights
from jailpy.child import wire
from jailpy.child.recorder import recorded
from jailpy.child.state import Child
from jailpy.kernel import files, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from jailpy.child import Program
    from jailpy.steps import Step

MARSHAL = 4  # the format that every version of Python from 3.4 on reads: a template may be another one than its launcher
LEARN, CLONE, TOLD = b"L", b"C", b"T"
_MOST_DESCRIPTORS = 253  # SCM_MAX_FD: more the kernel sends to nobody (unix(7))
_MOST_NUMBERS = 1024
_STANDARD = 3
_ALWAYS = 5  # descriptors that every run hands over: channel, status, stdin, stdout, stderr
MOST_SLOTS = 200  # what a run may hand over beside them, so that there is room for its groups and its steps
_KINDS = {kind.__name__: kind for kind in applying.APPLY}


def packed(steps: Iterable[tuple[int, Step]]) -> bytes:
    """Return steps with their positions as bytes. Both sides."""
    plain = [(at, type(step).__name__, [getattr(step, name) for name in step._fields]) for at, step in steps]
    return marshal.dumps(plain, MARSHAL)


def serve(child: Child, control: _socket.socket, view: Program) -> None:
    """Be the template: apply the view's steps, tell so, then learn and clone at each word of the launcher. Never returns.

    `child` is what the steps of the view were bound to; its channel is the control socket.
    """
    at, child.channel = [0], control.fileno()
    try:
        files.close_all_but((2, child.channel))
        take_standard_numbers()
        applying.apply(view.init, at)
        process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGKILL)
        os.close(child.root)
        child.send(wire.READY)
        template = Template(control, child.wipe)
        while template.obey():
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
    while number < _STANDARD:
        number = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.close(number)


class Template:
    """What the template process knows: programs by number, each with the child that it was noted down for."""

    def __init__(self, control: _socket.socket, wipe: tuple[int, int]) -> None:
        self._control = control
        self._wipe = wipe
        self._programs: dict[int, tuple[Child, Program]] = {}
        self._open = _open_numbers()

    def obey(self) -> bool:
        """Take one word of the launcher. False at its end of file, and in a payload that runs a script of this very process."""
        space = _socket.CMSG_SPACE(_MOST_DESCRIPTORS * 4)
        message, ancillary, _, _ = self._control.recvmsg(4096, space, _socket.MSG_CMSG_CLOEXEC)
        if not message:
            return False
        held = rights.received(ancillary)
        first, *words = marshal.loads(message[1:])  # noqa: S302 - from the launcher
        if message[:1] == LEARN:
            self._programs[first] = self._learnt(held[0], *words)
            _close(held)
            return True
        if message[:1] == TOLD:
            pid, pidfd = self._clone_told(first, *words, held=held)
        else:
            pid, pidfd = self._clone(*self._programs[first], *words, held=held)
        if pid == 0:
            return False
        # Before the answer: the run may be over before this process goes on, and its channel's end is to be seen by then.
        _close(held)
        answer = [pidfd] if pidfd >= 0 else []
        rights.send(self._control, pid.to_bytes(8, "little", signed=True), answer)
        _close(answer)
        return True

    def _learnt(self, body: int, slots: tuple[int, ...], tasks: int) -> tuple[Child, Program]:
        """Note down the steps in a file, for a clone that holds channel, status, stdio, slots, and so many groups' tasks."""
        held = self._lowest(_ALWAYS + len(slots) + tasks)
        child = self._child(held, slots)
        return child, recorded(_steps(body), child, (self._open | {*held}) - {child.launchers_end})

    def _child(self, held: list[int], slots: tuple[int, ...]) -> Child:
        channel, status, stdin, stdout, stderr, *rest = held
        child = Child(channel, status, (stdin, stdout, stderr), dict(zip(slots, rest, strict=False)), rest[len(slots) :])
        child.wipe, child.launchers_end = self._wipe, self._control.fileno()
        return child

    def _clone(self, child: Child, program: Program, flags: int, cgroup: bool, *, held: list[int]) -> tuple[int, int]:
        """Clone init for one run; return its pid and pidfd, or minus the errno and -1. A payload that returns has pid 0."""
        try:
            self._see_numbers(held)
        except OSError as error:
            return -(error.errno or 1), -1
        pid, pidfd = _start(flags, cgroup, held)
        if pid == 0:
            applying.enter(child, program)
        return pid, pidfd

    def _clone_told(self, slots: tuple[int, ...], flags: int, cgroup: bool, *, held: list[int]) -> tuple[int, int]:
        """Clone as `_clone` does, for steps that only the clone may know: it reads them itself, from the last that it holds."""
        pid, pidfd = _start(flags, cgroup, held)
        if pid == 0:
            try:
                steps = _steps(held[-1])
                os.close(held.pop())
                child = self._child(held, slots)
                child.root = files.open_path(b".", os.O_PATH | os.O_DIRECTORY)  # the clone's own copy of the mount
                program = applying.Program(steps, child)
            except BaseException:  # noqa: BLE001 - the launcher sees the end of the channel, and nothing goes on here
                os._exit(125)
            applying.enter(child, program)
        return pid, pidfd

    def _see_numbers(self, held: list[int]) -> None:
        """See that what a run handed over has the numbers that its program names. Raises OSError."""
        if held != self._lowest(len(held)):
            raise OSError(errno.EBADFD, os.strerror(errno.EBADFD))

    def _lowest(self, count: int) -> list[int]:
        """Return the lowest numbers that are free here: those that the next so many descriptors get."""
        return [number for number in range(count + len(self._open)) if number not in self._open][:count]


def _steps(body: int) -> list[tuple[int, Step]]:
    with open(body, "rb", closefd=False) as file:
        plain: Any = marshal.load(file)  # noqa: S302 - from the launcher
    return [(at, _KINDS[name](*values)) for at, name, values in plain]


def _start(flags: int, cgroup: bool, held: list[int]) -> tuple[int, int]:
    """Start a clone; return its pid and pidfd, or minus the errno and -1."""
    try:
        pid, pidfd = process.clone3(flags | process.CLONE_PARENT, exit_signal=0, cgroup=held[-1] if cgroup else None, bare=True)
    except OSError as error:
        return -(error.errno or 1), -1
    if pid == 0 and cgroup:
        os.close(held.pop())
    return pid, pidfd


def _open_numbers() -> set[int]:
    """Return the numbers of the descriptors that are open; a template has few, and no /proc to look at."""
    found = set()
    for number in range(_MOST_NUMBERS):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.add(number)
    return found


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
