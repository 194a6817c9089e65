"""`jailpy run`: one source file. Its toolchain follows from its name; it is compiled in one jail and runs in another."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import sys
import tempfile

import click

import jailpy
from jailpy import escape
from jailpy.cli import execute, options, outputs
from jailpy.cli.console import complain
from jailpy.errors import JailPyError, UsageError
from jailpy.services import languages
from jailpy.services.languages.build import WORK, build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from jailpy.cli.options import Parsed
    from jailpy.services.languages import Language
    from jailpy.services.languages.build import Program

_LARGEST = 16 << 20
MORE = (
    options.Option(("--language",), "NAME", "", "The language, where the file's name and first line do not say it."),
    options.Option(("--keep",), "FILE", "", "Save the binary that the compiler made."),
)


@click.command("run", options_metavar="[-p PROFILE] [OPTIONS]")
@click.option("--language", metavar="NAME", help=MORE[0].help)
@click.option("--keep", metavar="FILE", help=MORE[1].help)
@click.argument("file", metavar="FILE [ARG...]")
def run(**_: object) -> None:
    """Run one source file in a jail: compiled first where its language needs it, in a jail of the profile build.

    \b
    Examples:
      jailpy run hello.py
      jailpy run --memory 64M --wall 2s sort.cpp < numbers.txt
      jailpy run --keep prog main.rs
    """
    raise AssertionError("run is parsed by jailpy/cli/options.py")


def main(arguments: Sequence[str]) -> int | None:
    """Run `run` and return its exit status, None where its help text was asked for."""
    try:
        parsed = options.parse(arguments, MORE)
    except JailPyError as error:
        return complain(error)
    if parsed is None:
        return None
    folder = tempfile.mkdtemp(prefix="jailpy-run-")
    try:
        with _ended_in_order():
            program = _program(parsed, folder)
        return execute.execute(_with_program(parsed, program))
    except JailPyError as error:
        return execute.refuse(parsed, error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Have SIGHUP and SIGTERM end the compiler as SIGINT does: by themselves they would leave the folder."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    default = [number for number in (signal.SIGHUP, signal.SIGTERM) if signal.getsignal(number) == signal.SIG_DFL]
    for number in default:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in default:
            signal.signal(number, signal.SIG_DFL)


def _program(parsed: Parsed, folder: str) -> Program:
    """Compile the file. Raises JailPyError; what the compiler says goes to standard error then."""
    if not parsed.command:
        raise UsageError("file: none was given", ["jailpy run [OPTIONS] FILE [ARG...]"])
    path = parsed.command[0]
    files = {os.path.basename(path): _read(path)}
    language = _language(parsed, path, files)
    if parsed.has("keep") and language.keeps != "binary":
        raise UsageError(f"option --keep: {language.name} makes no binary")
    with jailpy.Launcher(allow_missing=parsed.all("allow_missing")) as launcher:
        built = build(launcher, language, files, folder, main=next(iter(files)))
    if built.program is None:
        said = built.done.stdout if built.done else b""
        sys.stderr.buffer.write(escape.TerminalFilter().feed(said, True))
        sys.stderr.flush()
        raise JailPyError(f"{path}: does not compile: {built.problem}")
    if parsed.has("keep"):
        _keep(os.path.join(built.program.folder, built.program.argv[0]), parsed.last("keep"))
    return built.program


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"file: {path}: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise UsageError(f"file: {path}: is over {_LARGEST} bytes")
    return content


def _language(parsed: Parsed, path: str, files: dict[str, bytes]) -> Language:
    known = languages.load()
    name = parsed.last("language")
    if name and name not in known:
        raise UsageError(f"option --language: no language {name!r}", [f"languages: {', '.join(known)}"])
    found = known[name] if name else languages.detect(files, known)
    if found is None:
        raise UsageError(f"file: {path}: neither its name nor its first line says a language", ["--language NAME says it"])
    return found


def _keep(binary: str, destination: str) -> None:
    """Save the binary. Raises UsageError: also for a link, which an earlier payload may have left there."""
    if os.path.isdir(destination) and not os.path.islink(destination):
        destination = os.path.join(destination, os.path.basename(binary))
    try:
        with open(outputs.open_stream("--keep", destination), "wb") as target, open(binary, "rb") as source:
            shutil.copyfileobj(source, target)
            if stat.S_ISREG(os.fstat(target.fileno()).st_mode):
                os.fchmod(target.fileno(), stat.S_IMODE(os.fstat(source.fileno()).st_mode))
    except OSError as error:
        raise UsageError(f"option --keep {destination}: {error.strerror}") from error


def _with_program(parsed: Parsed, program: Program) -> Parsed:
    """Return the options of `exec` that run the program."""
    workdir = parsed.last("workdir", WORK)
    given = [("runtime", name, f"--runtime {name}") for name in program.language.runtime]
    given += [("ro", entry, f"--ro {entry}") for entry in program.entries(workdir)]
    return options.Parsed((*given, *parsed.given), (*program.argv, *parsed.command[1:]))
