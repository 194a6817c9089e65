"""DMOJ's init.yml, the common cases: listed tests and batches, an archive, the built-in checkers and bridged ones.

<https://docs.dmoj.ca/#/problem_format/problem_format>. init.yml has no limits: they are given on the command line.
"""

from __future__ import annotations

import atexit
import os
import zipfile
from typing import Any

from jailpy.services.grading import settings
from jailpy.services.grading.problem import Checker, Group, Limits, Problem, Rules, Test
from jailpy.services.grading.scratch import Scratch
from jailpy.services.grading.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LARGEST = 1 << 30
_NONE: tuple[str, ...] = ()
_TIME, _MEMORY = 2.0, 256 << 20
_PLAIN = {
    "standard": ("lines",),
    "identical": ("identical",),
    "easy": ("letters",),
    "unordered": ("sorted-words",),
}
_FLOATS = {
    "default": "float_tolerance",
    "absolute": "float_absolute_tolerance",
    "relative": "float_relative_tolerance",
}
_OTHERS = ("hints", "symlinks", "meta", "binary_data", "short_circuit", "output_limit_length", "output_prefix_length")
_CANNOT = ("interactive", "custom_judge", "grader", "signature_grader", "unbuffered", "generator", "file_io")


def load(folder: str) -> Problem:
    """Read the folder. Raises ProblemError with everything that is wrong at once."""
    problems: list[str] = []
    given = Settings.read(os.path.join(folder, "init.yml"), problems)
    for key in _CANNOT:
        if given.has(key):
            given.problem(f"{key}: cannot be judged here", given.line(key))
            given.skip(key)
    files = _Files(folder, given.take("archive", settings.text, ""), given)
    checker = _checker(folder, given)
    given.skip(*_OTHERS)
    members = _Reader(given, files).members()
    given.refuse_rest()
    settings.refuse(folder, problems)
    most = sum(_worth(member) for member in members)
    return Problem(
        name=os.path.basename(folder),
        folder=folder,
        data=files.folder,
        format="dmoj",
        root=Group(rules=Rules(verdict="first", stops=False, has_pretests=True, max_score=most), members=tuple(members)),
        checkers=(checker,),
        limits=Limits(time=_TIME, memory=_MEMORY),
        is_scoring=True,
        allows_score=True,
    )


def _worth(member: Test | Group) -> float:
    return (member.max_score if isinstance(member, Test) else member.rules.max_score) or 0.0


class _Files:
    """The test data: files of the problem's folder, or of an archive, which are then unpacked to a folder of their own."""

    def __init__(self, folder: str, archive: str, given: Settings) -> None:
        self._top, self._given = folder, given
        self._left = _LARGEST
        self.folder = ""
        self._archive: zipfile.ZipFile | None = None
        if archive:
            try:
                self._archive = zipfile.ZipFile(_inside(folder, archive))
            except (OSError, ValueError, zipfile.BadZipFile) as error:
                given.problem(f"archive: {archive}: {getattr(error, 'strerror', None) or error}")
            scratch = Scratch()
            self.folder = scratch.path
            atexit.register(scratch.close)

    def path(self, name: str, target: str) -> str:
        """Return where a file is, unpacked as `target` where it comes from the archive. Raises ValueError."""
        if not self.folder:
            return _inside(self._top, name)
        path = os.path.join(self.folder, target)
        if self._archive:
            self._unpack(self._archive, name, path)
        return path

    def _unpack(self, archive: zipfile.ZipFile, name: str, path: str) -> None:
        try:
            with archive.open(name) as source, open(path, "wb") as target:
                while chunk := source.read(1 << 20):
                    self._left -= len(chunk)
                    if self._left < 0:
                        raise ValueError(f"the archive holds more than {_LARGEST} bytes")
                    target.write(chunk)
        except KeyError:
            raise ValueError(f"{name}: not in the archive") from None
        except (OSError, zipfile.BadZipFile, RuntimeError) as error:  # RuntimeError: encrypted
            raise ValueError(f"{name}: {error}") from error


def _inside(folder: str, name: str) -> str:
    """Return the path of a file of the problem's folder. Raises ValueError for what is none, or lies elsewhere."""
    path = os.path.normpath(os.path.join(folder, name))
    if not path.startswith(folder + "/") or not os.path.isfile(path):
        raise ValueError(f"{name}: no such file")
    return path


