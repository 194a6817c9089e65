"""The interpreter that runs are cloned from: imports modules, sees that it can be cloned, serves. In the interpreter.

Modules are imported without effective capabilities, among the files of the jail, but in the host's network and with the numbers
of its processes. They are trusted code of the caller's: docs/explanation/threat-model.md.
"""

from __future__ import annotations

import _signal
import _socket
import gc
import importlib
import os
import sys
import time
import traceback

from jailpy import child as applying
from jailpy import rights
from jailpy.child import script, template, wire
from jailpy.kernel import files, process
from jailpy.steps import process as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

STANDARD = (
    "collections", "copy", "csv", "dataclasses", "datetime", "enum", "functools", "io", "itertools", "json", "math",
    "operator", "random", "re", "string", "struct", "time", "typing", "weakref",
)  # fmt: skip
_LONGEST = 4000
_THREAD_END_S = 0.5


class RefusedError(Exception):
    """Why this process cannot be what runs are cloned from."""


class _Looks:
    """What there is of tasks, children and descriptors: a module may leave none, for none would be in a run.

    Nor memory that is shared over fork(2): runs would read and write it, one after the other, and the interpreter with them.
    """

    def __init__(self, tasks: int, descriptors: int) -> None:
        self._tasks, self._descriptors = tasks, descriptors
        self._before = self._open()

    def _open(self) -> set[str]:
        return set(os.listdir(self._descriptors))

    def check(self, name: str) -> None:
        """Raise RefusedError for what a module has left."""
        deadline = time.monotonic() + _THREAD_END_S
        while (tasks := len(os.listdir(self._tasks))) > 1:
            if time.monotonic() > deadline:
                raise RefusedError(f"{name}: has started {tasks - 1} threads, and what has threads cannot be cloned")
            time.sleep(0.01)
        if _has_children():
            raise RefusedError(f"{name}: has started a process, which no run would have")
        added = self._open() - self._before
        if added:
            raise RefusedError(f"{name}: keeps {len(added)} descriptors open, which no run would have")
        if self._shares():
            raise RefusedError(f"{name}: holds memory that all runs would share (mmap, multiprocessing)")

    def _shares(self) -> bool:
        """Say whether a page is mapped writable and shared. See proc_pid_maps(5)."""
        (task,) = os.listdir(self._tasks)
        with open(os.open(f"{task}/maps", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._tasks), "rb") as file:
            return any(line.split(maxsplit=2)[1][1::2] == b"ws" for line in file)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def serve(control_number: int, places: list[int], names: Iterable[str], initial: dict[str, Any]) -> tuple[Any, ...]:
    """Import modules, then clone at each word of the launcher. Returns in the payload of a run alone: what script.begun() says.

    `places` is what jailpy/child/interpreter.py handed over, `initial` the dictionary of `__main__` as the interpreter made it.
    """
    control = _socket.socket(fileno=control_number)
    begun = None
    try:
        _prepare(control, places, names, initial)
        served = template.Template(control, _argument_area())
        while served.obey():
            pass
        begun = script.begun()
        if begun:
            return begun
        os._exit(0)
    except RefusedError as refusal:
        _refuse(control, str(refusal))
    except Exception as error:  # noqa: BLE001 - nothing may unwind into what runs as a script
        _refuse(control, f"the interpreter cannot be cloned: {type(error).__name__}: {error}")
    finally:
        if not begun:
            os._exit(125)
    raise AssertionError


def _refuse(control: _socket.socket, words: str) -> None:
    control.send(wire.REFUSED + words.encode(errors="backslashreplace")[:_LONGEST])


def _prepare(control: _socket.socket, places: list[int], names: Iterable[str], initial: dict[str, Any]) -> None:
    first, root, view, _, tasks, descriptors = places
    for number in (control.fileno(), *places):
        os.set_inheritable(number, False)
    process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGKILL)
    held, folder = process.permitted(), os.getcwd()
    process.set_capabilities(0, held, 0)
    _import(control, names, _Looks(tasks, descriptors))
    os.umask(0o022)
    for path, finder in list(sys.path_importer_cache.items()):
        if path == folder or finder is None:  # the run has another folder there, or has one
            del sys.path_importer_cache[path]
    listing = _listing()
    process.set_capabilities(held, held, 0)
    process.setns(first, process.CLONE_NEWNS)
    os.fchdir(root)
    os.chroot(".")
    os.fchdir(view)
    for number in (first, root, view, tasks, descriptors):  # not the second namespace: with it go the paths in /proc/PID/maps
        os.close(number)
    applying.APPLY[steps.Execute] = script.begin
    gc.collect()
    gc.disable()
    gc.freeze()
    script.keep(initial)  # a frozen __main__ would never be collected
    rights.send(control, wire.READY, [listing])
    os.close(listing)
    for number in (1, 2):
        os.dup2(0, number)


def _import(control: _socket.socket, names: Iterable[str], looks: _Looks) -> None:
    for name in STANDARD:
        importlib.import_module(name)
    if not sys.flags.safe_path:
        sys.path.insert(0, os.getcwd())
    looks.check("the interpreter")
    for name in names:
        control.send(wire.IMPORTING + name.encode(errors="backslashreplace"))
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 - whatever the module does, it is told by its name
            last = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]
            raise RefusedError(f"{name}: {last}") from None
        looks.check(name)
    for stream in (sys.stdout, sys.stderr):
        if stream:
            stream.flush()


def _listing() -> int:
    """Return a file with what the launcher sees changes by: the folders of sys.path, and modules from outside the prefixes."""
    own = tuple(f"{prefix}/" for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix))
    found = [path for path in sys.path if os.path.isdir(path)]
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and not path.startswith(own):
            found.append(path)
    listing = os.memfd_create("files", os.MFD_CLOEXEC)
    with open(listing, "wb", closefd=False) as file:
        file.write(b"\0".join(os.fsencode(path) for path in found))
    return listing


def _argument_area() -> tuple[int, int]:
    """Return where arguments and environment lie in memory (proc_pid_stat(5), fields 48 and 51)."""
    fields = files.stat_fields("self")
    return int(fields[45]), int(fields[48])
