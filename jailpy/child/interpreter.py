"""A template that becomes a Python interpreter: from the launcher's fork to the interpreter's first line.

The view of a plan is built as in any template. What the plan shows beside it is put on top in a second mount namespace, which
the interpreter starts in and imports modules in: it sees the files of the jail by the paths of the jail, and none of the
host's. Runs are cloned in the first one, where nothing of that is (jailpy/child/preload.py).
"""

from __future__ import annotations

import _signal
import os
import resource

from jailpy import child as applying
from jailpy.child import template, wire
from jailpy.frozen import Frozen
from jailpy.kernel import files, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from jailpy.child import Program
    from jailpy.child.state import Child


class Start(Frozen):
    """What the interpreter starts with, all of it made before the fork.

    `view` and `place` are the steps of the two mount namespaces, bound to `child`; `execute` is the position of the plan's
    execve, for messages. `code` and `output` are descriptors: what `boot` reads, and where the interpreter's own output goes.
    """

    child: Child
    view: Program
    place: Program
    folder: str
    stack: tuple[int, int] | None
    execute: int
    candidates: tuple[bytes, ...]
    name: bytes
    boot: str
    environment: dict[bytes, bytes]
    code: int
    output: int


def become(control: _socket.socket, start: Start) -> None:
    """Build both mount namespaces and execute the interpreter. Never returns."""
    child, at = start.child, [0]
    child.channel = control.fileno()
    try:
        files.close_all_but((child.channel, start.code, start.output, *child.slots.values()))
        template.take_standard_numbers()
        applying.apply(start.view.init, at)
        process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGKILL)
        handed = [child.channel, start.code, *_second_namespace(child)]
        applying.apply(start.place.init, at)
        at[0] = start.execute
        _prepare(start)
        _execute(child, start, handed)
    except OSError as error:
        child.send(wire.failure(at[0], error.errno or 0, child.detail))
    except BaseException:  # noqa: BLE001 - nothing may unwind into the launcher's code; index and errno 0 say "bug"
        child.send(wire.failure(at[0], 0))
    finally:
        os._exit(125)


def _second_namespace(child: Child) -> list[int]:
    """Enter a copy of the mount namespace; return what leads back.

    That is the first namespace, the root and the view in it; then the second one, which keeps the paths that /proc/PID/maps
    shows alive; last, this process's own lists of tasks and descriptors: there is no /proc where modules are imported.
    """
    first = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    root, view = (os.open(path, os.O_PATH | os.O_DIRECTORY) for path in ("/", "."))
    process.unshare(process.CLONE_NEWNS)
    child.root = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    second = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    return [
        first,
        root,
        view,
        second,
        *(os.open(f"/proc/self/{name}", os.O_RDONLY | os.O_DIRECTORY) for name in ("task", "fd")),
    ]


def _prepare(start: Start) -> None:
    """Make what the interpreter inherits what it would be in the jail: no input, the jail's folder and stack limit."""
    empty, writer = os.pipe()
    os.close(writer)
    for number, source in enumerate((empty, start.output, start.output)):
        os.dup2(source, number)
    os.chdir(start.folder)
    if start.stack:  # glibc takes the stacks of threads from it, once, when the program starts
        resource.setrlimit(resource.RLIMIT_STACK, start.stack)
    process.prctl(process.PR_SET_SECUREBITS, process.SECBIT_NOROOT)
    process.keep_capabilities(process.permitted())


def _execute(child: Child, start: Start, handed: list[int]) -> None:
    for number in handed:
        os.set_inheritable(number, True)
    words = [start.name, b"-c", start.boot.encode(), *(b"%d" % number for number in handed)]
    applying.process.try_candidates(start.candidates, words, start.environment, child)
