"""`Script`: a Python script as a command, run by an interpreter that has modules imported already."""

from __future__ import annotations

import errno
import os
import stat
import sys

from jailpy.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    Path: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]

PRESET = "caller-python"
LARGEST = 16 << 20
_NAME = "script.py"


class Script:
    """A Python script with its arguments, for everything of `Launcher` that takes a command.

    `script` is a path, or source text: a str or bytes with a line end in it. It is read at each run, with the caller's rights,
    and put into the work folder. `preload` names modules that the interpreter has imported before the run, `interpreter` is a
    path or name in the jail; that which runs this program, where None is given.

    Raises UsageError for what cannot be meant so.
    """

    def __init__(
        self,
        script: Path,
        args: Iterable[Path] = (),
        *,
        preload: str | Iterable[str] = (),
        interpreter: Path | None = None,
    ) -> None:
        self.path, self._text = _path_or_text(script)
        self.args = _texts("args", args)
        self.preload = [preload] if isinstance(preload, str) else _texts("preload", preload)
        self.interpreter = None if interpreter is None else os.fsdecode(interpreter)
        for name in self.preload:
            if not all(part.isidentifier() for part in name.split(".")):
                raise UsageError(f"option preload: {name!r}: expected the name of a module")

    def argv(self) -> list[str]:
        """Return the command that the run is, were it started cold."""
        name = os.path.basename(os.path.normpath(self.path)) if self.path else _NAME
        shown = f"./{name}" if name.startswith("-") else name
        return [self.interpreter or calling_interpreter(), shown, *self.args]

    def read(self) -> bytes:
        """Return the source text. Raises UsageError."""
        if not self.path:
            return self._text
        try:
            return read_file(self.path, LARGEST)
        except OSError as error:
            text = ["for source text, end it with a newline"] if error.errno == errno.ENOENT else []
            raise UsageError(f"script: {self.path}: {error.strerror}", text) from error

    def runtime(self) -> list[str]:
        """Return the presets that show the interpreter, where the jail has none of it otherwise."""
        return [PRESET] if self.interpreter is None and has_own_prefixes() else []

    def __repr__(self) -> str:
        """Show what it was made of."""
        return f"Script({self.path or self._text!r}, {self.args!r}, preload={self.preload!r}, interpreter={self.interpreter!r})"


def calling_interpreter() -> str:
    """Return the Python that runs this program."""
    from jailpy.client import connection

    return connection.interpreter()


def has_own_prefixes() -> bool:
    """Say whether that Python, or its packages, lie outside the system's folders."""
    return not calling_interpreter().startswith("/usr/") or sys.prefix != sys.base_prefix


def _path_or_text(script: Path) -> tuple[str, bytes]:
    if isinstance(script, str | bytes):
        text = script.encode("utf-8", "surrogateescape") if isinstance(script, str) else script
        if b"\n" in text:
            return "", text
    try:
        path = os.fsdecode(script)
    except TypeError:
        raise UsageError(f"script: expected a path, or source text, got {type(script).__name__}") from None
    if not path or "\0" in path:
        raise UsageError("script: an empty path" if not path else "script: a path with a NUL byte")
    return path, b""


def _texts(what: str, words: Iterable[Path]) -> list[str]:
    if isinstance(words, str | bytes | os.PathLike):
        raise UsageError(f"option {what}: expected a list, got one text")
    try:
        found = [os.fsdecode(word) for word in words]
    except TypeError as error:
        raise UsageError(f"option {what}: expected texts and paths: {error}") from error
    if any("\0" in word for word in found):
        raise UsageError(f"option {what}: a text holds a NUL byte")
    return found


def read_file(path: str, most: int) -> bytes:
    """Read a regular file of at most so many bytes. Never waits for a FIFO, which who made the file may have put there.

    Raises OSError.
    """
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        with open(number, "rb", closefd=False) as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise OSError(errno.EINVAL, "is no file")
            content = file.read(most + 1)
        if len(content) > most:
            raise OSError(errno.EFBIG, f"is over {most} bytes")
        return content
    finally:
        os.close(number)
