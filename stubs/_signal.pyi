"""The parts of the signal module's C half that are used: importing `signal` itself costs an `enum`."""

from collections.abc import Iterable
from types import FrameType
from typing import Any, Callable

SIG_DFL: int
SIG_IGN: int
SIG_SETMASK: int
SIGCHLD: int
SIGCONT: int
SIGHUP: int
SIGINT: int
SIGKILL: int
SIGQUIT: int
SIGSTOP: int
SIGTSTP: int
SIGTERM: int
SIGWINCH: int

class struct_siginfo:
    si_code: int
    si_signo: int
    si_pid: int
    si_uid: int

def getsignal(signalnum: int, /) -> Any: ...
def pthread_sigmask(how: int, mask: Iterable[int], /) -> set[int]: ...
def set_wakeup_fd(fd: int, /, *, warn_on_full_buffer: bool = ...) -> int: ...
def signal(signalnum: int, handler: Callable[[int, FrameType | None], Any] | int | None, /) -> Any: ...
def sigwaitinfo(sigset: Iterable[int], /) -> struct_siginfo: ...
def default_int_handler(number: int, frame: object, /) -> None: ...
