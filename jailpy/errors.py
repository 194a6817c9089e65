"""The exception family, grouped by who must act.

JailPyError
├── UsageError      the caller: a wrong option or a wrong combination of options
├── ProfileError    the profile's author: every problem of the file at once
├── ProblemError    the author of a programming problem: everything that is wrong with its package at once
├── ManifestError   the plugin's author: everything that is wrong with its manifest at once
├── HostError       the host's owner: the kernel, the distribution or the account lacks something
├── LaunchError     setting up failed: layer, step and errno are given
│   └── CommandError    the command is not in the jail, or cannot be executed there
├── PayloadError    the payload: only raised where the caller asked for it (`check=True`, JailExecutor)
│   └── FunctionError   the function that JailExecutor called in the jail raised an exception
├── PluginError     the plugin: a call of it gave no result
├── RefusalError    raised by a host function to say no to a plugin, with a text that crosses
└── InternalError   us: a bug in JailPy
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_EXHAUSTED = {
    errno.EMFILE: ("the launcher has too few file descriptors", "raise its limit: ulimit -n"),
    errno.ENFILE: ("the host has too few file descriptors", "raise fs.file-max, or end what holds them"),
    errno.ENOMEM: ("the launcher has too little memory", "raise its limit (ulimit -v), or free memory of the host"),
}
_NO_MEMORY = (
    (ImportError, "failed to map segment"),
    (OSError, "failed to map segment"),
    (SystemError, "without exception set"),
)


class JailPyError(Exception):
    """Base of everything that JailPy raises. `hints` are lines that say what to do."""

    exit_status = 125

    def __init__(self, message: str, hints: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hints = tuple(hints)
        for hint in self.hints:
            self.add_note(f"hint: {hint}")  # for those who see the traceback

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as class and attributes: callers' worker pools hand errors on, and most take more than a message."""
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[JailPyError], args: tuple[object, ...], state: dict[str, object]) -> JailPyError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class UsageError(JailPyError):
    """The caller gave an option that cannot be used."""


class ProfileError(JailPyError):
    """The profile is wrong. `problems` holds every one as `file:line: key: what was expected`."""

    def __init__(self, message: str, problems: Sequence[str] = (), hints: Sequence[str] = ()) -> None:
        super().__init__(message, hints)
        self.problems = tuple(problems)


class ProblemError(JailPyError):
    """A problem package is wrong. `problems` holds everything that is, as `file:line: what was expected`."""

    def __init__(self, message: str, problems: Sequence[str] = (), hints: Sequence[str] = ()) -> None:
        super().__init__(message, hints)
        self.problems = tuple(problems)


class ManifestError(JailPyError):
    """A plugin's manifest, or what it is granted, is wrong. `problems` holds everything that is, as `file:line: key: what`."""

    def __init__(self, message: str, problems: Sequence[str] = (), hints: Sequence[str] = ()) -> None:
        super().__init__(message, hints)
        self.problems = tuple(problems)


class HostError(JailPyError):
    """This host cannot enforce what the profile requires. `needs` names every gap."""

    def __init__(self, message: str, needs: Sequence[object] = (), hints: Sequence[str] = ()) -> None:
        super().__init__(message, hints)
        self.needs = tuple(needs)


class LaunchError(JailPyError):
    """A step of the launch failed and the payload did not run. `errno` is the kernel's number, 0 where there is none."""

    def __init__(self, message: str, *, layer: str, step: str, errno: int, hints: Sequence[str] = ()) -> None:
        super().__init__(message, hints)
        self.layer = layer
        self.step = step
        self.errno = errno


class CommandError(LaunchError):
    """The command was not found in the jail (`exit_status` 127) or is not executable there (126)."""

    def __init__(self, message: str, *, errno: int, exit_status: int, hints: Sequence[str] = ()) -> None:
        super().__init__(message, layer="payload", step="execve", errno=errno, hints=hints)
        self.exit_status = exit_status


class PayloadError(JailPyError):
    """The payload did not end with status 0, and the caller asked to be told (`check=True`). `result` is the run."""

    def __init__(self, message: str, result: object) -> None:
        super().__init__(message)
        self.result = result


class FunctionError(PayloadError):
    """A function raised an exception in the jail. `type` is its name, `text` what it says, `traceback` where; `result` the run.

    All three are the payload's words.
    """

    def __init__(self, message: str, result: object, *, type: str, text: str, traceback: str) -> None:  # noqa: A002
        super().__init__(message, result)
        self.type = type
        self.text = text
        self.traceback = traceback


class PluginError(JailPyError):
    """A call of a plugin gave no result. `plugin` and `entry` say which, `reason` why (docs/how-to/plugins.md lists them).

    `type`, `text` and `traceback` are the plugin's words, for an exception of its own; `report` is that of a run that ended.
    """

    def __init__(
        self,
        message: str,
        *,
        plugin: str,
        entry: str = "",
        reason: str,
        type: str = "",  # noqa: A002
        text: str = "",
        traceback: str = "",
        report: object = None,
        hints: Sequence[str] = (),
    ) -> None:
        super().__init__(message, hints)
        self.plugin, self.entry, self.reason = plugin, entry, reason
        self.type, self.text, self.traceback, self.report = type, text, traceback, report


class RefusalError(JailPyError):
    """Raised by a host function to say no to a plugin: its text crosses, that of other exceptions does not."""


class InternalError(JailPyError):
    """A bug in JailPy."""


def and_more(found: Sequence[object], where: str = "") -> str:
    """Return ` (and 2 more)` for a message that names the first of several, "" for one alone. `where` says where they are."""
    return f" (and {len(found) - 1} more{where})" if len(found) > 1 else ""


def shortage(error: BaseException) -> LaunchError | None:
    """Say what the launcher or the host had too little of, or that the current folder is gone; None for another error."""
    if isinstance(error, FileNotFoundError) and _is_nowhere():
        return _error(errno.ENOENT, "the current folder", "it was deleted: change to one that is there")
    number = errno.ENOMEM if _out_of_memory(error) else getattr(error, "errno", None)
    if number not in _EXHAUSTED:
        return None
    return _error(number, *_EXHAUSTED[number])


def _error(number: int, what: str, hint: str) -> LaunchError:
    return LaunchError(f"{what}: {os.strerror(number)}", layer="launcher", step="run", errno=number, hints=[hint])


def _is_nowhere() -> bool:
    """Tell whether the current folder was deleted: nothing that starts from it can be found (getcwd(3))."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _out_of_memory(error: BaseException) -> bool:
    """Whether it is a MemoryError, or what becomes of one: dlopen(3) gives words without errno, C code may lose it."""
    return isinstance(error, MemoryError) or any(isinstance(error, kind) and words in str(error) for kind, words in _NO_MEMORY)
