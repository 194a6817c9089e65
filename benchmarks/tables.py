"""A record as tables: for people at a terminal (rich), and for the documents (Markdown)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks import goals, scripts
from benchmarks.processor import PARTS as PARTS_OF_TIME
from benchmarks.throughput import WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.table import Table

NONE = "not measured"
DEAREST = 12  # steps of the child that have a line of their own


@dataclass(frozen=True)
class Grid:
    """A table before it is drawn. `left` is how many of the first columns hold words."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    left: int = 1

    def markdown(self) -> str:
        """Return the lines of the table, without its title."""
        marks = ["---" if number < self.left else "---:" for number in range(len(self.columns))]
        lines = [self.columns, tuple(marks), *self.rows]
        return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)

    def rich(self) -> Table:
        """Return the table for rich, without its title, which would be wrapped to the table's width."""
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="left" if number < self.left else "right")
        for line in self.rows:
            table.add_row(*map(Text, line))
        return table


def grids(record: Mapping[str, Any]) -> Iterator[Grid]:
    """Yield the tables of every part that was measured, then the goals."""
    for part, tables in PARTS.items():
        if record.get(part):
            yield from (table(record[part]) for table in tables)
    yield goal_table(record)


def start(part: Mapping[str, Any]) -> Grid:
    """Make the table of starts."""
    rows = [
        (row["name"], row["confines"], *(f"{row[key]:.1f}" for key in ("p50", "p90", "p99", "min"))) for row in part["rows"]
    ]
    return Grid("Start of /usr/bin/true, ms", ("", "around it", "p50", "p90", "p99", "min"), rows, left=2)


def throughput(part: Mapping[str, Any]) -> Grid:
    """Make the table of throughput."""
    workers = list(map(str, WORKERS))
    rows = [
        (row["name"], *(f"{row['rates'][number]:.0f}" if number in row["rates"] else NONE for number in workers))
        for row in part["rows"]
    ]
    return Grid("Runs of /usr/bin/true in a second", ("at a time", *workers), rows)


def processor(part: Mapping[str, Any]) -> Grid:
    """Make the table of processor time."""
    rows = [
        (
            row["name"],
            *(f"{row[name]:.2f}" for name in PARTS_OF_TIME),
            f"{sum(row[name] for name in PARTS_OF_TIME):.2f}",
            f"{row['clock']:.2f}",
        )
        for row in part["rows"]
    ]
    columns = ("", "the caller", "what stays", "the run's own processes", "sum", "by the clock")
    return Grid("Processor time of a run of /usr/bin/true, ms", columns, rows)


def alive(part: Mapping[str, Any]) -> Grid:
    """Make the table of many jails at once."""
    rows = [
        (f"{row['name']}, {part['count']} alive", f"{row['seconds']:.2f}", _mb(row["pss_mb"]), f"{row['processes']:.1f}")
        for row in part["rows"]
    ]
    if part["pool"]:
        pool = part["pool"]
        rows.append(("idle in a pool", "", _mb(pool["pss_mb"]), f"{pool['processes']:.1f}"))
    return Grid("Many alive at once", ("", "all started, s", "memory of one, MB (PSS)", "processes of one"), rows)


