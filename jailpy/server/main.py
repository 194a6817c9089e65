"""The server process: `python -I -S`, one thread, one worker for each connection that the client asks for. Parent side.

Its client is the other end of the control socket. End of file there is the client's end, whatever ended it: the workers see
the same on their connections, kill their runs and exit, and then the server does.
"""

from __future__ import annotations

import _signal
import contextlib
import gc
import os
import socket

from jailpy.kernel import process
from jailpy.launcher import scope
from jailpy.server import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(control: int) -> None:
    """Serve the client at the other end of `control` until it closes."""
    _import_what_workers_use()
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # the kernel reaps workers (wait(2)); nobody asks how they ended
    connection = socket.socket(fileno=control)
    gc.freeze()
    with contextlib.suppress(ConnectionError, messages.BrokenMessageError):  # the client died in the middle of a word
        messages.send(connection, {"ready": os.getpid()})
        scope.enter_ahead()
        while (received := messages.receive(connection)) is not None:
            for number in received[1]:
                _fork_worker(number, connection)
                os.close(number)
    _wait_for_workers()


def _import_what_workers_use() -> None:
    from jailpy.launcher import cold, sources, verify
    from jailpy.report import record
    from jailpy.server import worker
    from jailpy.supervisor import run

    del cold, sources, verify, record, run, worker


def _fork_worker(number: int, control: socket.socket) -> None:
    server = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        _refuse(number, error)
        return
    if pid == 0:
        _be_worker(number, control, server)


def _refuse(number: int, error: OSError) -> None:
    """Answer the request that will come, in place of the worker that could not be had."""
    from jailpy.errors import LaunchError
    from jailpy.server import worker

    words = f"the launcher cannot start a process: {error.strerror}"
    refusal = worker.plain(LaunchError(words, layer="launcher", step="fork", errno=error.errno or 0))
    with socket.socket(fileno=os.dup(number)) as connection, contextlib.suppress(OSError):
        messages.send(connection, {"error": refusal})


def _be_worker(number: int, control: socket.socket, server: int) -> NoReturn:
    status = 1
    try:
        process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGKILL)
        if os.getppid() == server:
            control.close()
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
            from jailpy.server import worker

            worker.Worker(socket.socket(fileno=number)).serve()
            status = 0
    finally:
        if status:
            import traceback

            traceback.print_exc()
        os._exit(status)


def _wait_for_workers() -> None:
    """Wait until every worker is gone: with SIGCHLD ignored, wait(2) blocks for all of them and then says ECHILD."""
    try:
        os.wait()
    except ChildProcessError:
        return
