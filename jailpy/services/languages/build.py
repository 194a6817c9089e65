"""Compiling: source files become a program in a jail of the profile `build`, and a program becomes a command to run."""

from __future__ import annotations

import itertools
import os
import re
import subprocess

import msgspec

from jailpy.client.python import Script
from jailpy.services.languages import BINARY, Language, Names, find_tool, main_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from jailpy.client.launcher import Launcher
    from jailpy.client.result import CompletedRun

WORK = "/work"
_OLDEST_WARM = (3, 11)
_EXECUTABLE = 0o755
_MOST_SHOWN = 500  # files and folders, each a mount of its own in every run; a launcher may have but 1024 descriptors


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """Something that runs. `folder` is a folder of the host that holds what it is made of, and nothing else.

    `shown` are the entries of that folder that its jail shows in the work folder; `warm` says that an interpreter that was
    started before can run it.
    """

    language: Language
    folder: str
    argv: tuple[str, ...]
    shown: tuple[str, ...]
    warm: bool = False

    def command(self, args: Sequence[str] = ()) -> list[str] | Script:
        """Return what a launcher is to run."""
        if self.warm:
            return Script(os.path.join(self.folder, self.argv[1]), args, interpreter=find_tool(self.argv[0]))
        return [*self.argv, *args]

    def entries(self, workdir: str = WORK) -> list[str]:
        """Return what it is made of, as SRC:DST."""
        return [f"{self.folder}/{name}:{workdir}/{name}" for name in self.shown]

    def shows(self, more: Sequence[str] = ()) -> list[str]:
        """Return what the jail shows read-only, `more` beside the program."""
        taken = {entry.rpartition(":")[2] for entry in more}
        own = [] if self.warm else self.entries()
        return [*(entry for entry in own if entry.rpartition(":")[2] not in taken), *more]


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What compiling came to. `program` is None where it failed; `done` is the compiler's run, None where none was needed."""

    program: Program | None
    command: tuple[str, ...] = ()
    done: CompletedRun | None = None
    problem: str = ""


def write(files: Mapping[str, bytes], folder: str) -> None:
    """Write files into an empty folder. Their paths are relative and safe. Raises OSError."""
    for path, content in files.items():
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "xb") as file:
            file.write(content)
        if content.startswith((b"#!", b"\x7fELF")):
            os.chmod(target, _EXECUTABLE)


def build(
    launcher: Launcher,
    language: Language,
    files: Mapping[str, bytes],
    folder: str,
    main: str = "",
    *,
    lazily: bool = False,
    **limits: Any,
) -> Built:
    """Compile files in a jail and keep what comes out in `folder`, an empty folder of the host.

    `limits` are options of the compiler's run; `program_memory` is what the program will have. `lazily` leaves out a compile
    command that would tell no more than a run that ends well. Raises OSError, JailPyError.
    """
    language.require()
    main = main or main_file(language, files)
    if not main:
        return Built(
            program=None, problem=f"no source file of {language.name}: its suffixes are {', '.join(language.suffixes)}"
        )
    sources, kept = os.path.join(folder, "source"), os.path.join(folder, "kept")
    os.mkdir(sources)
    write(files, sources)
    memory = limits.pop("program_memory", 256 << 20)
    listed = tuple(map(_no_option, language.sources(files) or [main]))
    names = Names(files=listed, main=_no_option(main), memory_mib=max(1, memory >> 20), binary=_unused(BINARY, files))
    run = tuple(language.command(language.run, names))
    if not language.compile or (lazily and language.whole and len(files) == 1):
        problem = _too_many(sources)
        return Built(program=None if problem else _program(language, sources, run, names), problem=problem)
    os.mkdir(kept)
    command = tuple(language.command(language.compile, names))
    done = _compile(launcher, language, command, names, (sources, kept), limits)
    if done.verdict != "ok":
        return Built(program=None, command=command, done=done, problem=f"{command[0]}: {done.verdict}")
    problem = _problem_of(language, kept, names)
    if problem:
        return Built(program=None, command=command, done=done, problem=f"{command[0]} {problem}")
    return Built(program=_program(language, kept, run, names), command=command, done=done)


def _problem_of(language: Language, kept: str, names: Names) -> str:
    """Say why what a compiler left is no program, "" where it may be one. What runs there may be the submission's own code."""
    if language.keeps == "binary":
        return "" if os.path.isfile(os.path.join(kept, names.binary)) else "made no program"
    problem = _too_many(kept)
    return problem and f"left {problem}"


def _too_many(folder: str) -> str:
    """Say that a folder holds more than a jail can be shown, "" where it does not."""
    found = len(os.listdir(folder))
    return f"{found} files and folders side by side: at most {_MOST_SHOWN} are taken" if found > _MOST_SHOWN else ""


def _unused(name: str, files: Iterable[str]) -> str:
    """Return a name that no file or folder has: what a compiler leaves there is its own, and not what was handed in."""
    taken = {path.partition("/")[0] for path in files}
    return next(free for number in itertools.count() if (free := f"{name}{number or ''}") not in taken)


def _no_option(path: str) -> str:
    """Return a path that no compiler takes for an option, or for a file of options."""
    return f"./{path}" if path.startswith(("-", "@")) else path


def _compile(
    launcher: Launcher,
    language: Language,
    command: tuple[str, ...],
    names: Names,
    folders: tuple[str, str],
    limits: dict[str, Any],
) -> CompletedRun:
    sources, kept = folders
    wanted = names.binary if language.keeps == "binary" else "."
    return launcher.run(
        command,
        profile="build",
        runtime=language.runtime,
        ro=[f"{os.path.realpath(path)}:{path}" for path in language.shows if os.path.exists(path)],
        put=[f"{sources}:{WORK}"],
        get=[f"{wanted}:{kept}"],
        stderr=subprocess.STDOUT,
        **limits,
    )


def _program(language: Language, folder: str, run: tuple[str, ...], names: Names) -> Program:
    is_binary = language.compile and language.keeps == "binary"
    # A compiler's run may make a folder of that name, and what is in it comes along.
    shown = (names.binary,) if is_binary else tuple(sorted(os.listdir(folder)))
    alone = shown == (names.main,) and run == ("python3", names.main)
    warm = language.code == "python3" and alone and _can_be_warm(run[0])
    return Program(language=language, folder=folder, argv=run, shown=shown, warm=warm)


def _can_be_warm(name: str) -> bool:
    """Tell whether the jail's Python is one that runs can be copied from."""
    found = re.fullmatch(r"python(\d+)\.(\d+)", os.path.basename(os.path.realpath(find_tool(name))))
    return bool(found and (int(found[1]), int(found[2])) >= _OLDEST_WARM)


def scripted(script: str) -> Language:
    """Return the language of a folder with a `build` script, or with a `run` that is there already."""
    made = ("./build",) if script == "build" else ()
    return Language(name="build and run", suffixes=(".",), run=("./run",), package="", compile=made, keeps="all")
