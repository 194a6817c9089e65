"""Signals and the caller's terminal while a run is watched. Parent side.

SIGINT, SIGTERM and SIGHUP are forwarded once. With --tty the caller's terminal is raw: what is typed reaches the jail's
own terminal, whose line discipline makes the signals there; window size and suspension are passed on.
"""

from __future__ import annotations

import _signal
import os
import time

from jailpy.kernel import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from jailpy.launcher.cold import Jail
    from jailpy.supervisor.guard import Look
    from jailpy.supervisor.outcome import Cause

    class Interrupts(Protocol):
        """Who may end a run while it is watched: see `Signals`."""

        sent: int

        def fileno(self) -> int: ...
        def attach(self, jail: Jail) -> None: ...
        def take(self, jail: Jail) -> int: ...
        def interrupted(self) -> bool: ...
        def suspend(self, jail: Jail, look: Look) -> Cause | None: ...
        def close(self) -> None: ...


_SHORTEST_STOP_S = 0.005  # nobody types fg as fast
_FORWARDED = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)


class Signals:
    """Turns signals into bytes on a pipe for as long as it is open; gives everything back on `close`."""

    def __init__(self, terminal: int | None) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        os.set_blocking(self._reader, False)
        self.sent = 0
        self._unstoppable = False
        self._terminal = terminal
        self._saved: list[Any] | None = None
        watched = (*_FORWARDED, _signal.SIGWINCH) if terminal is not None else _FORWARDED
        self._before = {number: _signal.getsignal(number) for number in watched}
        for number, before in self._before.items():
            if before is not _signal.SIG_IGN:
                _signal.signal(number, _nothing)
        self._wakeup = _signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._reader

    def attach(self, jail: Jail) -> None:
        """Make the caller's terminal raw, and give the jail's its size."""
        if self._terminal is None:
            return
        import termios
        import tty

        self._saved = termios.tcgetattr(self._terminal)
        tty.setraw(self._terminal, termios.TCSADRAIN)  # what was typed ahead is the payload's
        self._resize(jail)

    def _resize(self, jail: Jail) -> None:
        from jailpy.kernel import terminal

        if self._terminal is not None:
            terminal.set_window_size(jail.terminal, terminal.window_size(self._terminal))

    def _restore(self) -> None:
        if self._saved is not None and self._terminal is not None:
            import termios

            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._saved)

    def take(self, jail: Jail) -> int:
        """Act on the signals that came; return the one that was forwarded just now, 0 where none was."""
        for number in os.read(self._reader, 512):
            if number == _signal.SIGWINCH:
                self._resize(jail)
            elif number in _FORWARDED and not self.sent:
                self.sent = number
                process.pidfd_send_signal(jail.pidfd, number)
                return number
        return 0

    def interrupted(self) -> bool:
        """Say whether a signal came in the meantime that ends JailPy itself: for the time after the run."""
        try:
            return any(number in _FORWARDED for number in os.read(self._reader, 512))
        except BlockingIOError:
            return False

    def suspend(self, jail: Jail, look: Look) -> Cause | None:
        """The payload was stopped at the jail's terminal (Ctrl-Z): stop as well, and continue it when continued.

        By SIGTSTP: the kernel does not stop by it where no shell is there to continue (setpgid(2), orphaned groups), and a
        payload that stops itself then cannot stop the clocks. Where it does stop by it a guard looks at them meanwhile, by
        `look`; returns why that has ended the run, None where it has not.
        """
        if self._terminal is None:
            return None
        self._restore()
        cause = None if self._unstoppable else self._stop(jail, look)
        self.attach(jail)
        process.pidfd_send_signal(jail.pidfd, _signal.SIGCONT)
        return cause

    def _stop(self, jail: Jail, look: Look) -> Cause | None:
        """Stop until continued. A stop that is over at once was none, and is not tried again: each costs a guard."""
        from jailpy.supervisor.guard import Guard

        try:
            guard = Guard(look, jail.kill)
        except OSError:  # no process to be had
            return None
        began = time.monotonic()
        os.kill(os.getpid(), _signal.SIGTSTP)
        self._unstoppable = time.monotonic() - began < _SHORTEST_STOP_S
        return guard.close()

    def close(self) -> None:
        """Give the terminal and the handlers back."""
        self._restore()
        _signal.set_wakeup_fd(self._wakeup)
        for number, before in self._before.items():
            _signal.signal(number, before)
        os.close(self._reader)
        os.close(self._writer)


def _nothing(number: int, frame: object) -> None:
    """Stand in for a handler: the byte on the wakeup pipe is what counts."""
