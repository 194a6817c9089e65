"""What `jailpy grade` shows: a live table on a terminal, a line for each submission elsewhere, a table at the end."""

from __future__ import annotations

import contextlib
import sys
import time

import click

from jailpy.cli.console import say
from jailpy.services.grading.explain import explain_submission
from jailpy.services.grading.reports.csv_report import most
from jailpy.services.grading.reports.page import KIND
from jailpy.services.grading.session import Watch
from jailpy.services.grading.words import count, cut, number, seconds, short, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType
    from rich.table import Table

    from jailpy.services.grading.redact import Show
    from jailpy.services.grading.results import Grading, SubmissionResult, TestResult, Verdict

_STYLES = {"right": "green", "wrong": "red", "limit": "yellow", "crash": "magenta", "compile": "cyan", "ours": "bold blue"}
_NAME, _WHY, _FAULT = 40, 110, 400
_LATEST = 12  # submissions that the live table shows
_REDRAW_S = 0.1
_WIDE = 240


class View(Watch):
    """A watch that ends."""

    def close(self) -> None:
        """Show nothing more."""


@contextlib.contextmanager
def watching(total: int, *, quiet: bool) -> Iterator[View]:
    """Yield what shows progress on standard error: nothing, lines, or a live table."""
    watch = View() if quiet else Live(total) if sys.stderr.isatty() else Lines(total)
    try:
        yield watch
    finally:
        watch.close()


class Lines(View):
    """A line for each submission that was judged."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0

    def judged(self, result: SubmissionResult, *, known: bool) -> None:
        self._done += 1
        before = " (judged before)" if known else ""
        say(f"{self._done}/{self._total} {result.verdict.value} {short(result.name, _NAME)}{before}")


class Live(View):
    """The submissions that are being judged and the last that were, redrawn at events only: no thread beside the launchers."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (BarColumn(None), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, auto_refresh=False)
        self._task = self._progress.add_task("", total=total)
        self._running: dict[str, list[Verdict]] = {}
        self._latest: list[SubmissionResult] = []
        self._drawn = 0.0
        self._live = RichLive(console=console, auto_refresh=False, transient=True)
        self._live.start()
        self._draw()

    def started(self, name: str) -> None:
        self._running[name] = []
        self._draw()

    def tested(self, name: str, test: TestResult) -> None:
        self._running.setdefault(name, []).append(test.verdict)
        self._draw()

    def judged(self, result: SubmissionResult, *, known: bool) -> None:
        self._running.pop(result.name, None)
        self._latest = [*self._latest, result][-_LATEST:]
        self._progress.advance(self._task)
        self._draw()

    def waited(self) -> None:
        self._draw()

    def close(self) -> None:
        self._drawn = 0.0
        self._draw()
        self._live.stop()

    def _draw(self) -> None:
        if time.monotonic() - self._drawn >= _REDRAW_S:
            self._live.update(self._shown(), refresh=True)
            self._drawn = time.monotonic()

    def _shown(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        for result in self._latest:
            table.add_row(Text(short(result.name, _NAME)), _verdict(result.verdict), Text(_figures(result), style="dim"))
        for name, verdicts in self._running.items():
            table.add_row(Text(short(name, _NAME)), Text("judging", style="dim"), Text(f"{count(len(verdicts), 'test')} done"))
        if not self._latest and not self._running:
            table.add_row(Text("preparing the problem", style="dim"))
        return Group(table, self._progress)


def show(grading: Grading, folder: str, redaction: Show | None = None) -> None:
    """Print the table of results on standard output, and on standard error what came of all and where the reports are.

    The table is redacted as the reports are: students read the logs of build servers.
    """
    from rich.console import Console

    from jailpy.services.grading.redact import redact

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(_table(redact(grading, redaction or "all")))
    for entry in grading.submissions:
        for text in entry.notes if entry.expected else ():
            say(f"warning: {short(entry.name, _NAME)}: {text}")
        for text in entry.broken:
            say(f"not as promised: {short(entry.name, _NAME)}: {text}")
    for text in _faults(grading, with_tests=redaction in (None, "all")):
        say(text)
    for name in grading.pending[:_LATEST]:
        say(f"not judged: {short(name, _NAME)}")
    say(_conclusion(grading))
    say(f"reports: {folder}")


def _faults(grading: Grading, *, with_tests: bool) -> list[str]:
    """Say what was wrong with judge, jail or host, once for all submissions that it kept from being judged.

    What a checker said of a test may tell of its data: `with_tests` says whether that may be read.
    """
    names: dict[str, list[str]] = {}
    for entry in grading.submissions:
        if entry.verdict.is_ours:
            told = (test.message for test in entry.tests if test.verdict == entry.verdict and with_tests)
            names.setdefault(entry.message or next(told, ""), []).append(entry.name)
    return [
        f"{short(whose[0], _NAME)}{f' and {len(whose) - 1} more' if len(whose) > 1 else ''}: {cut(why, _FAULT)}"
        for why, whose in list(names.items())[:_LATEST]
        if why
    ]


def _table(grading: Grading) -> Table:
    from rich.table import Table
    from rich.text import Text

    scored = any(entry.score is not None for entry in grading.submissions)
    head = ["submission", "verdict", *(["score"] if scored else []), "time", "memory", "why"]
    table = Table(*head, box=None, pad_edge=False, show_edge=False)
    for entry in grading.submissions:
        score = [Text("" if entry.score is None else number(entry.score), justify="right")] if scored else []
        figures = [Text(part, justify="right") for part in _used(entry)]
        why = "" if entry.verdict == "AC" else explain_submission(entry)
        table.add_row(Text(short(entry.name, _NAME)), _verdict(entry.verdict), *score, *figures, Text(cut(why, _WHY)))
    return table


def _verdict(verdict: Verdict) -> RenderableType:
    from rich.text import Text

    return Text(verdict.value, style=_STYLES[KIND[verdict]])


def _used(entry: SubmissionResult) -> tuple[str, str]:
    time_s, memory = most(test.cpu_s for test in entry.tests), most(test.memory_bytes for test in entry.tests)
    return "" if time_s is None else seconds(time_s), "" if memory is None else size(memory)


def _figures(entry: SubmissionResult) -> str:
    return "  ".join(part for part in _used(entry) if part)


def _conclusion(grading: Grading) -> str:
    entries = grading.submissions
    parts = [f"{count(len(entries), 'submission')} judged", f"{sum(entry.verdict == 'AC' for entry in entries)} accepted"]
    ours = sum(entry.verdict.is_ours for entry in entries)
    promised = [entry for entry in entries if entry.expected]
    parts += [f"{sum(not entry.broken for entry in promised)} of {len(promised)} as promised"] if promised else []
    parts += [f"{ours} with a fault of the judge's"] if ours else []
    parts += [f"{len(grading.pending)} not judged: --resume goes on"] if grading.pending else []
    return click.unstyle(", ".join(parts))
