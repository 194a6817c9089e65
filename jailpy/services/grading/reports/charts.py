"""Histograms of the page: bins and the places of their bars, for the template to draw as SVG. Pure."""

from __future__ import annotations

import msgspec

from jailpy.services.grading.reports.csv_report import most
from jailpy.services.grading.words import number, seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jailpy.services.grading.results import Grading

WIDTH, HEIGHT = 480, 190
_BINS = 24
_GAP = 2


class Bar(msgspec.Struct, frozen=True):
    """One bar: its place in the drawing, its kind of verdict, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    hint: str


class Chart(msgspec.Struct, frozen=True):
    """A histogram. `marks` are lines across it: their place and words."""

    title: str
    bars: list[Bar]
    low: str
    high: str
    peak: int
    marks: list[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT


def times(grading: Grading) -> Chart | None:
    """Return the histogram of the most processor time that each submission took for a test, accepted ones apart."""
    values = [
        (longest, entry.verdict == "AC")
        for entry in grading.submissions
        if (longest := most(test.cpu_s for test in entry.tests)) is not None
    ]
    limit = grading.problem.limits.cpu_s
    if not values:
        return None
    top = max(limit or 0, *(value for value, _ in values), 1e-3)
    marks = [(WIDTH * limit / top, f"limit {seconds(limit)}")] if limit else []
    return _chart("Slowest test of each submission, processor time", values, top, seconds, marks)


def scores(grading: Grading) -> Chart | None:
    """Return the histogram of the scores, None where the problem has none."""
    values = [(entry.score, entry.verdict == "AC") for entry in grading.submissions if entry.score is not None]
    if not values:
        return None
    top = max(grading.problem.max_score or 0, *(value for value, _ in values), 1e-3)
    return _chart("Scores", values, top, number, [])


def _chart(
    title: str, values: list[tuple[float, bool]], top: float, show: Callable[[float], str], marks: list[tuple[float, str]]
) -> Chart:
    bins = [[0, 0] for _ in range(_BINS)]
    for value, accepted in values:
        bins[min(max(int(value / top * _BINS), 0), _BINS - 1)][accepted] += 1
    peak = max(sum(pair) for pair in bins)
    bars = [bar for index, pair in enumerate(bins) for bar in _bars(index, pair, peak, top, show)]
    return Chart(title, bars, show(0), show(top), peak, [(round(place, 1), words) for place, words in marks])


def _bars(index: int, pair: list[int], peak: int, top: float, show: Callable[[float], str]) -> list[Bar]:
    """Stack the accepted of a bin below the others."""
    step = WIDTH / _BINS
    span = f"{show(top * index / _BINS)} to {show(top * (index + 1) / _BINS)}"
    bars = []
    bottom = float(HEIGHT)
    for amount, kind, words in ((pair[1], "right", "accepted"), (pair[0], "wrong", "not accepted")):
        height = HEIGHT * amount / peak
        bottom -= height
        if amount:
            bars.append(
                Bar(round(index * step, 1), round(bottom, 1), step - _GAP, round(height, 1), kind, f"{span}: {amount} {words}")
            )
    return bars
