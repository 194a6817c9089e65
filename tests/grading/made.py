"""Gradings that the tests of reports share, with every verdict and with hostile texts."""

from __future__ import annotations

import random

from jailpy.services.grading.results import (
    CompileResult,
    Evidence,
    Excerpt,
    Grading,
    GroupResult,
    Host,
    Limits,
    ProblemInfo,
    SubmissionResult,
    TestCase,
    TestResult,
    Timing,
    Verdict,
)

MB = 1 << 20
HOSTILE = "</pre><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b[2J\x00\u202eevil\n=cmd()|{{ 7*7 }}]]>"
CASES = tuple(
    TestCase(name=f"{kind}/{number:02d}", kind=kind)
    for kind, numbers in (("sample", 2), ("secret", 8))
    for number in range(1, numbers + 1)
)
LIMITS = Limits(cpu_s=2, wall_s=4, memory_bytes=256 * MB, output_bytes=8 * MB, code_bytes=128 << 10)
_ENDINGS = {
    Verdict.AC: {"exit_code": 0},
    Verdict.WA: {
        "exit_code": 0,
        "message": "line 2: expected 42, got 41",
        "team_message": "line 2 differs",
        "output": Excerpt(text="17\n41\n", total_bytes=6),
    },
    Verdict.PE: {"exit_code": 0, "output": Excerpt(text="17 42\n", total_bytes=6)},
    Verdict.TLE: {
        "signal": 9,
        "cpu_s": 2.01,
        "wall_s": 2.04,
        "evidence": Evidence(limit="cpu", configured=2, measured=2.01, source="cgroup2 cpu.stat"),
        "timing": Timing(quality="alone", repeats=2),
    },
    Verdict.WTLE: {
        "signal": 9,
        "wall_s": 4.0,
        "evidence": Evidence(limit="wall", configured=4, measured=4.0, source="CLOCK_MONOTONIC"),
    },
    Verdict.ITLE: {
        "signal": 9,
        "wall_s": 3.1,
        "evidence": Evidence(limit="idle", configured=3, measured=3.1, source="CLOCK_MONOTONIC"),
    },
    Verdict.MLE: {
        "signal": 9,
        "wall_s": 0.81,
        "memory_bytes": 256 * MB,
        "evidence": Evidence(limit="memory", configured=256 * MB, measured=256 * MB, source="memory.events oom_kill=1"),
    },
    Verdict.OLE: {
        "signal": 9,
        "evidence": Evidence(
            limit="output", configured=8 * MB, measured=8 * MB + 1, source="bytes read from the payload's pipes"
        ),
        "output": Excerpt(text="no\n" * 900, total_bytes=8 * MB, truncated=True),
    },
    Verdict.RTE: {
        "signal": 11,
        "error_output": Excerpt(text="Traceback (most recent call last):\n  File a.py, line 3\nIndexError\n", total_bytes=66),
    },
    Verdict.SV: {"signal": 31, "evidence": Evidence(limit="seccomp", source="ptrace")},
    Verdict.FLE: {
        "signal": 25,
        "evidence": Evidence(limit="file_size", configured=64 * MB, measured=64 * MB, source="SIGXFSZ"),
    },
    Verdict.JE: {"exit_code": 0, "message": "the checker died of SIGSEGV"},
    Verdict.IE: {"message": "the jail could not be set up"},
}


def tested(case, verdict, cpu):
    """Make a test's result with what such a verdict comes with."""
    fields = {"cpu_s": cpu, "wall_s": cpu * 1.1, "memory_bytes": 9 * MB} | _ENDINGS[verdict]
    return TestResult(name=case.name, kind=case.kind, group=case.name.partition("/")[0], verdict=verdict, **fields)


def submission(name, verdict, language="Python 3", cpu=0.02, fails_at=4):
    """Make a submission that passes until `fails_at`, and stops there."""
    if verdict == Verdict.CE:
        compiled = CompileResult(ok=False, exit_code=1, output=Excerpt(text="a.c:3:5: error: expected ';'\n", total_bytes=30))
        return SubmissionResult(name=name, verdict=verdict, language="C", compile=compiled)
    passed = CASES if verdict == Verdict.AC else CASES[:fails_at]
    tests = [tested(case, Verdict.AC, cpu * (1 + number / 9)) for number, case in enumerate(passed)]
    if verdict != Verdict.AC:
        tests.append(tested(CASES[fails_at], verdict, cpu))
    groups = (GroupResult(name="sample", verdict=Verdict.AC), GroupResult(name="secret", verdict=verdict))
    return SubmissionResult(name=name, verdict=verdict, language=language, tests=tuple(tests), groups=groups)


def grading(submissions, **more):
    """Make a grading around submissions."""
    fields = {
        "problem": ProblemInfo(name="Paths in a grid", digest="sha256:" + "5e" * 32, limits=LIMITS, tests=CASES),
        "host": Host(kernel="6.1.0-28-amd64", machine="x86_64", cpu="AMD EPYC", cores=2),
        "started_at": "2026-01-01T10:00:00Z",
        "ended_at": "2026-01-01T10:01:30.500Z",
        "jailpy": "0.1.0",
        "options": {"jobs": 2, "rejudge_near": 0.2},
    }
    return Grading(submissions=tuple(submissions), **(fields | more))


def every_verdict():
    """Return a grading with a submission for each verdict, and some that share one."""
    random.seed(6)
    entries = [submission(f"{verdict.lower()}.py", verdict) for verdict in Verdict]
    entries += [submission(f"student{number:02d}.py", Verdict.AC, cpu=random.uniform(0.02, 1.3)) for number in range(12)]
    return grading(entries)


def hostile():
    """Return a grading whose every text is hostile, with an interruption."""
    test = TestResult(
        name=HOSTILE,
        verdict=Verdict.WA,
        message=HOSTILE,
        team_message=HOSTILE,
        output=Excerpt(text=HOSTILE, total_bytes=5),
        error_output=Excerpt(text=HOSTILE, total_bytes=5),
        evidence=Evidence(limit=HOSTILE, source=HOSTILE),
    )
    compiled = CompileResult(ok=False, output=Excerpt(text=HOSTILE, total_bytes=5))
    entries = [
        SubmissionResult(name=HOSTILE, language=HOSTILE, verdict=Verdict.WA, notes=(HOSTILE,), tests=(test,)),
        SubmissionResult(name="=1+1", verdict=Verdict.CE, compile=compiled),
        SubmissionResult(name="x" * 500, verdict=Verdict.IE, message=HOSTILE),
    ]
    problem = ProblemInfo(name=HOSTILE, title=HOSTILE, digest=HOSTILE, tests=(TestCase(name=HOSTILE),))
    return grading(entries, problem=problem, interrupted=True, pending=(HOSTILE,), options={HOSTILE: HOSTILE})
