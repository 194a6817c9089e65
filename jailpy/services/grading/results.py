"""What judging finds, as frozen values: every report, the store and the workers speak in these types. Pure.

Times are seconds, sizes bytes. A value that was not measured is None, never 0. Texts of submissions and checkers are
kept as they came, bounded: who shows them escapes them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

SCHEMA = 1


class Verdict(StrEnum):
    """How a test, or a whole submission, ended. JE and IE never cost the student anything."""

    AC = "AC"
    WA = "WA"
    PE = "PE"
    TLE = "TLE"
    WTLE = "WTLE"
    ITLE = "ITLE"
    MLE = "MLE"
    OLE = "OLE"
    RTE = "RTE"
    CE = "CE"
    SV = "SV"
    FLE = "FLE"
    JE = "JE"
    IE = "IE"

    @property
    def words(self) -> str:
        """The name in words."""
        return _WORDS[self]

    @property
    def is_ours(self) -> bool:
        """Whether the fault is the judge's, not the submission's."""
        return self in (Verdict.JE, Verdict.IE)


_WORDS = {
    Verdict.AC: "accepted",
    Verdict.WA: "wrong answer",
    Verdict.PE: "presentation error",
    Verdict.TLE: "time limit exceeded",
    Verdict.WTLE: "wall-clock time limit exceeded",
    Verdict.ITLE: "idleness limit exceeded",
    Verdict.MLE: "memory limit exceeded",
    Verdict.OLE: "output limit exceeded",
    Verdict.RTE: "run-time error",
    Verdict.CE: "compile error",
    Verdict.SV: "security violation",
    Verdict.FLE: "file limit exceeded",
    Verdict.JE: "judge error",
    Verdict.IE: "internal error",
}


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The limit that ended a run: its name, what was allowed and measured, and how it was measured (`sources`)."""

    limit: str
    configured: float | int | None = None
    measured: float | int | None = None
    source: str = ""


class Excerpt(msgspec.Struct, frozen=True, kw_only=True):
    """The start of an output: its text (undecodable bytes as surrogates replaced), and how many bytes there were in all."""

    text: str = ""
    total_bytes: int | None = None
    truncated: bool = False


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How far a time can be trusted.

    `quality`: `alone` nothing else of this grading ran; `own-core` others ran on other physical cores; `shared` others
    may have run on the same core. `repeats` counts the runs of the test, 1 where the first one stands.
    """

    quality: Literal["alone", "own-core", "shared"] = "shared"
    repeats: int = 1


class TestResult(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one submission. `name` is the test's path below `data`, without a suffix: `secret/large/03`.

    `message` is the checker's word for judges, `team_message` the one for students. `cpu_s`, `wall_s` and
    `memory_bytes` are those of the submission's own run.
    """

    __test__ = False  # not a test of pytest's

    name: str
    verdict: Verdict
    kind: Literal["sample", "secret"] = "secret"
    group: str = ""
    score: float | None = None
    cpu_s: float | None = None
    wall_s: float | None = None
    memory_bytes: int | None = None
    evidence: Evidence | None = None
    exit_code: int | None = None
    signal: int | None = None
    message: str = ""
    team_message: str = ""
    output: Excerpt = Excerpt()
    error_output: Excerpt = Excerpt()
    timing: Timing = Timing()


class CompileResult(msgspec.Struct, frozen=True, kw_only=True):
    """The compilation: whether there is something to run, and what the compiler said."""

    ok: bool
    command: tuple[str, ...] = ()
    exit_code: int | None = None
    wall_s: float | None = None
    evidence: Evidence | None = None
    output: Excerpt = Excerpt()


class GroupResult(msgspec.Struct, frozen=True, kw_only=True):
    """A test group: its path below `data`, the verdict and score that its tests come to, and the most it can score."""

    name: str
    verdict: Verdict
    score: float | None = None
    max_score: float | None = None


class SubmissionResult(msgspec.Struct, frozen=True, kw_only=True):
    """One submission. `score` is None where the problem is pass-fail.

    `message` says why it was not judged at all (CE, JE, IE); `notes` are remarks of the intake. `expected` holds the
    verdicts that its folder promises (`--verify`), `broken` in words what it promised and did not do. A test that was not
    run, as an earlier one had decided, is not among `tests`. `started_at` and `ended_at` are UTC, RFC 3339.
    """

    name: str
    verdict: Verdict
    language: str = ""
    score: float | None = None
    max_score: float | None = None
    message: str = ""
    notes: tuple[str, ...] = ()
    compile: CompileResult | None = None
    groups: tuple[GroupResult, ...] = ()
    tests: tuple[TestResult, ...] = ()
    expected: tuple[Verdict, ...] = ()
    broken: tuple[str, ...] = ()
    started_at: str | None = None
    ended_at: str | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What each run of a submission may take. None where there is no limit; `file_writing` says whether it may write files."""

    cpu_s: float | None = None
    wall_s: float | None = None
    idle_s: float | None = None
    memory_bytes: int | None = None
    output_bytes: int | None = None
    code_bytes: int | None = None
    compile_s: float | None = None
    file_writing: bool = True


class TestCase(msgspec.Struct, frozen=True, kw_only=True):
    """A test of the problem, in judging order: the columns of the matrix."""

    __test__ = False

    name: str
    kind: Literal["sample", "secret"] = "secret"
    group: str = ""
    max_score: float | None = None


class ProblemInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The problem as reports show it. `name` is its folder's, `title` what people call it, "" where nothing says that.

    `digest` covers all that can change a verdict: data, checker, limits, settings.
    """

    name: str
    title: str = ""
    digest: str
    type: Literal["pass-fail", "scoring"] = "pass-fail"
    limits: Limits = Limits()
    max_score: float | None = None
    tests: tuple[TestCase, ...] = ()


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """Where the runs were made."""

    kernel: str
    machine: str
    cpu: str | None = None
    cores: int | None = None


class Grading(msgspec.Struct, frozen=True, kw_only=True):
    """The whole: one grading of submissions against a problem. `pending` names those that an interruption left unjudged.

    `started_at` and `ended_at` are UTC, RFC 3339.
    """

    problem: ProblemInfo
    submissions: tuple[SubmissionResult, ...]
    host: Host
    started_at: str
    ended_at: str
    jailpy: str
    schema: int = SCHEMA
    options: dict[str, str | int | float | bool | None] = {}
    interrupted: bool = False
    pending: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """The exit status of `jailpy grade`: 0 all judged, 1 where one ended with JE or IE, was not judged, broke a promise."""
        return int(bool(self.pending) or any(entry.verdict.is_ours or entry.broken for entry in self.submissions))
