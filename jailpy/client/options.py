"""Keyword arguments of the Python API become a request: the words of INTERFACE.md's options, as Python values."""

from __future__ import annotations

import json
import os
import stat

from jailpy.client.profile import Profile
from jailpy.client.python import Script
from jailpy.errors import UsageError
from jailpy.profile.model import LAYERS
from jailpy.profile.values import printable, split_get, split_put
from jailpy.server import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import IO, Any, TypeAlias, TypedDict

    from jailpy.client.running import Running

    Path: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
    Command: TypeAlias = Sequence[Path] | Script
    Paths: TypeAlias = Path | Iterable[Path] | None
    Amount: TypeAlias = str | int | float | None
    Stream: TypeAlias = int | IO[Any] | None
    Override: TypeAlias = tuple[str, object, str]

    class Settings(TypedDict, total=False):
        """What `Profile.replace` takes: options that stand for a key of the profile."""

        ro: Paths
        rw: Paths
        cow: Paths
        tmpfs: Paths
        runtime: Paths
        cwd: Path | None
        env: Mapping[str, Path] | None
        wall: Amount
        timeout: Amount
        cpu: Amount
        idle: Amount
        memory: Amount
        disk: Amount
        output: Amount
        file_size: Amount
        processes: int | None
        open_files: int | None
        cpus: float | None
        stack: Amount
        net: str | None
        set: Mapping[str, Any] | None

    class Defaults(Settings, total=False):
        """What `Launcher` takes, beside the profile, as defaults of its runs."""

        put: Paths
        get: Paths
        allow_missing: str | Iterable[str] | None
        pass_fds: Iterable[int] | None

    class Options(Defaults, total=False):
        """What `Launcher.popen` takes."""

        profile: str | os.PathLike[str] | Profile | None
        stdin: Stream
        stdout: Stream
        stderr: Stream

    class RunOptions(Options, total=False):
        """What `run` takes."""

        input: bytes | bytearray | memoryview | str | None
        text: bool
        encoding: str | None
        errors: str | None
        check: bool
        on_start: Callable[[Running], object] | None


LISTS = {
    "ro": "filesystem.ro",
    "rw": "filesystem.rw",
    "cow": "filesystem.cow",
    "tmpfs": "filesystem.tmpfs",
    "runtime": "runtime",
}
SCALARS = {
    "cwd": "filesystem.workdir",
    "wall": "limits.wall",
    "cpu": "limits.cpu",
    "idle": "limits.idle",
    "memory": "limits.memory",
    "disk": "limits.disk",
    "output": "limits.output",
    "file_size": "limits.file_size",
    "processes": "limits.processes",
    "open_files": "limits.open_files",
    "cpus": "limits.cpus",
    "stack": "limits.stack",
    "net": "network.mode",
}
SETTINGS = (*LISTS, *SCALARS, "timeout", "env", "set")
OTHERS = ("put", "get", "allow_missing", "pass_fds", "profile")
_FIRST_PASSED = 3
_MOST_PASSED = messages.MOST_DESCRIPTORS - _FIRST_PASSED
_VARIABLE = "environment.set."
_SURROGATE = b"\\ud"


def given(options: Mapping[str, Any], known: Sequence[str] = (*SETTINGS, *OTHERS)) -> dict[str, Any]:
    """Return the options that have a value, `timeout` under its other name. Raises UsageError for what is no option."""
    found = {name: value for name, value in options.items() if value is not None}
    for name in options:
        if name not in known:
            raise UsageError(f"option {name}: there is none of this name", _near(name, known))
    if "timeout" in found:
        if "wall" in found:
            raise UsageError("options wall and timeout: they are two names of one limit")
        found["wall"] = found.pop("timeout")
    return found


def request(argv: Command, options: Mapping[str, Any]) -> dict[str, Any]:
    """Make the message that asks for a run with the options that `given` returned. Raises UsageError."""
    script = argv if isinstance(argv, Script) else None
    if script:
        options = {**options, "runtime": [*script.runtime(), *entries("runtime", options.get("runtime", ()))]}
    name, laid_over = _profile(options.get("profile", "strict"))
    return {
        "argv": script.argv() if script else _argv(argv),  # type: ignore[arg-type]
        "script": script.read().decode("utf-8", "surrogateescape") if script else None,
        "preload": script.preload if script else [],
        "profile": name,
        "overrides": [*laid_over, *overrides(options)],
        "excused": _excused(options.get("allow_missing", ())),
        "put": [_pair("put", split_put, entry) for entry in entries("put", options.get("put", ()))],
        "get": [_pair("get", split_get, entry) for entry in entries("get", options.get("get", ()))],
        "keep": _keep(options.get("pass_fds", ())),
        "folder": _folder(),
        "environment": environment(),
    }


_seen: tuple[dict[bytes, bytes], dict[str, str]] = ({}, {})


def environment() -> dict[str, str]:
    """Return the environment, not to be changed: os.environ decodes each word of it at each look, a fifth of a caller's time.

    What it decodes from is compared with that of the last look; where this Python has no such thing, it is decoded anew.
    """
    global _seen
    raw = getattr(os.environ, "_data", None)
    if raw is None:
        return dict(os.environ)
    before, decoded = _seen
    if raw != before:
        before, decoded = _seen = dict(raw), dict(os.environ)
    return decoded


