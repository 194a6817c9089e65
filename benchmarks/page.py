"""The record as the documents show it: docs/explanation/speed.md, README.md and the plot. Nothing there is typed by hand.

    python -m benchmarks --soak --json benchmarks/results/record.json
    python -m benchmarks.page

The second command writes them anew from the record. In the page a table stands between `<!-- measured: NAME -->` and
`<!-- end of measured -->`; in README.md it is the row of the comparison that begins with START_ROW.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from benchmarks import goals, svg, tables
from benchmarks.common import ROOT
from benchmarks.contestants import COLD, POOLED, WARM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RECORD = f"{ROOT}/benchmarks/results/record.json"
PLOT = f"{ROOT}/benchmarks/results/start.svg"
PAGE = f"{ROOT}/docs/explanation/speed.md"
README = f"{ROOT}/README.md"
START_ROW = "| start of `/usr/bin/true` "
_BLOCK = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end of measured -->\n)", re.DOTALL)
# The columns of README.md's comparison, after JailPy.
_COLUMNS = ("bubblewrap", "nsjail", "isolate", "firejail", "sandlock", "BenchExec")


def load() -> dict[str, Any]:
    """Read the record."""
    with open(RECORD, encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found


def page(text: str, record: Mapping[str, Any]) -> str:
    """Return the page with its tables made anew. Raises KeyError for a table that there is not."""
    return _BLOCK.sub(lambda found: f"{found[1]}{_block(found[2], record)}{found[3]}", text)


def _block(name: str, record: Mapping[str, Any]) -> str:
    if name in _WORDS:
        return _WORDS[name](record)
    if name == "goals":
        return tables.goal_table(record).markdown()
    makers = tables.PARTS[name]
    if not record.get(name):
        return f"{tables.NONE.capitalize()}.\n"
    return "\n".join(_titled(make(record[name])) for make in makers)


def _titled(grid: tables.Grid) -> str:
    return f"{grid.title}:\n\n{grid.markdown()}"


def _host(record: Mapping[str, Any]) -> str:
    host = record["host"]
    user = "root" if host["user"] == "root" else "an ordinary user"
    words = f"`{record['command']}`, {record['date']}: {host['distribution']}, Linux {host['kernel']}, {host['machine']} with "
    words += f"{host['processors']} processors, Python {host['python']}, as {user}, cgroups of version {host['cgroups']}.\n"
    words += "; ".join(f"{name} {version}".rstrip() for name, version in record["versions"].items()) + ".\n"
    if "--quick" in record["command"]:
        words += "A look with few runs of each, not a result.\n"
    return words


def _calls(record: Mapping[str, Any]) -> str:
    rows = [(row["name"], f"`{row['shown']}`") for row in (record.get("start") or {"rows": ()})["rows"]]
    return tables.Grid("", ("", "call"), rows, left=2).markdown()


def _skipped(record: Mapping[str, Any]) -> str:
    lines = [f"* {entry['name']}: {entry['why']}\n" for kind in ("skipped", "failed") for entry in record[kind]]
    return "".join(lines) or "Nothing.\n"


def _first(record: Mapping[str, Any]) -> str:
    if not record.get("start"):
        return f"{tables.NONE}\n"
    first = record["start"]["first"]["p50"]
    return (
        f"The first start after an installation takes {first:.0f} ms: profile, system call table and filter are compiled then\n"
        "and kept in the cache. A profile that was written in the last two seconds is compiled each time.\n"
    )


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "host": _host,
    "calls": _calls,
    "skipped": _skipped,
    "first": _first,
}


def readme(text: str, record: Mapping[str, Any]) -> str:
    """Return README.md with its row of starts made anew."""
    lines = text.splitlines(keepends=True)
    return "".join(start_row(record) if line.startswith(START_ROW) else line for line in lines)


def start_row(record: Mapping[str, Any]) -> str:
    """Return README.md's row of starts."""
    own = [(name.partition(", ")[2], _start(record, name)) for name in (POOLED, WARM, COLD)]
    mine = ", ".join(f"{kind} {time}" for kind, time in own if time != tables.NONE) or tables.NONE
    cells = [mine, *(_start(record, name) for name in _COLUMNS)]
    return f"{START_ROW}from Python | {' | '.join(cells)} |\n"


def _start(record: Mapping[str, Any], name: str) -> str:
    found = goals.row(record, "start", name)
    return f"{found['p50']:.1f} ms" if found else tables.NONE


def main() -> None:
    """Write the page, README.md and the plot anew."""
    record = load()
    for path, made in ((PAGE, page), (README, readme)):
        with open(path, encoding="utf-8") as file:
            text = made(file.read(), record)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    os.makedirs(os.path.dirname(PLOT), exist_ok=True)
    with open(PLOT, "w", encoding="utf-8") as file:
        file.write(svg.chart(record))


if __name__ == "__main__":
    main()
