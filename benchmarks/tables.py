"""The record as tables for people (rich)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column in {"", "side", "target"} else "right")
    return table


def show(record: dict[str, Any], console: Console) -> None:
    """Print every part of the record that is there."""
    console.print(start(record["start"]))
    for skipped in record["skipped"]:
        console.print(f"skipped: {skipped['name']}: {skipped['why']}", highlight=False)
    console.print(f"first start, nothing cached yet: {record['first_start']['median']:.0f} ms", highlight=False)
    console.print(launcher(record["steps"]), child(record["steps"]), inside(record["inside"]), targets(record["targets"]))


def start(part: dict[str, Any]) -> Table:
    """Make the table of cold starts."""
    table = _table("Cold start of /usr/bin/true, ms", "", "median", "p90", "min", "CPU", "over python", "x jailpy")
    for row in part["rows"]:
        numbers = (row["median"], row["p90"], row["min"], row["cpu_median"], row["over_python"]["median"])
        table.add_row(row["name"], *(f"{number:.1f}" for number in numbers), f"{row['ratio_to_jailpy']:.2f}")
    return table


def launcher(part: dict[str, Any]) -> Table:
    """Make the table of the launcher's parts."""
    title = f"One cold run of the launcher, ms; {part['modules_imported']} modules imported"
    table = _table(title, "", "median", "min", "times")
    for row in part["launcher"]:
        table.add_row(row["name"], f"{row['median']:.2f}", f"{row['min']:.2f}", str(row["count"]))
    table.add_section()
    table.add_row("sum", f"{part['launcher_total']:.2f}")
    return table


def child(part: dict[str, Any]) -> Table:
    """Make the table of the child's steps."""
    table = _table("Steps of the child, while the launcher waits, ms", "", "side", "median", "min", "times")
    for row in part["child"]:
        table.add_row(row["name"], row["side"], f"{row['median']:.3f}", f"{row['min']:.3f}", str(row["count"]))
    return table


def inside(part: dict[str, Any]) -> Table:
    """Make the table of system calls."""
    ways = part["ways"]
    calls = list(next(iter(ways.values())))
    table = _table(f"System calls inside, ns, median (min); {part['program']}", "", *calls)
    for way, by in ways.items():
        table.add_row(way, *(f"{by[call]['median']:.0f} ({by[call]['min']:.0f})" for call in calls))
    return table


def targets(lines: list[dict[str, Any]]) -> Table:
    """Make the table of targets."""
    table = _table("Targets", "", "median", "by minima", "limit", "target")
    for line in lines:
        numbers = (f"{line[key]:.2f} {line['unit']}" for key in ("median", "by_minima", "limit"))
        table.add_row(line["what"], *numbers, "held" if line["held"] else "MISSED")
    return table