def message(request: Mapping[str, Any]) -> bytes:
    """Return the request's bytes. Raises UsageError for what no profile could hold, and a text that stands for no bytes."""
    try:
        packed = messages.pack(dict(request))
        if _SURROGATE in packed:  # one of os.fsdecode's, for a byte that is no UTF-8, or one that stands for nothing
            json.dumps(dict(request), ensure_ascii=False).encode(errors="surrogateescape")
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"options: cannot be sent to the launcher: {error}") from error
    return packed


def overrides(options: Mapping[str, Any]) -> list[Override]:
    """Return the overrides that options stand for, as (key, value, spelling); others are left out. Raises UsageError."""
    found: list[Override] = []
    for name, value in options.items():
        if name in LISTS:
            found += [(LISTS[name], [entry], f"{name}={entry!r}") for entry in entries(name, value)]
        elif name in SCALARS:
            plain = os.fsdecode(value) if isinstance(value, (bytes, os.PathLike)) else value
            found.append((SCALARS[name], plain, f"{name}={plain!r}"))
        elif name == "env":
            found += _variables(value)
        elif name == "set":
            found += [_setting(key, entry) for key, entry in _items("set", value)]
    return found


def _setting(key: str, value: object) -> Override:
    spelling = f"set={{{key!r}: {value!r}}}"
    if key.startswith(_VARIABLE):
        return "environment.set", {key[len(_VARIABLE) :]: value}, spelling
    return key, list(value) if isinstance(value, tuple) else value, spelling


def _variables(variables: object) -> list[Override]:
    """Return the overrides of `env`; values may be anything that names a path, as with subprocess."""
    found: list[Override] = []
    for name, value in _items("env", variables):
        text = os.fsdecode(value) if isinstance(value, (bytes, os.PathLike)) else value
        if not isinstance(text, str) or "\0" in text:
            raise UsageError(f"option env: {printable(name)}: expected a text without NUL, got {type(value).__name__}")
        found.append(("environment.set", {name: text}, f"env={{{name!r}: ...}}"))
    return found


def _items(name: str, value: Any) -> list[tuple[str, Any]]:
    try:
        pairs = list(value.items())
    except AttributeError:
        raise UsageError(f"option {name}: expected a dictionary, got {type(value).__name__}") from None
    decoded = [(os.fsdecode(key) if isinstance(key, bytes) else key, entry) for key, entry in pairs]
    if not all(isinstance(key, str) for key, _ in decoded):
        raise UsageError(f"option {name}: expected texts as keys")
    return decoded


def _near(name: str, known: Sequence[str]) -> list[str]:
    import difflib

    return [f"did you mean {near}?" for near in difflib.get_close_matches(name, known, 1)] or [f"options: {', '.join(known)}"]


def _argv(argv: Sequence[Path]) -> list[str]:
    if isinstance(argv, (str, bytes, os.PathLike)):
        raise UsageError("command: expected a list of words, got one text", ['for a shell line: ["sh", "-c", line]'])
    try:
        found = [os.fsdecode(word) for word in argv]
    except TypeError as error:
        raise UsageError(f"command: expected a list of texts and paths: {error}") from error
    if not found or any("\0" in word for word in found):
        raise UsageError("command: an argument holds a NUL byte" if found else "command: none was given")
    return found


def _profile(profile: object) -> tuple[str, Iterable[Override]]:
    """Return a profile's name or path, and what is laid over it; relative paths are seen from the caller's folder."""
    if isinstance(profile, Profile):
        return profile.source, profile.overrides
    if isinstance(profile, (str, os.PathLike)):
        return os.fspath(profile), ()
    raise UsageError(f"option profile: expected a name, a path or a jailpy.Profile, got {type(profile).__name__}")


def entries(name: str, value: Any) -> list[str]:
    """Return the entries of a list option, which may be given as one. Raises UsageError."""
    try:
        single = isinstance(value, (str, bytes, os.PathLike))
        return [os.fsdecode(entry) for entry in ([value] if single else value)]
    except TypeError as error:
        raise UsageError(f"option {name}: expected a path or several: {error}") from error


def _excused(layers: str | Iterable[str]) -> list[str]:
    names = [layers] if isinstance(layers, str) else list(layers)
    for name in names:
        if name not in LAYERS:
            raise UsageError(f"option allow_missing: no layer {name!r}", [f"layers: {', '.join(LAYERS)}"])
    return names


def _pair(name: str, split: Callable[[str], tuple[str, str]], entry: str) -> tuple[str, str]:
    try:
        return split(entry)
    except ValueError as error:
        raise UsageError(f"option {name}: {entry}: {error}") from error


def _keep(numbers: Iterable[int]) -> list[int]:
    wanted = list(dict.fromkeys(numbers))
    for number in wanted:
        if number < _FIRST_PASSED:
            raise UsageError(f"option pass_fds: {number}: 0, 1 and 2 are stdin, stdout and stderr")
        try:
            mode = os.fstat(number).st_mode
        except (OSError, OverflowError, TypeError) as error:
            raise UsageError(f"option pass_fds: {number!r}: is no open descriptor") from error
        if stat.S_ISDIR(mode):
            words = "is a folder, and by .. of it the payload would be in the host's tree"
            raise UsageError(f"option pass_fds: {number}: {words}", ["show it: ro, rw or cow"])
    if len(wanted) > _MOST_PASSED:
        raise UsageError(f"option pass_fds: expected at most {_MOST_PASSED} descriptors, got {len(wanted)}")
    return wanted


def _folder() -> str | None:
    """Return the caller's folder; None for a deleted one, where nothing relative can be found."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None
