"""`jailpy grade`: judge submissions; progress on standard error, the table on standard output, reports in a folder."""

from __future__ import annotations

import os
import signal

import click

from jailpy.cli.console import complain, say
from jailpy.errors import JailPyError, ProblemError, UsageError, and_more
from jailpy.profile.values import parse_duration, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from jailpy.services.grading.engine import Options
    from jailpy.services.grading.grade import Order, Run

_EXAMPLES = """\b
Examples:
  jailpy grade sums alice.py bob.c
  jailpy grade sums --each submissions --report out --format all
  jailpy grade sums --each submissions --report out --resume
  jailpy grade sums --verify
  jailpy grade sums /autograder/submission --report out --format gradescope --show verdict

\b
Exit status: 0 all were judged; 1 some ended with JE or IE, broke a promise, or the host is not fit for it; 2 a wrong option or
problem; 129, 130, 143 interrupted, with the reports of what was judged.
"""
_REPORTS = "json, csv, junit, html, gradescope, icpc, isolate, or all. Default: json,csv,junit,html."


def _measure(parse: Callable[[str], float]) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    """Return a callback that reads a size or a duration as profiles write them."""

    def read(_: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
        try:
            found = None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(f"expected {error}") from None
        if found == 0:
            raise click.BadParameter("expected more than 0")
        return found

    return read


@click.command(epilog=_EXAMPLES)
@click.argument("problem", metavar="PROBLEM")
@click.argument("submissions", nargs=-1, metavar="[SUBMISSION...]")
@click.option(
    "-p",
    "--profile",
    type=click.Choice(("strict", "grade-container")),
    default="strict",
    help="Jail of the runs: strict, or grade-container for root in a plain container.",
)
@click.option("--each", multiple=True, metavar="FOLDER", help="Every file and folder in FOLDER is a submission.")
@click.option("--report", metavar="DIR", help="Folder for reports and results. Default: grading-PROBLEM.")
@click.option("--format", "formats", default="", metavar="NAME,...", help=_REPORTS)
@click.option(
    "--show",
    type=click.Choice(("sample", "verdict", "all")),
    help="What students see. Redacts every report; default: Gradescope's alone.",
)
@click.option("--verify", is_flag=True, help="Judge the problem's own submissions, and compare with what they promise.")
@click.option("--resume", is_flag=True, help="Go on with a grading that broke off; nothing is judged twice.")
@click.option(
    "-j", "--jobs", type=click.IntRange(1, 1024), metavar="N", help="Submissions at a time. Default: the physical cores."
)
@click.option(
    "--rejudge-near",
    default=0.2,
    type=click.FloatRange(0, 1),
    metavar="PART",
    help="Repeat runs this near the time limit alone.",
)
@click.option(
    "--time-limit",
    callback=_measure(parse_duration),
    metavar="DURATION",
    help="CPU time of a run, in place of the problem's.",
)
@click.option("--memory", callback=_measure(parse_size), metavar="SIZE", help="Memory of a run, in place of the problem's.")
@click.option("--all-tests", is_flag=True, help="Run every test, also after one that decides.")
@click.option("--workers", default="", metavar="tcp://HOST:PORT", help="Judge on the workers of a Dask scheduler.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.pass_context
def grade(
    context: click.Context, /, problem: str, submissions: tuple[str, ...], each: tuple[str, ...], **given: object
) -> None:
    """Judge submissions against a problem, each run in a jail, and write reports.

    PROBLEM is a Kattis problem package, a DMOJ folder, or a folder of *.in and *.ans or *.out files. SUBMISSION is a
    source file, a folder or a zip file.
    """
    try:
        order = _order(problem, submissions, each, given)
    except (UsageError, ProblemError) as error:
        complain(error)
        context.exit(2)
    context.exit(_grade(order, quiet=bool(given["quiet"])))


def _order(problem: str, submissions: tuple[str, ...], each: tuple[str, ...], given: dict[str, object]) -> Order:
    """Make of the command line what the service takes. Raises UsageError, ProblemError."""
    from jailpy.services.grading import examples, intake
    from jailpy.services.grading.grade import Order
    from jailpy.services.grading.names import safe
    from jailpy.services.grading.problem import Problem

    paths = [*submissions, *(path for folder in each for path in intake.entries(folder))]
    verify = bool(given["verify"])
    if not paths and not verify:
        raise UsageError("there is no submission", ["name files, folders or zip files, or a folder of them with --each"])
    if paths and verify:
        raise UsageError("option --verify: judges the problem's own submissions, and no others")
    missing = [path for path in submissions if not os.path.lexists(path)]
    if missing:
        raise UsageError(f"submission {missing[0]}: No such file or directory{and_more(missing)}")
    loaded = Problem.load(problem)
    for warning in loaded.warnings:
        say(f"warning: {warning}")
    name = os.path.basename(os.path.abspath(problem))
    return Order(
        problem=loaded,
        sources=tuple(examples.sources(loaded) if verify else intake.sources(paths)),
        options=_options(given),
        folder=os.path.abspath(str(given["report"] or f"grading-{safe(name)}")),
        formats=_formats(str(given["formats"])),
        show=given["show"],  # type: ignore[arg-type]
        resume=bool(given["resume"]),
        verify=verify,
        workers=str(given["workers"]),
    )


def _options(given: dict[str, object]) -> Options:
    from jailpy.services.grading.engine import Options

    return Options(**{name: given[name] for name in ("jobs", "rejudge_near", "time_limit", "memory", "all_tests", "profile")})  # type: ignore[arg-type]


def _formats(text: str) -> tuple[str, ...]:
    from jailpy.services.grading import reports

    names = [name for name in text.replace(" ", "").split(",") if name]
    asked = reports.chosen([name for name in names if name != "all"])
    return tuple(reports.FORMATS) if "all" in names else asked or reports.DEFAULT


def _grade(order: Order, *, quiet: bool) -> int:
    """Judge and show. SIGHUP, SIGINT and SIGTERM end it with the reports of what there is."""
    from jailpy.cli.grade_view import show, watching
    from jailpy.services.grading.grade import Run

    with watching(len(order.sources), quiet=quiet) as watch:
        run = Run(order, watch)
        caught = _Signals(run)
        try:
            grading = run.grade()
        except JailPyError as error:
            watch.close()
            if run.grading:
                show(run.grading, order.folder, order.show)
            complain(error)
            return 2 if isinstance(error, UsageError | ProblemError) else 1
    show(grading, order.folder, order.show)
    return caught.status or grading.status


class _Signals:
    """SIGHUP, SIGINT and SIGTERM stop a run; `status` is then 128 and the signal's number."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.status = 0
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._caught)

    def _caught(self, number: int, _: FrameType | None) -> None:
        if self.status and not self._run.is_judging:
            raise KeyboardInterrupt  # a checker that is built, a time limit that is measured: not waited for a second time
        self.status = 128 + number
        self._run.stop()
