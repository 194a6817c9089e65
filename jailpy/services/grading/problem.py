"""A problem: its tests, groups, limits and checker, whatever format they were written in. `Problem.load` reads any of them."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from typing import Any, Literal

import msgspec

from jailpy.errors import ProblemError
from jailpy.services.grading import results

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader

    from jailpy.services.grading.submission import Submission

Protocol = Literal["default", "kattis", "testlib", "status"]
MIB = 1 << 20


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and bytes. `time` is CPU time of one run, None where accepted submissions are to be measured.

    `file_writing` says whether a submission may create, change and remove files.
    """

    time: float | None = None
    file_writing: bool = True
    memory: int = 2048 * MIB
    output: int = 8 * MIB
    code: int = 128 << 10
    compilation_time: float = 60
    compilation_memory: int = 2048 * MIB
    validation_time: float = 60
    validation_memory: int = 2048 * MIB
    validation_output: int = 8 * MIB
    passes: int = 2
    ac_to_time_limit: float = 2.0
    time_limit_to_tle: float = 1.5
    time_resolution: float = 1.0


class Checker(msgspec.Struct, frozen=True, kw_only=True):
    """What decides on an output. `path` is a file or folder of the package, "" for the built-in comparison.

    `more` are names of files beside it that it is compiled with. `protocol` says how the program is called and what its exit
    status means: `kattis` 42 and 43 with a feedback folder, `testlib` 0, 1, 2, 3, 7 with the output as a file, `status` 0 or 1.
    """

    protocol: Protocol = "default"
    path: str = ""
    more: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


class Test(msgspec.Struct, frozen=True, kw_only=True):
    """One test. Paths are absolute; `answer` and `files` are "" where there is none."""

    __test__ = False

    name: str
    input: str
    answer: str = ""
    kind: Literal["sample", "secret"] = "secret"
    group: str = ""
    args: tuple[str, ...] = ()
    checker_flags: tuple[str, ...] = ()
    files: str = ""
    max_score: float | None = None


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How the results of a group's tests and groups become its own.

    `verdict` and `score` say which of the members' count; `accept` and `reject` are the scores of a test that its checker
    gave none. `stops` ends the group with the first member that is not accepted. `requires` names groups that must be,
    `has_pretests` lets a failed member that is worth nothing end the group.
    """

    verdict: Literal["first", "worst", "always", "any"] = "first"
    score: Literal["sum", "avg", "min", "max", "pass-fail"] = "sum"
    ignores_sample: bool = False
    accept: float = 1.0
    reject: float = 0.0
    max_score: float | None = None
    stops: bool = True
    has_pretests: bool = False
    requires: tuple[str, ...] = ()


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Tests and groups, in judging order. The root's name is ""."""

    name: str = ""
    rules: Rules = Rules()
    members: tuple[Test | Group, ...] = ()

    def tests(self) -> Iterator[Test]:
        """Yield every test below, in order."""
        for member in self.members:
            if isinstance(member, Test):
                yield member
            else:
                yield from member.tests()


