"""A record's starts as a horizontal bar chart: the bar ends at p50, a tick stands at p90. Fits light and dark pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, ROW, BAR, TOP, LEFT, RIGHT = 760, 30, 18, 64, 150, 90
STYLE = """
text { font: 14px system-ui, sans-serif; fill: #24292f }
.title { font-size: 16px; font-weight: 600 }
.note, .scale { font-size: 12px; fill: #57606a }
.bar { fill: #8c959f }
.own { fill: #0969da }
.tick { stroke: #24292f; stroke-width: 2 }
.grid { stroke: #d0d7de }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .note, .scale { fill: #9198a1 }
  .bar { fill: #6e7681 }
  .own { fill: #4493f8 }
  .tick { stroke: #e6edf3 }
  .grid { stroke: #3d444d }
}
"""


def chart(record: Mapping[str, Any]) -> str:
    """Return the drawing, the quickest on top."""
    rows = sorted(record["start"]["rows"], key=lambda row: row["p50"])
    height = TOP + ROW * len(rows) + 44
    end = scale(max(row["p90"] for row in rows))
    unit = (WIDTH - LEFT - RIGHT) / end[-1]
    parts = [*_head(record, height), *_grid(end, unit, TOP + ROW * len(rows))]
    for number, row in enumerate(rows):
        parts += _row(row, TOP + ROW * number, unit)
    note = f"{record['host']['distribution']}, Linux {record['host']['kernel']}, {record['date']}, {record['command']}"
    parts.append(f'<text class="note" x="16" y="{height - 12}">{escape(note)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def scale(largest: float) -> list[float]:
    """Return round numbers from 0 to the first that is not below `largest`: four to eight steps of 1, 2 or 5 times ten."""
    step = 0.001
    while True:
        for factor in (1, 2, 5):
            if largest <= 8 * step * factor:
                count = -int(-largest // (step * factor))
                return [round(number * step * factor, 3) for number in range(count + 1)]
        step *= 10


def _head(record: Mapping[str, Any], height: int) -> list[str]:
    title = "From a Python program: start of /usr/bin/true, ms"
    note = f"Bar: median. Tick: 9 of 10 starts are quicker. {_runs(record)} starts of each, in turns."
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="16" y="28">{title}</text>',
        f'<text class="note" x="16" y="48">{note}</text>',
    ]


def _runs(record: Mapping[str, Any]) -> int:
    return int(record["start"]["rows"][0]["runs"])


def _grid(numbers: Sequence[float], unit: float, bottom: int) -> list[str]:
    parts = []
    for number in numbers:
        x = LEFT + number * unit
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="scale" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{number:g}</text>')
    return parts


def _row(row: Mapping[str, Any], y: int, unit: float) -> list[str]:
    middle, p90 = y + BAR - 4, LEFT + row["p90"] * unit
    kind = "bar own" if row["name"].startswith("jailpy") else "bar"
    right = max(p90, LEFT + row["p50"] * unit) + 8
    return [
        f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(row["name"])}</text>',
        f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{row["p50"] * unit:.1f}" height="{BAR}"/>',
        f'<line class="tick" x1="{p90:.1f}" y1="{y - 1}" x2="{p90:.1f}" y2="{y + BAR + 1}"/>',
        f'<text x="{right:.1f}" y="{middle}">{row["p50"]:.1f}</text>',
    ]
