"""The payload's streams: bounded, never buffered beyond one chunk, never the caller's own descriptors. Parent side."""

from __future__ import annotations

import errno
import os
import select
import stat
import time

from jailpy.escape import TerminalFilter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 65536
_PIPE_BUF = 4096  # a pipe that polls writable takes this much without blocking (pipe(7))
_END_OF_FILE = b"\x04"
_FULL_TERMINAL_S = 0.005  # a terminal with room for one byte polls writable and takes no newline
_NO_INPUT = (errno.EPIPE, errno.EIO, errno.EISDIR, errno.EBADF)  # EBADF: nohup(1) leaves an input that is open for writing
_PLAIN = (stat.S_ISREG, stat.S_ISBLK)


def _reopened(caller: int, access: int) -> int:
    """Open a terminal or pipe of the caller's anew, non-blocking, -1 where that cannot be had.

    A terminal that nobody reads polls writable and then blocks, and the clocks with it; another writer may fill a pipe
    between the poll and the write, another reader empty it before the read. O_NONBLOCK on the caller's own descriptor
    would change it for the caller too.
    """
    mode = os.fstat(caller).st_mode
    if not stat.S_ISFIFO(mode) and not os.isatty(caller):
        return -1
    try:
        return os.open(f"/proc/self/fd/{caller}", access | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return -1


def _has_writers(mode: int) -> bool:
    """Tell whether somebody may wait for what he writes there to be read."""
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _is_named(descriptor: int) -> bool:
    """Tell whether a pipe or terminal is a FIFO with a name."""
    return not os.isatty(descriptor) and os.readlink(f"/proc/self/fd/{descriptor}").startswith("/")


def _read(source: int, size: int) -> bytes:
    """Read; a terminal whose last writer is gone ends like a pipe (pty(7): EIO)."""
    try:
        return os.read(source, size)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


class Output:
    """One of the payload's output streams on its way to a descriptor (None: counted and thrown away, -1: closed).

    `source` is made non-blocking: the payload can open its own pipe through /proc and take out, between the poll and the
    read, what was polled, or flush its terminal. A read that waits then would stop the clocks.
    """

    def __init__(self, source: int, target: int, escape: bool) -> None:
        os.set_blocking(source, False)
        self.source = source
        self.target = target
        self.count = 0
        self.error: OSError | None = None
        self._pending = memoryview(b"")
        self._last = False
        self._filter = TerminalFilter() if escape else None
        self._own = _reopened(target, os.O_WRONLY)
        self._sink = target if self._own < 0 else self._own
        self._plain = any(check(os.fstat(target).st_mode) for check in _PLAIN)

    def interest(self) -> tuple[int, int]:
        """Return the descriptor to poll now, and for what: the target while something is pending, else the source."""
        return (self._sink, select.POLLOUT) if self._pending else (self.source, select.POLLIN)

    @property
    def pending(self) -> bool:
        """Say whether something of the payload's is still to be written."""
        return bool(self._pending)

    def nobody_writes(self) -> None:
        """Take it for the end, from now on, where nothing is there to be read.

        The end of file may never come: a descriptor that the payload left in a queue of sockets which lead to each other
        is open until the kernel looks for such ones, when some other socket is closed (unix(7), SCM_RIGHTS).
        """
        self._last = True

    def step(self, allowance: int) -> bool:
        """Read or write one chunk; take at most `allowance` bytes of the payload. Return False at the end."""
        if self._pending:
            self._write()
            return self.source >= 0
        try:
            chunk = _read(self.source, max(1, min(_CHUNK, allowance)))
        except BlockingIOError:
            if not self._last:
                return True
            chunk = b""
        self.count += len(chunk)
        data = chunk[: max(0, allowance)]
        if self._filter:
            data = self._filter.feed(data, final=not chunk)
        self._pending = memoryview(data)
        return bool(chunk) or bool(self._pending)

    def close(self) -> None:
        """Close the payload's end; what is pending is dropped. May be called twice."""
        for number in (self.source, self._own):
            if number >= 0:
                os.close(number)
        self.source = self._own = -1

    def _write(self) -> None:
        try:
            size = len(self._pending) if self._plain else _PIPE_BUF
            self._pending = self._pending[os.write(self._sink, self._pending[:size]) :]
        except BlockingIOError:
            time.sleep(_FULL_TERMINAL_S)
        except OSError as error:
            self._pending = memoryview(b"")
            self.error = None if error.errno == errno.EPIPE else error
            self.close()  # the payload gets SIGPIPE, as it would without a jail


class Input:
    """The caller's input on its way to the payload's standard input.

    A terminal cannot be closed for input alone: its end is the character for it, twice behind an unfinished line (termios(3)).
    A FIFO with a name is read where it was opened anew, for the payload may read it too, and polled where the caller has it:
    opened anew after its last writer closed, it would never poll as ended (fifo(7)).
    """

    def __init__(self, source: int, target: int, *, is_terminal: bool = False) -> None:
        self.target = target
        self._end = _END_OF_FILE if is_terminal else b""
        self._own = _reopened(source, os.O_RDONLY)
        self._caller = source
        self._read = source if self._own < 0 else self._own
        self.source = self._own if self._own >= 0 and not _is_named(source) else source
        self._pending = memoryview(b"")

    def close(self) -> None:
        """Close what was opened here. May be called twice."""
        if self._own >= 0:
            os.close(self._own)
            self._own = -1

    def give_up(self) -> None:
        """The payload is dead: let go of the caller's input, so that who writes there sees that nobody reads (pipe(7), EPIPE).

        He may be the one that the payload's last output waits for: two programs that talk would wait for each other for ever.
        """
        self.close()
        if _has_writers(os.fstat(self._caller).st_mode):
            null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            os.dup2(null, self._caller, inheritable=False)
            os.close(null)

    def interest(self) -> tuple[int, int]:
        """Return the descriptor to poll now, and for what."""
        return (self.target, select.POLLOUT) if self._pending else (self.source, select.POLLIN)

    def step(self) -> bool:
        """Read or write one chunk. Return False at the end, or when the payload reads no more."""
        writing = bool(self._pending)
        try:
            if writing:
                self._pending = self._pending[os.write(self.target, self._pending) :]
                return True
            self._pending = memoryview(self._ended(os.read(self._read, _CHUNK)))
        except BlockingIOError:
            if writing:
                time.sleep(_FULL_TERMINAL_S)
            return True
        except OSError as error:
            if error.errno in _NO_INPUT:
                return False
            raise
        return bool(self._pending)

    def _ended(self, chunk: bytes) -> bytes:
        """Return what was read; at the end of the caller's input, once, what tells a terminal of it."""
        if not chunk:
            chunk, self._end = self._end, b""
        elif self._end:
            self._end = _END_OF_FILE if chunk.endswith(b"\n") else _END_OF_FILE * 2
        return chunk


def drain(outputs: list[Output], pass_on: Callable[[Output], None], interrupted: Callable[[], bool]) -> None:
    """Pass on what is left in the pipes of a dead payload; `pass_on` closes an output at its end."""
    for output in outputs:
        output.nobody_writes()
    while (left := [output for output in outputs if output.source >= 0]) and not interrupted():
        waiting = [output for output in left if output.pending]
        poll = select.poll()
        for output in waiting:
            poll.register(*output.interest())
        ready = {descriptor for descriptor, _ in poll.poll(200 if len(waiting) == len(left) else 0)}
        for output in left:
            if not output.pending or output.interest()[0] in ready:
                pass_on(output)