class Problem(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A problem as judging needs it. `warnings` are defects that do not stop judging, as `file:line: what`.

    `title` is its name for people, "" where nothing gives one. `data` is where the test data was unpacked to, "" where it lies
    in the problem's folder.
    """

    name: str
    title: str = ""
    folder: str
    data: str = ""
    format: Literal["2025-09", "legacy", "folder", "dmoj"]
    root: Group
    checkers: tuple[Checker, ...] = (Checker(),)
    limits: Limits = Limits()
    is_scoring: bool = False
    is_interactive: bool = False
    is_multipass: bool = False
    needs_score: bool = False
    allows_score: bool = False
    languages: tuple[str, ...] = ()
    constants: dict[str, str] = {}
    warnings: tuple[str, ...] = ()

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Problem:
        """Read a problem: a Kattis package (2025-09, legacy), a folder with DMOJ's init.yml, or one of *.in and *.ans or *.out.

        Raises ProblemError with everything that is wrong at once.
        """
        folder = os.path.abspath(os.fspath(path))
        if not os.path.isdir(folder):
            raise ProblemError(f"{folder}: is no folder")
        try:
            return _reader(folder)(folder)
        except OSError as error:
            raise ProblemError(f"{error.filename or folder}: {error.strerror}") from error

    def judge(self, submission: Submission | str | os.PathLike[str], **options: Any) -> results.SubmissionResult:
        """Judge one submission, or the file, folder or zip file at a path. Options are those of `Options`.

        For many, `Judge` builds the checkers once. Raises ProblemError, RefusedError for a path, JailPyError.
        """
        from jailpy.services.grading import intake
        from jailpy.services.grading.engine import Judge, Options

        taken = intake.read(submission) if isinstance(submission, str | os.PathLike) else submission
        with Judge(self, Options(**{"jobs": 1, **options})) as judge:
            return judge.judge(taken)

    @functools.cached_property
    def tests(self) -> tuple[Test, ...]:
        """Every test, in order."""
        return tuple(self.root.tests())

    @property
    def max_score(self) -> float | None:
        """The most that a submission can score; None for a pass-fail problem, and where there is no bound."""
        return self.root.rules.max_score if self.is_scoring else None

    @functools.cached_property
    def digest(self) -> str:
        """A SHA-256 over all that can change a verdict. Raises ProblemError."""
        whole = hashlib.sha256(msgspec.json.encode(self._settings()))
        own = [os.path.join(os.path.dirname(each.path), name) for each in self.checkers if each.path for name in each.more]
        own += [checker.path for checker in self.checkers if checker.path]
        paths = [path for each in own for path in files_below(each)]
        paths += [path for test in self.tests if test.files for path in files_below(test.files)]
        paths += files_below(os.path.join(self.folder, "include"))
        for test in self.tests:
            for path in (test.input, test.answer):
                whole.update(test.name.encode(errors="surrogateescape") + b"\0" + (_sum(path) if path else b""))
        for path in paths:
            whole.update(os.path.relpath(path, self.folder).encode(errors="surrogateescape") + b"\0" + _sum(path))
        return f"sha256:{whole.hexdigest()}"

    def _settings(self) -> dict[str, Any]:
        skipped = ("folder", "warnings", "name", "data")
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name not in skipped}
        text = msgspec.json.encode(fields).decode(errors="replace")
        return {"settings": text.replace(self.folder + "/", "").replace((self.data or self.folder) + "/", "")}

    def info(self, limits: results.Limits) -> results.ProblemInfo:
        """Return the problem as reports show it, with the limits of one run."""
        tests = tuple(
            results.TestCase(name=test.name, kind=test.kind, group=test.group, max_score=test.max_score) for test in self.tests
        )
        return results.ProblemInfo(
            name=self.name,
            title=self.title,
            digest=self.digest,
            type="scoring" if self.is_scoring else "pass-fail",
            limits=limits,
            max_score=self.max_score,
            tests=tests,
        )


def files_below(path: str) -> list[str]:
    """Return a file itself, or every file below a folder, sorted; nothing where there is neither."""
    if os.path.isfile(path):
        return [path]
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)


def opened(path: str) -> BufferedReader:
    """Open a file of a problem. Raises OSError; ProblemError for a pipe or a device, which may have no end."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ProblemError(f"{path}: is no regular file")
    return open(number, "rb")


def _sum(path: str) -> bytes:
    try:
        with opened(path) as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise ProblemError(f"{path}: {error.strerror}") from error


def _reader(folder: str) -> Callable[[str], Problem]:
    """Return what reads the format of a folder."""
    from jailpy.services.grading import problem_dmoj, problem_folder, problem_kattis

    if os.path.exists(os.path.join(folder, "init.yml")):
        return problem_dmoj.load
    if any(os.path.exists(os.path.join(folder, name)) for name in ("problem.yaml", "data")):
        return problem_kattis.load
    return problem_folder.load
