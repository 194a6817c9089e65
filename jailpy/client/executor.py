"""`JailExecutor`: calls functions in jails, with the interface of concurrent.futures. Data crosses as JSON, never as pickle."""

from __future__ import annotations

import json
import os
import sys
import threading
from concurrent.futures import Executor, ThreadPoolExecutor

from jailpy import escape
from jailpy.client import connection, descriptors, functions, inside, python
from jailpy.client import options as words
from jailpy.client.launcher import Launcher
from jailpy.client.result import CompletedRun, how
from jailpy.client.streams import PIPE, Sink, exchange
from jailpy.errors import FunctionError, PayloadError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from typing import Any, Unpack

    from jailpy.client.options import Defaults
    from jailpy.client.profile import Profile

LARGEST_RESULT = 4 << 20
_OWN_END = ("ok", "nonzero_exit")


class JailExecutor(Executor):
    """Calls importable functions, each call in a jail of its own, on the Python that runs this program.

    `modules` names further modules whose files the jail shows, for the function's module to import: its own top-level module
    or package is shown anyway, and so are the interpreter's packages. `max_workers` is how many run at a time (default: the
    number of processors), `result_size` the most bytes of a result's JSON. Other options are `Launcher`'s.

    Raises UsageError for what is no option, and for a module that cannot be imported.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        profile: str | os.PathLike[str] | Profile = "strict",
        modules: Iterable[str] = (),
        result_size: int = LARGEST_RESULT,
        **options: Unpack[Defaults],
    ) -> None:
        workers = len(os.sched_getaffinity(0)) if max_workers is None else max_workers
        if workers < 1:
            raise UsageError(f"option max_workers: expected at least 1, got {workers}")
        self._modules = (modules,) if isinstance(modules, str) else tuple(modules)
        functions.imported(self._modules)
        self._python = connection.interpreter()
        own = python.has_own_prefixes()
        self._visible = (sys.prefix, sys.base_prefix) if own else ()
        self._result_size = result_size
        self._options = words.given(options)
        self._options["runtime"] = [
            *([python.PRESET] if own else []),
            *words.entries("runtime", self._options.get("runtime", ())),
        ]
        self._options["ro"] = words.entries("ro", self._options.get("ro", ()))
        self._options["pass_fds"] = list(self._options.get("pass_fds", ()))
        self._launcher = Launcher(profile, **self._options)
        self._workers = workers
        self._make_pool()

    def _make_pool(self) -> None:
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="jailpy-executor")
        self._process = os.getpid()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call `fn(*args, **kwargs)` in a jail; return the future of its result.

        The future raises FunctionError for an exception of the function, PayloadError for a run that ended without a result
        (its message names the verdict), and what `Launcher.run` raises. Tuples arrive as lists. A running call cannot be
        cancelled; its limits end it.

        Raises TypeError for arguments that are no JSON and for a function that cannot be found by its name, RuntimeError
        after `shutdown`.
        """
        callee = functions.Callee(fn)
        sources = functions.Sources(self._visible)
        runner = sources.show(inside.__file__)
        sources.folders.clear()
        for module in (
            "jailpy",
            *self._modules,
            *(() if callee.script else (callee.module,)),
        ):  # most such modules import jailpy
            sources.add(module)
        call = {
            "module": callee.module,
            "name": callee.name,
            "folders": list(sources.folders),
            "path": sources.show(callee.script) if callee.script else "",
            "args": _checked(args),
            "kwargs": _checked(kwargs),
        }
        name = f"{callee.module}.{callee.name}"
        if self._process != os.getpid():  # a forked child has none of its parent's threads
            self._make_pool()
        return self._pool.submit(self._call, name, runner, sources.ro, _packed(call))

    def _call(self, name: str, runner: str, shown: list[str], call: bytes) -> Any:
        """Run one call, in a thread of the pool."""
        done, answer = self._run(runner, shown, call)
        if answer.full:
            raise PayloadError(f"{name}: its result is over {self._result_size} bytes of JSON (result_size)", done)
        if done.verdict in _OWN_END or (done.returncode or 0) > 0:
            found = _answer(answer.data())
            if "error" in found:
                raise _failure(name, found["error"], done)
            if "result" in found and done.verdict == "ok":
                return found["result"]
        raise PayloadError(f"{name}: ended without a result: {how(done)}", done)

    def _run(self, runner: str, shown: list[str], call: bytes) -> tuple[CompletedRun, Sink]:
        argv = [self._python, "-I", runner]
        options = {**self._options, "ro": [*self._options["ro"], *shown]}
        with self._launcher.forks_wait():  # a child with the writer open would hold up the answer's end
            reader, writer = descriptors.pipe()
            file = os.fdopen(reader, "rb", buffering=0)
            try:
                options["pass_fds"] = [*options["pass_fds"], writer]
                running = self._launcher.popen([*argv, str(writer)], stdin=PIPE, stdout=PIPE, stderr=PIPE, **options)
            except BaseException:
                file.close()
                raise
            finally:
                os.close(writer)
        with running, file:
            answer = Sink(file, self._result_size, running.kill)
            assert running.stdout
            assert running.stderr
            out, err = Sink(running.stdout), Sink(running.stderr)
            exchange(running.stdin, [out, err, answer], call)
            return CompletedRun(running.args, running.wait().report(), out.data(), err.data()), answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; wait for those that were taken, unless told not to; then end the launcher."""
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)
        if wait:
            self._launcher.close()
        else:
            threading.Thread(target=self._close_later, name="jailpy-executor", daemon=True).start()

    def _close_later(self) -> None:
        self._pool.shutdown(wait=True)
        self._launcher.close()

    def stats(self) -> dict[str, Any]:
        """Return what `Launcher.stats` says of the calls."""
        return self._launcher.stats()


def _checked(value: Any) -> Any:
    try:
        inside.check(value)
    except TypeError as error:
        raise TypeError(f"arguments cross as JSON: {error}") from None
    except RecursionError:
        raise TypeError("arguments cross as JSON: they are nested too deeply, or in themselves") from None
    return value


def _packed(call: dict[str, Any]) -> bytes:
    try:
        return json.dumps(call).encode()
    except (ValueError, RecursionError) as error:
        raise TypeError(f"arguments cross as JSON: {error}") from None


def _answer(data: bytes) -> dict[str, Any]:
    """Read what the jail wrote, which may be anything."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _failure(name: str, told: Any, done: CompletedRun) -> FunctionError:
    told = told if isinstance(told, dict) else {}
    kind, text, trace = (str(told.get(key, "")) for key in ("type", "text", "traceback"))
    why = "" if done.verdict in _OWN_END else f" ({how(done)})"
    error = FunctionError(escape.line(f"{name}: {kind}: {text}{why}"), done, type=kind, text=text, traceback=trace)
    error.add_note("\n".join(escape.line(line) for line in trace.rstrip().split("\n")))
    return error