def _mb(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def inside(part: Mapping[str, Any]) -> Grid:
    """Make the table of system calls."""
    calls = list(next(iter(part["ways"].values())))
    rows = [(way, *(f"{by[call]['median']:.0f} ({by[call]['min']:.0f})" for call in calls)) for way, by in part["ways"].items()]
    return Grid(f"System calls inside, ns, median (minimum), by a {part['program']}", ("", *calls), rows)


def script(part: Mapping[str, Any]) -> Grid:
    """Make the table of scripts."""
    rows = []
    for way in (scripts.UNJAILED, scripts.ONE_THREAD, scripts.WARM_PYTHON, scripts.WARM_RUN):
        found = [row["ways"].get(way) for row in part["rows"]]
        rows.append((way, *(f"{one['p50']:.1f} ({one['p90']:.1f})" if one else NONE for one in found)))
    return Grid("Start of a Python script, ms, p50 (p90)", ("", *(row["name"] for row in part["rows"])), rows)


def plugin(part: Mapping[str, Any]) -> Grid:
    """Make the table of plugins."""
    rows = [(row["name"], f"{row['p50']:.2f}", f"{row['p90']:.2f}", "") for row in part["rows"]]
    alive = part["alive"]
    started = f"{alive['count']} alive at once, started in {alive['seconds']:.1f} s"
    rows.append((started, "", "", _mb(alive["pss_mb"])))
    return Grid("Plugins, ms", ("", "p50", "p90", "memory of one, MB (PSS)"), rows)


def mounts(part: Mapping[str, Any]) -> Grid:
    """Make the table of starts by the number of mounts."""
    names = list(part["points"][0]["p50"]) if part["points"] else []
    rows = [(name, *(f"{point['p50'][name]:.1f}" for point in part["points"])) for name in names]
    return Grid(
        "Start by the mounts of the host, ms, p50", ("mounts", *(str(point["mounts"]) for point in part["points"])), rows
    )


def grading(part: Mapping[str, Any]) -> Grid:
    """Make the table of judging."""
    rows = [
        (
            f"{row['submissions']} {row['name']}",
            *(f"{row[key]:.1f}" for key in ("graded_s", "bare_s", "runs_per_s")),
            f"{row['peer_runs_per_s']:.1f}" if row["peer_runs_per_s"] else NONE,
            f"{row['beside_ms']:.2f}",
        )
        for row in part["rows"]
    ]
    speeds = ("runs per second", "bubblewrap's runs per second")
    columns = ("", "judged, s", "without jails, s", *speeds, "beside the jailed run, ms per test")
    return Grid(f"Judging, {part['jobs']} at a time", columns, rows)


def past_runs(part: Mapping[str, Any]) -> Grid:
    """Make the table of what past runs leave."""
    rows = [
        (
            f"{row['name']}, after {point['runs']} runs",
            f"{point['p50']:.2f}",
            f"{point['plain_p50']:.2f}",
            *(str(point[key]) for key in ("processes", "descriptors", "cgroups")),
            f"{point['memory_bytes'] / goals.MB:.1f}",
        )
        for row in part["rows"]
        for point in row["points"]
    ]
    columns = ("", "run, ms", "plain process, ms", "processes", "descriptors", "cgroups", "memory, MB (RSS)")
    return Grid("Past runs: the program, its launcher and all below", columns, rows)


def accuracy(part: Mapping[str, Any]) -> Grid:
    """Make the table of errors."""
    rows = [
        (
            f"{part['seconds']:.0f} s and {part['megabytes']} MiB, {row['name']}",
            *(f"{row[what]['median']:+.2f} % ({row[what]['worst']:+.2f} %)" for what in ("cpu", "memory")),
        )
        for row in part["rows"]
    ]
    return Grid("Reported against known, median (worst)", ("", "CPU time", "peak memory"), rows)


def launcher(part: Mapping[str, Any]) -> Grid:
    """Make the table of a cold launcher's parts."""
    title = f"One cold run of the launcher, ms; {part['modules_imported']} modules imported"
    rows = [(row["name"], f"{row['median']:.2f}", f"{row['min']:.2f}", str(row["count"])) for row in part["launcher"]]
    rows.append(("sum of the medians", f"{part['launcher_total']:.2f}", "", ""))
    return Grid(title, ("", "median", "min", "times"), rows)


def child(part: Mapping[str, Any]) -> Grid:
    """Make the table of the child's dearest steps."""
    dear, others = part["child"][:DEAREST], part["child"][DEAREST:]
    rows = [(row["name"], row["side"], f"{row['median']:.2f}", f"{row['min']:.2f}", str(row["count"])) for row in dear]
    rest = {key: sum(row[key] for row in others) for key in ("median", "min", "count")}
    rows.append(("all others", "", f"{rest['median']:.2f}", f"{rest['min']:.2f}", str(rest["count"])))
    return Grid("Steps of the child, while the launcher waits, ms", ("", "side", "median", "min", "times"), rows, left=2)


def goal_table(record: Mapping[str, Any]) -> Grid:
    """Make the table of the goals of every row that was measured."""
    rows = []
    for line in goals.lines(record):
        if line["row"] not in record:
            continue
        unit = f" {line['unit']}".rstrip()
        measured = NONE if line["measured"] is None else f"{line['measured']:.2f}{unit}"
        reached = {None: NONE, True: "yes", False: "no"}[line["reached"]]
        rows.append((line["figure"], measured, f"{line['sense']} {line['goal']:g}{unit}", reached))
    return Grid("Goals", ("figure", "measured", "goal", "reached"), rows)


PARTS: dict[str, tuple[Callable[[Mapping[str, Any]], Grid], ...]] = {
    "start": (start,),
    "throughput": (throughput,),
    "processor": (processor,),
    "alive": (alive,),
    "scripts": (script,),
    "grading": (grading,),
    "plugins": (plugin,),
    "mounts": (mounts,),
    "past_runs": (past_runs,),
    "accuracy": (accuracy,),
    "inside": (inside,),
    "steps": (launcher, child),
}
