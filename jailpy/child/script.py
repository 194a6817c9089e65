"""A run's script in the interpreter that was cloned for it: made the `__main__` of a program of its own, run, ended.

In place of execve. What `python3 script.py` sets up when it starts is set up here, and the end is that of Py_FinalizeEx for
all that the run has made; modules that were there before it are left as they are, for taking them down costs more than a run.
"""

from __future__ import annotations

import _signal
import _thread
import atexit
import gc
import io
import os
import sys
import weakref
from importlib.machinery import SourceFileLoader
from types import ModuleType

from jailpy.child import wire
from jailpy.child.init import SIGNALS
from jailpy.kernel import cpython, process, python

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeGuard

    from jailpy.child.state import Child
    from jailpy.steps.process import Execute

_SIGPIPE, _SIGXFSZ = 13, 25
_kept: list[ModuleType] = []
_modules: dict[str, ModuleType] = {}
_run: list[tuple[Any, ...]] = []
_fresh: list[ModuleType] = []
_finders: list[Any] = []
_loader = SourceFileLoader("__main__", "")


def keep(initial: dict[str, Any]) -> None:
    """Make all that every run starts with, in the process that runs are cloned from: a clone pays for each page it writes.

    That is a fresh `__main__` (`initial` is the dictionary of the interpreter's own), and no variables. Modules of ours are
    there under no name. Nothing can be imported until the script begins.
    """
    ours = [name for name in sys.modules if name.partition(".")[0] == "jailpy"]
    _kept.extend(map(sys.modules.pop, ours))
    _fresh.append(ModuleType("__main__"))
    _fresh[0].__dict__.update(initial, __loader__=_loader, __cached__=None)
    _modules.update(sys.modules)
    sys.modules["__main__"] = _fresh[0]
    os.environ.clear()
    _finders.extend(sys.meta_path)
    sys.meta_path.clear()


def begun() -> tuple[Callable[..., object], tuple[Any, ...], Callable[[list[BaseException]], int]] | None:
    """Return what runs the script, what to call that with, and what ends the process: None where this is no payload.

    The last is called with what was raised, and returns the exit status where the interpreter is to end itself.
    """
    return (cpython.run_file, _run.pop(), end) if _run else None


def begin(step: Execute, child: Child) -> None:
    """Apply Execute here: report READY, wait for the last word, and be what `python3 script.py` is at its first line."""
    child.send(wire.READY)
    python(_be_script, child)


def _be_script(child: Child) -> None:
    _, argv, environment, source = child.command()
    process.wipe(*child.wipe, label=b"\0".join(argv))
    _default_signals()
    for name, value in environment:
        os.putenv(name, value)
        os.environ._data[name] = value  # type: ignore[attr-defined] # noqa: SLF001 - what setting a variable comes to
    sys.orig_argv[:] = map(os.fsdecode, argv)
    sys.argv[:] = sys.orig_argv[1:]
    child.detail = wire.SCRIPT
    _write(sys.argv[0], source)
    child.detail = 0
    path = f"{os.getcwd().rstrip('/')}/{sys.argv[0]}"
    main = _fresh.pop().__dict__
    main["__file__"] = _loader.path = path
    sys.meta_path[:] = _finders
    _reseed()
    _run.append(cpython.file_to_run(os.fsencode(path), main))
    gc.enable()
    os.close(child.channel)


def _write(name: str, source: bytes) -> None:
    """Put the script into the work folder."""
    with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644), "wb", 0) as file:
        left = memoryview(source)
        while left:
            left = left[file.write(left) :]


def _default_signals() -> None:
    """Set what the interpreter sets when it starts. The kernel has default actions already; Python remembers handlers too."""
    for number in SIGNALS - {_signal.SIGKILL, _signal.SIGSTOP}:
        if _signal.getsignal(number) is not _signal.SIG_DFL:
            _signal.signal(number, _signal.SIG_DFL)
    _signal.signal(_SIGPIPE, _signal.SIG_IGN)
    _signal.signal(_SIGXFSZ, _signal.SIG_IGN)
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def _reseed() -> None:
    """Give the run random numbers of its own, where a module keeps a state that fork(2) copied and nobody renews."""
    numbers: Any = sys.modules.get("numpy.random")
    if numbers:
        numbers.seed()
    names: Any = sys.modules.get("tempfile")
    if names:
        names._name_sequence = None  # noqa: SLF001 - made anew at the next use
    uuid: Any = sys.modules.get("uuid")
    if uuid:
        uuid._node = uuid._last_timestamp = None  # noqa: SLF001 - the same


