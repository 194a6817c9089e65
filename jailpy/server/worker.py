"""A worker: takes requests from one connection, runs each in a jail of its own, answers with the report. Parent side."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import traceback

from jailpy import api
from jailpy.errors import HostError, InternalError, JailPyError, LaunchError, shortage
from jailpy.kernel import files
from jailpy.launcher import cold, sources, template
from jailpy.profile.merge import Override
from jailpy.server import messages
from jailpy.server.orders import Orders
from jailpy.server.plans import Plans
from jailpy.server.pool import Pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from typing import Any

    from jailpy.launcher.cold import Jail, Way
    from jailpy.plan.compile import Plan
    from jailpy.server.plans import Known

_STANDARD = 3
_AT_ONCE_MS = 2  # a client that has asked for nothing by then is not in a hurry
_ATTRIBUTES = ("layer", "step", "errno", "exit_status", "problems")


class Worker:
    """One worker, with its connection and the plans that it keeps."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._plans = Plans()
        self._pool = Pool()
        self._last: api.Request | None = None
        self._environment: dict[str, str] = {}

    def serve(self) -> None:
        """Answer requests until the client closes the connection; nothing is left then."""
        try:
            self._serve()
        finally:
            self._plans.close()
            self._pool.shrink(0)
            template.close_all()

    def _serve(self) -> None:
        with contextlib.suppress(ConnectionError, messages.BrokenMessageError):  # the client is gone, and nobody waits
            while (received := self._next()) is not None:
                request, descriptors = received
                try:
                    descriptors = self._cleared(request["keep"], descriptors)
                    answer = self._answer(request, descriptors)
                except JailPyError as error:
                    answer = {"error": plain(error)}
                self._say(answer)

    def _say(self, answer: dict[str, Any]) -> None:
        try:
            messages.send(self._connection, answer)
        except ValueError as error:
            messages.send(self._connection, {"error": plain(InternalError(f"the report cannot be sent: {error}"))})

    def _next(self) -> tuple[dict[str, Any], list[int]] | None:
        """Return the next request; until it comes, build jails like the last one."""
        if self._pool.size:
            self._fill()
        return messages.receive(self._connection)

    def _fill(self) -> None:
        patience = _AT_ONCE_MS
        while self._last and not messages.is_due(self._connection, patience) and self._park(self._last):
            patience = 0

    def _park(self, request: api.Request) -> bool:
        """Build a jail ahead, where one is wanted. The error of one that cannot be built is told by the next run."""
        try:
            plan, known = self._plans.of(request)
            key = _template_key(plan, known)
            wanted = self._pool.lacks(plan, key)
            if wanted:
                self._pool.park(plan, key)
        except (JailPyError, OSError):
            self._last = None
            return False
        return wanted

    def _cleared(self, keep: Sequence[int], descriptors: list[int]) -> list[int]:
        """Move what is in the way of the numbers of `pass_fds`. Raises LaunchError where RLIMIT_NOFILE is too low."""
        try:
            _count(descriptors, _STANDARD + len(keep))
            if keep:
                self._pool.shrink(0)
                descriptors = self._above(max(keep) + 1, descriptors)
        except OSError as error:
            for number in descriptors:
                os.close(number)
            words = f"the descriptors of the run do not fit into the launcher: {error.strerror} (ulimit -n)"
            raise LaunchError(words, layer="launcher", step="take descriptors", errno=error.errno or 0) from error
        return descriptors

    def _above(self, floor: int, descriptors: list[int]) -> list[int]:
        template.make_room(floor)
        sources.make_room(floor)
        self._plans.move(floor)
        for at, number in enumerate(descriptors):
            descriptors[at] = files.above(number, floor)
        if self._connection.fileno() < floor:
            moved = fcntl.fcntl(self._connection.fileno(), fcntl.F_DUPFD_CLOEXEC, floor)
            self._connection.close()
            self._connection = type(self._connection)(fileno=moved)
        return descriptors

    def _answer(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Run one request; the answer is its report or its error. Every descriptor that came with it is closed."""
        try:
            self._be_where(request)
            _keep(request["keep"], descriptors)
            streams = (descriptors[0] if request["input"] else -1, descriptors[1], descriptors[2])
            wanted = self._last = _request(request)
            self._pool.resize(request["pool"])
            plan, known = self._plans.of(wanted)
            parked = self._pool.take(plan, _template_key(plan, known)) if self._pool.size else None
            begin = (lambda: parked) if parked else (lambda: self._begin(wanted, plan, known))
            result = api.run(plan, wanted.get, streams, Orders(self._connection), begin)
        except JailPyError as error:
            return {"error": plain(error)}
        except Exception as error:  # noqa: BLE001 - a bug of ours: the client is told, and this worker goes on
            return {"error": plain(_unforeseen(error))}
        finally:
            for number in descriptors:
                os.close(number)
        return {"report": result.report, "exit_status": result.outcome.exit_status(), "pooled": parked is not None}

    def _be_where(self, request: dict[str, Any]) -> None:
        """Take on the client's folder and environment, which relative sources and `environment.pass` refer to."""
        try:
            os.chdir(request["folder"] or "")
        except OSError:  # the client's is deleted, or has just been
            _be_nowhere()
        if self._environment != request["environment"]:
            os.environ.clear()
            os.environ.update(request["environment"])
            self._environment = request["environment"]

    def _begin(self, wanted: api.Request, plan: Plan, known: Known | None) -> Jail:
        """Launch. A plan of before that cannot be launched may be out of date in a way that nobody saw: it is made anew."""
        try:
            return self._launch(plan, known)
        except LaunchError:
            if not known or not known.reused:
                raise
        self._plans.forget()
        return self._launch(*self._plans.of(wanted))

    def _launch(self, plan: Plan, known: Known | None) -> Jail:
        key = _template_key(plan, known)
        jail = cold.launch(plan, self._interpreter(plan, key) or template.of(plan, key))
        if plan.host.cgroups.via:  # this process has moved, or its group is divided now: other plans are the same from here on
            self._plans.forget()
        return jail

    def _interpreter(self, plan: Plan, key: bytes) -> Way | None:
        """Return the interpreter that runs a script, None where a command is to be executed."""
        if plan.command.script is None:
            return None
        from jailpy.launcher import interpreter  # for scripts only

        return interpreter.of(plan, key, self._connection.fileno())


def _template_key(plan: Plan, known: Known | None) -> bytes:
    return known.template if known else template.key(plan)


def _unforeseen(error: Exception) -> JailPyError:
    """Tell what there was too little of from a bug."""
    lacking = shortage(error)
    if lacking:
        return lacking
    traceback.print_exc()
    return InternalError(f"{type(error).__name__}: {error}")


def _count(descriptors: list[int], expected: int) -> None:
    """Notice descriptors that the kernel dropped for want of room (unix(7), MSG_CTRUNC)."""
    if len(descriptors) != expected:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def _be_nowhere() -> None:
    """Go to a folder that is deleted, where nothing relative is found."""
    import tempfile

    folder = tempfile.mkdtemp(prefix="jailpy-")
    os.chdir(folder)
    os.rmdir(folder)


def _keep(wanted: Sequence[int], descriptors: list[int]) -> None:
    """Put each descriptor of `pass_fds` at the number that it has at the client, and those numbers on the list to close."""
    for held, target in zip(descriptors[_STANDARD:], wanted, strict=True):
        os.dup2(held, target, inheritable=False)
        descriptors.append(target)


def _request(request: dict[str, Any]) -> api.Request:
    return api.Request(
        argv=tuple(request["argv"]),
        profile=request["profile"],
        overrides=tuple(Override(key, value, spelling) for key, value, spelling in request["overrides"]),
        excused=tuple(request["excused"]),
        put=tuple((source, destination) for source, destination in request["put"]),
        get=tuple((name, destination) for name, destination in request["get"]),
        keep=tuple(request["keep"]),
        script=None if request["script"] is None else request["script"].encode("utf-8", "surrogateescape"),
        preload=tuple(request["preload"]),
    )


def plain(error: JailPyError) -> dict[str, Any]:
    """Return an error as the client rebuilds it."""
    given = {name: getattr(error, name) for name in _ATTRIBUTES if hasattr(error, name)}
    if isinstance(error, HostError):
        given["needs"] = [vars(need) for need in error.needs]
    return {"type": type(error).__name__, "message": error.message, "hints": list(error.hints), **given}
