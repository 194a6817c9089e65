"""Submissions through JailPy's judge, and by as many threads without jails and in bubblewrap's. In a process of its own."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.common import FailedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

SOURCES = {
    "py": "import sys\nprint(sum(map(int, sys.stdin.read().split())))\n",
    "c": '#include <stdio.h>\nint main(void) { long s = 0, n; while (scanf("%ld", &n) == 1) s += n; printf("%ld\\n", s); }\n',
}


def speed(language: str, submissions: int, tests: int, jobs: int) -> dict[str, float | None]:
    """Judge copies of one right program. Returns seconds, runs per second, and milliseconds beside the jailed runs per test.

    `bare_s` is the time of the same programs, compiled already, without jails. `peer_runs_per_s` is what bubblewrap around each
    program reaches where each submission is compiled (without a jail) and each output compared; None where it is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="jailpy-benchmark-") as folder:
        inputs = _problem(folder, tests)
        graded_s, beside_s = _graded(folder, language, submissions, jobs)
        bare_s = _bare(folder, language, inputs * submissions, jobs)
        peer_s = _peer(folder, language, inputs, submissions, jobs)
    runs = submissions * tests
    return {
        "graded_s": graded_s,
        "bare_s": bare_s,
        "runs_per_s": runs / graded_s,
        "beside_ms": beside_s / runs * 1000,
        "peer_runs_per_s": runs / peer_s if peer_s else None,
    }


def _problem(folder: str, tests: int) -> list[str]:
    """Write a plain folder of tests; return the paths of the inputs."""
    paths = []
    for number in range(tests):
        path = os.path.join(folder, f"{number}.in")
        for name, content in ((path, f"{number} 1\n"), (f"{path[:-3]}.ans", f"{number + 1}\n")):
            with open(name, "w", encoding="ascii") as file:
                file.write(content)
        paths.append(path)
    return paths


def _graded(folder: str, language: str, submissions: int, jobs: int) -> tuple[float, float]:
    """Return how long judging took, and how much of all jobs' time was no part of a call of the launcher."""
    import jailpy
    from jailpy import grading

    source = SOURCES[language].encode()
    files = [(grading.SourceFile(path=f"a.{language}", content=source + b"\n" * number),) for number in range(submissions)]
    given = [grading.Submission(name=str(number), files=each) for number, each in enumerate(files)]
    with grading.Judge(grading.Problem.load(folder), grading.Options(jobs=jobs)) as judge:
        list(judge.judge_all(given[:jobs]))
        clock = _Clock(jailpy.Launcher.run)
        jailpy.Launcher.run = clock.run  # type: ignore[method-assign]
        try:
            started = time.perf_counter()
            found = list(judge.judge_all(given))
            took = time.perf_counter() - started
        finally:
            jailpy.Launcher.run = clock.original  # type: ignore[method-assign]
    wrong = [result for result in found if result.verdict != "AC"]
    if wrong:
        raise FailedError(f"a right program was judged {wrong[0].verdict}: {wrong[0].message}")
    return took, took * jobs - clock.spent_s


class _Clock:
    """Adds up the time of all calls of a launcher."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self.original = original
        self.spent_s = 0.0
        self._lock = threading.Lock()

        def run(launcher: object, *args: object, **options: object) -> object:
            started = time.perf_counter()
            try:
                return original(launcher, *args, **options)
            finally:
                with self._lock:
                    self.spent_s += time.perf_counter() - started

        self.run = run


def _bare(folder: str, language: str, inputs: Sequence[str], jobs: int) -> float:
    """Return how long the program takes on these inputs, by as many threads as there were jobs."""
    command = _program(folder, language, "bare")
    started = time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda source: _output(command, source), inputs))
    return time.perf_counter() - started


def _peer(folder: str, language: str, inputs: Sequence[str], submissions: int, jobs: int) -> float | None:
    """Return how long bubblewrap's jails take, one for each input of each submission; None where there is no bubblewrap."""
    try:
        prefix = [peers.BUBBLEWRAP.path(), *peers.BUBBLEWRAP.options.split()]
    except UnavailableError:
        return None

    def judge(number: int) -> None:
        *interpreter, path = _program(folder, language, f"peer-{number}")
        command = [*prefix, "--ro-bind", path, "/program", "--", *interpreter, "/program"]
        for source in inputs:
            with open(f"{source[:-3]}.ans", "rb") as answer:
                if _output(command, source) != answer.read():
                    raise FailedError(f"bubblewrap: a right program gave a wrong answer to {source}")

    started = time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(judge, range(submissions)))
    return time.perf_counter() - started


def _program(folder: str, language: str, name: str) -> list[str]:
    """Write the program, compile it where its language is compiled; return the command."""
    path = os.path.join(folder, f"{name}.{language}")
    with open(path, "w", encoding="ascii") as file:
        file.write(SOURCES[language])
    if language != "c":
        return ["/usr/bin/python3", path]
    subprocess.run(["gcc", "-O2", "-static", "-o", path[:-2], path], check=True)
    return [path[:-2]]


def _output(command: Sequence[str], source: str) -> bytes:
    with open(source, "rb") as file:
        return subprocess.run(command, stdin=file, capture_output=True, check=True).stdout