def end(errors: list[BaseException]) -> int:
    """End as the interpreter does after a script. Returns the exit status where that is left to the interpreter itself.

    That is so where a thread goes on, and where what was printed cannot be written.
    """
    main = sys.modules.get("__main__")
    if main and not (errors and isinstance(errors[0], SystemExit)):
        main.__dict__.pop("__file__", None)
        main.__dict__.pop("__cached__", None)
    del main
    if errors and isinstance(errors[0], SystemExit) and _is_huge(errors[0].code):
        return errors[0].code
    interrupted = bool(errors) and type(errors[0]) is KeyboardInterrupt
    status = _status(errors.pop()) if errors else 0
    threading: Any = sys.modules.get("threading")
    if threading:
        threading._shutdown()  # noqa: SLF001 - what Py_FinalizeEx calls
    atexit._run_exitfuncs()  # noqa: SLF001 - the same
    if not _flush() or _thread._count():  # noqa: SLF001 - a thread that outlives the script
        return status
    _take_down()
    if not _flush():
        return status
    if interrupted:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        os.kill(os.getpid(), _signal.SIGINT)
    cpython.leave(status)
    raise AssertionError


def _status(error: BaseException) -> int:
    """Return the exit status, after writing what the interpreter writes of an exception that nobody caught."""
    if isinstance(error, SystemExit):
        return _exit_status(error)
    trace = error.__traceback__.tb_next if error.__traceback__ else None
    error.__traceback__ = trace
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    hook = getattr(sys, "excepthook", None)
    if hook is None:
        _tell("sys.excepthook is missing")
        hook = sys.__excepthook__
    try:
        hook(type(error), error, trace)
    except SystemExit as left:
        return _exit_status(left)
    except BaseException as second:  # noqa: BLE001 - whatever the script's own hook does
        second.__traceback__ = second.__traceback__.tb_next if second.__traceback__ else None
        _show("Error in sys.excepthook:", second)
        _show("\nOriginal exception was:", error)
    return 1


def _show(title: str, error: BaseException) -> None:
    _tell(title)
    sys.__excepthook__(type(error), error, error.__traceback__)


def _tell(line: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")


def _is_huge(code: object) -> TypeGuard[int]:
    """Say whether an exit status is no C long: what becomes of it differs between versions of Python."""
    return isinstance(code, int) and not -(2**63) <= code < 2**63


def _exit_status(error: SystemExit) -> int:
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    _tell(str(code))
    return 1


def _flush() -> bool:
    """Flush the standard streams; say whether that went well."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except Exception:  # noqa: BLE001 - the interpreter does it again, and tells
            return False
    return True


def _take_down() -> None:
    """Take down the modules that the run has made, as finalize_modules() does; then write out files left open elsewhere."""
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        sys.__dict__.pop(name, None)
    names = []
    for name in reversed(sys.modules):  # the run's own are the last
        if _modules.get(name) is sys.modules[name]:
            break
        names.append(name)
    names.append("__main__")
    modules = [weakref.ref(sys.modules[name]) for name in names if isinstance(sys.modules[name], ModuleType)]
    for name in names:
        sys.modules[name] = None  # type: ignore[assignment]
    gc.collect()
    for reference in modules:
        module = reference()
        if module:
            _clear(module.__dict__)
    gc.collect()
    _write_out(sys.__stdout__, sys.__stderr__, *gc.get_objects())


def _write_out(*objects: object) -> None:
    """Flush what is an open file: its end would do so, which does not come."""
    for found in objects:
        if isinstance(found, io.TextIOWrapper | io.BufferedWriter | io.BufferedRandom) and not found.closed:
            try:
                found.flush()
            except (OSError, ValueError):
                continue


def _clear(space: dict[str, Any]) -> None:
    """Drop a module's values, those of one underscore first (_PyModule_ClearDict)."""
    for private in (True, False):
        for name in list(space):
            if name != "__builtins__" and (name[:1] == "_" and name[1:2] != "_") is private:
                space[name] = None
