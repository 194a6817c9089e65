"""The options of `exec`, `run` and `explain` as one table: the short parser, click and the help text all read it."""

from __future__ import annotations

from jailpy.errors import UsageError
from jailpy.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Option(Frozen):
    """One option. `metavar` is "" for a flag; `key` is the profile key that it overrides, "" where it is none."""

    flags: tuple[str, ...]
    metavar: str
    key: str
    help: str

    @property
    def name(self) -> str:
        """The name that the parsed value is kept under."""
        return self.flags[-1].lstrip("-").replace("-", "_")


OPTIONS = (
    Option(
        ("-p", "--profile"),
        "NAME|PATH",
        "",
        "Profile by name, or a file (a path has a / or ends in .toml). Default: strict.",
    ),
    Option(("--ro",), "SRC[:DST]", "filesystem.ro", "Show a host path read-only."),
    Option(("--rw",), "SRC[:DST]", "filesystem.rw", "Show a host path read-write."),
    Option(("--cow",), "SRC[:DST]", "filesystem.cow", "Show a host path copy-on-write: the host never changes."),
    Option(("--put",), "SRC[:DST]", "", "Copy a file or folder in (default: into the work folder)."),
    Option(("--get",), "NAME:DEST", "", "Copy a file or folder of the work folder out after the run."),
    Option(("--tmpfs",), "DST[:SIZE]", "filesystem.tmpfs", "An empty private folder."),
    Option(("--workdir",), "DIR", "filesystem.workdir", "Working directory inside."),
    Option(("--env",), "NAME[=VALUE]", "environment.pass", "Pass or set one variable; nothing else gets in."),
    Option(("--wall",), "DURATION", "limits.wall", "Time limit by the clock on the wall: 500ms, 2s, 1m30s."),
    Option(("--cpu",), "DURATION", "limits.cpu", "CPU time limit, of all processes together."),
    Option(("--idle",), "DURATION", "limits.idle", "End a run without output and CPU time for this long."),
    Option(("--memory",), "SIZE", "limits.memory", "Memory of all processes together: 64M, 1GiB."),
    Option(("--disk",), "SIZE", "limits.disk", "Size of all private writable folders together."),
    Option(("--output",), "SIZE", "limits.output", "Bytes of standard output and error together."),
    Option(("--file-size",), "SIZE", "limits.file_size", "Size of one file."),
    Option(("--processes",), "N", "limits.processes", "Tasks at one time, threads included."),
    Option(("--open-files",), "N", "limits.open_files", "Open descriptors of a process."),
    Option(("--cpus",), "FLOAT", "limits.cpus", "Processors' worth of CPU time."),
    Option(("--stack",), "SIZE", "limits.stack", "Stack of a process."),
    Option(("--runtime",), "NAME", "runtime", "Preset that makes a runtime fit: java, node, go, blas, caller-python."),
    Option(("--net",), "MODE", "network.mode", "none, loopback or host."),
    Option(("--stdin",), "FILE", "", "Read standard input from a file."),
    Option(("--stdout",), "FILE", "", "Write standard output to a file."),
    Option(("--stderr",), "FILE", "", "Write standard error to a file."),
    Option(("--tty",), "", "", "A new pseudo-terminal, never the caller's own."),
    Option(("--report",), "FILE", "", "Write the JSON report (- is standard error), also when nothing ran."),
    Option(("--set",), "KEY=VALUE", "", "Any profile key by dotted path."),
    Option(("--allow-missing",), "LAYER", "", "Accept that this layer is not enforced here; recorded in the report."),
    Option(("-v", "--verbose"), "", "", "More words on standard error."),
    Option(("-q", "--quiet"), "", "", "No words on standard error but errors."),
)
_ELSEWHERE = {  # what the Python API, bubblewrap and isolate call an option, where another one here looks more like it
    "--timeout": "--wall", "--wall-time": "--wall", "--time": "--cpu", "--cwd": "--workdir", "--bind": "--rw",
    "--setenv": "--env", "--meta": "--report",
}  # fmt: skip
BY_FLAG = {flag: option for option in OPTIONS for flag in option.flags}


class Parsed(Frozen):
    """Options in the order in which they were given, as (option name, value, spelling), and the command."""

    given: tuple[tuple[str, str, str], ...]
    command: tuple[str, ...]

    def last(self, name: str, default: str = "") -> str:
        """Return the last value of an option."""
        return next((value for given, value, _ in reversed(self.given) if given == name), default)

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of an option."""
        return tuple(value for given, value, _ in self.given if given == name)

    def has(self, name: str) -> bool:
        """Say whether an option was given."""
        return any(given == name for given, _, _ in self.given)


def parse(arguments: Sequence[str], more: tuple[Option, ...] = ()) -> Parsed | None:
    """Parse the options up to the command. None for --help. `more` are options of one verb only.

    Raises UsageError.
    """
    by_flag = {**BY_FLAG, **{flag: option for option in more for flag in option.flags}}
    given: list[tuple[str, str, str]] = []
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        if word in ("--help", "-h"):
            return None
        flag, joined, value = _split(word)
        option = by_flag.get(flag)
        if option is None:
            raise UsageError(f"option {flag}: there is none of this name", _near(flag, by_flag))
        if joined and not option.metavar:
            if flag.startswith("--") or value.startswith("-"):
                raise UsageError(f"option {flag}: takes no value")
            rest.insert(0, f"-{value}")  # -qv is -q -v
            value = ""
        elif option.metavar and not joined:
            if not rest:
                raise UsageError(f"option {flag}: needs a value: {option.metavar}")
            value = rest.pop(0)
        given.append((option.name, value, f"{flag} {value}".rstrip()))
    return Parsed(tuple(given), tuple(rest))


def _split(word: str) -> tuple[str, bool, str]:
    """Split --name=value and -nvalue: the flag, whether something is joined to it, and what."""
    if word.startswith("--"):
        flag, equals, value = word.partition("=")
        return flag, bool(equals), value
    return word[:2], len(word) > 2, word[2:]


def _near(flag: str, known: Iterable[str]) -> list[str]:
    import difflib

    near = [_ELSEWHERE[flag]] if flag in _ELSEWHERE else difflib.get_close_matches(flag, known, n=1)
    return [f"did you mean {near[0]}?"] if near else ["--help lists the options; a command's own go behind --"]