class _Reader:
    """Reads the tests and batches of init.yml."""

    def __init__(self, given: Settings, files: _Files) -> None:
        self._given, self._files = given, files
        self._batches = 0
        self._tests = 0

    def members(self) -> list[Test | Group]:
        """Read `pretest_test_cases`, which are worth nothing, and `test_cases`."""
        if self._given.is_map("test_cases"):
            line = self._given.line("test_cases")
            self._given.skip("test_cases")
            self._given.problem("test_cases: patterns of file names cannot be read here: list the tests", line)
            return []
        if not self._given.has("test_cases"):
            self._given.problem("test_cases: is missing")
        points = self._given.take("points", settings.at_least(0), 1.0)
        pretests = [self._member(each, 0.0) for each in self._given.items("pretest_test_cases")]
        return pretests + [self._member(each, points) for each in self._given.items("test_cases")]

    def _member(self, given: Settings, points: float) -> Test | Group:
        points = given.take("points", settings.at_least(0), points)
        if not given.has("batched"):
            return self._test(given, "", points)
        self._batches += 1
        name = f"batch{self._batches}"
        needs = given.take("dependencies", self._earlier, _NONE)
        tests = tuple(self._test(each, name, None) for each in given.items("batched"))
        given.refuse_rest()
        return Group(name=name, rules=Rules(score="pass-fail", max_score=points, requires=needs), members=tests)

    def _earlier(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(each, int) and 0 < each < self._batches for each in value):
            raise ValueError(f"expected numbers of earlier batches, got {value!r}")
        return tuple(f"batch{each}" for each in value)

    def _test(self, given: Settings, group: str, points: float | None) -> Test:
        self._tests += 1
        name = f"{group}/{self._tests}" if group else str(self._tests)
        line = given.first_line()
        if not given.has("in"):
            given.problem("in: is missing", line)
        source = given.take("in", self._found(f"{self._tests}.in"), "")
        answer = given.take("out", self._found(f"{self._tests}.out"), "")
        given.skip("points", "output_limit_length", "output_prefix_length", "binary_data")
        given.refuse_rest()
        return Test(name=name, input=source, answer=answer, group=group, max_score=points)

    def _found(self, target: str) -> Callable[[Any], str]:
        return lambda value: self._files.path(settings.text(value), target)


def _checker(folder: str, given: Settings) -> Checker:
    """Read `checker`: a name, or a map with a name and arguments."""
    line = given.line("checker") if given.has("checker") else 1
    if given.is_map("checker"):
        section = given.section("checker")
        name = section.take("name", settings.text, "standard")
        args = section.section("args")
        section.refuse_rest()
    else:
        name, args = given.take("checker", settings.text, "standard"), Settings(given.path, given.problems)
    if name == "bridged":
        return _bridged(folder, args)
    flags = _flags(name, args)
    if not flags:
        given.problem(f"checker: {name}: expected one of {', '.join((*_PLAIN, 'sorted', 'floats', 'bridged'))}", line)
    args.skip("pe_allowed", "feedback")
    args.refuse_rest()
    return Checker(flags=flags)


def _flags(name: str, args: Settings) -> tuple[str, ...]:
    """Return the flags of the built-in comparison for one of DMOJ's checkers, none for one that it does not have."""
    if name == "sorted":
        return (
            f"sorted-{args.take('split_on', settings.one_of('lines', 'whitespace'), 'lines').replace('whitespace', 'words')}",
        )
    if name in ("floats", "floatsabs", "floatsrel"):
        usual = {"floatsabs": "absolute", "floatsrel": "relative"}.get(name, "default")
        mode = args.take("error_mode", settings.one_of(*_FLOATS), usual)
        precision = args.take("precision", settings.at_least(0), 6.0)
        return (_FLOATS[mode], f"{10**-precision:g}", "case_sensitive")
    return _PLAIN.get(name, ())


def _programs(folder: str, value: Any) -> tuple[str, ...]:
    names = settings.texts(value)
    if not names:
        raise ValueError("expected a file")
    return tuple(_inside(folder, name) for name in names)


def _bridged(folder: str, args: Settings) -> Checker:
    if not args.has("files"):
        args.problem("checker: files: is missing")
    files = args.take("files", lambda value: _programs(folder, value), _NONE)
    kind = args.take("type", settings.one_of("default", "testlib"), "default")
    args.skip("lang", "time_limit", "memory_limit", "compiler_time_limit", "feedback", "flags", "cached")
    args.refuse_rest()
    path = files[0] if files else ""
    more = tuple(os.path.relpath(each, os.path.dirname(path)) for each in files[1:])
    return Checker(protocol="testlib" if kind == "testlib" else "status", path=path, more=more)
