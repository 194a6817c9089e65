"""What is drawn from a record: tables, the plot, the documents."""

import io
import re
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from benchmarks import goals, page, svg, tables
from benchmarks.__main__ import ROWS, SCHEMA

SVG = "{http://www.w3.org/2000/svg}"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_every_row_has_its_tables_in_both_forms(record):
    assert set(tables.PARTS) == set(ROWS)
    console = Console(width=200, file=io.StringIO())
    grids = list(tables.grids(record))
    assert len(grids) == len(ROWS) + 2
    for grid in grids:
        assert {len(row) for row in grid.rows} == {len(grid.columns)}, grid.title
        console.print(grid.rich())
        assert len(grid.markdown().splitlines()) == len(grid.rows) + 2
    assert "│ jailpy, pooled" in console.file.getvalue()


def test_rows_that_were_not_measured_have_no_table(record):
    grids = list(tables.grids({"start": record["start"]}))
    assert len(grids) == 2
    assert len(grids[1].rows) == sum(line["row"] == "start" for line in goals.lines(record))


def test_goals_are_said_in_words(record):
    rows = {row[0]: row[1:] for row in tables.goal_table(record).rows}
    assert rows["warm run / bubblewrap"] == ("0.60 x", "at most 0.75 x", "yes")
    assert rows["reported peak memory, off by"] == ("6.00 %", "at most 5 %", "no")
    record["start"]["rows"] = []
    rows = {row[0]: row[1:] for row in tables.goal_table(record).rows}
    assert rows["warm run / bubblewrap"] == ("not measured", "at most 0.75 x", "not measured")


def test_scripts_that_did_not_run_say_so(record):
    rows = {row[0]: row[1:] for row in tables.script(record["scripts"]).rows}
    assert rows["Launcher.run([python3, script])"] == ("not measured", "40.0 (60.0)")


def test_cheap_steps_share_a_line(record):
    rows = tables.child(record["steps"]).rows
    assert len(rows) == tables.DEAREST + 1
    assert rows[-1] == ("all others", "", "1.50", "0.75", "6")


def test_a_cell_cannot_end_its_column():
    assert tables.Grid("", ("a",), [("x | y",)]).markdown().splitlines()[-1] == "| x \\| y |"


def test_the_plot(record):
    drawn = ET.fromstring(svg.chart(record))
    bars = [float(bar.get("width")) for bar in drawn.iter(f"{SVG}rect")]
    rows = sorted(record["start"]["rows"], key=lambda row: row["p50"])
    assert len(bars) == len(rows)
    assert bars == sorted(bars)
    assert bars[-1] / bars[0] == pytest.approx(rows[-1]["p50"] / rows[0]["p50"], rel=0.01)
    ticks = [float(tick.get("x1")) - svg.LEFT for tick in drawn.iter(f"{SVG}line") if tick.get("class") == "tick"]
    assert [tick / bar for tick, bar in zip(ticks, bars, strict=True)] == pytest.approx([1.5] * len(rows), rel=0.02)
    assert max(ticks) + svg.LEFT <= svg.WIDTH
    texts = [text.text for text in drawn.iter(f"{SVG}text")]
    assert {row["name"] for row in rows} <= set(texts)
    assert any("Some <Linux> & Co" in text for text in texts)
    assert "prefers-color-scheme: dark" in svg.chart(record)


@pytest.mark.parametrize(
    ("largest", "numbers"),
    [
        (120, [0, 20, 40, 60, 80, 100, 120]),
        (41.2, [0, 10, 20, 30, 40, 50]),
        (0.9, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (8, list(range(9))),
    ],
)
def test_scale(largest, numbers):
    assert svg.scale(largest) == numbers


def test_the_documents_are_made_from_the_record():
    record = page.load()
    advice = "run: python -m benchmarks.page"
    assert read(page.PAGE) == page.page(read(page.PAGE), record), advice
    assert read(page.README) == page.readme(read(page.README), record), advice
    assert read(page.PLOT) == svg.chart(record), advice
    assert record["goals"] == goals.lines(record)
    assert record["schema"] == SCHEMA


def test_the_page_shows_every_row():
    text = read(page.PAGE)
    assert set(re.findall(r"<!-- measured: (\w+) -->", text)) == {*ROWS, "goals", "host", "calls", "skipped", "first"}
    assert text.count("<!-- measured: ") == text.count("<!-- end of measured -->")


def test_another_record_makes_another_page(record):
    text = page.page(read(page.PAGE), record)
    assert text != read(page.PAGE)
    assert "| warm run / bubblewrap | 0.60 x | at most 0.75 x | yes |" in text
    assert "| jailpy, warm | all layers" not in text
    assert "Some <Linux> & Co" in text
    assert "not a result" not in text
    record["command"] += " --quick"
    assert "not a result" in page.page(text, record)
    assert page.page(text, page.load()) == read(page.PAGE)


def test_what_was_not_measured_says_so(record):
    del record["past_runs"]
    text = page.page(read(page.PAGE), record)
    assert text.count("\nNot measured.\n") == 1


def test_the_page_names_what_was_left_out(record):
    record["failed"] = [{"name": "crun", "why": "status 1"}]
    text = page.page(read(page.PAGE), record)
    assert "* isolate: isolate is not installed\n* crun: status 1\n" in text


def test_a_table_that_there_is_not(record):
    with pytest.raises(KeyError):
        page.page("<!-- measured: nothing -->\n<!-- end of measured -->\n", record)


def test_the_row_of_the_readme(record):
    assert page.readme("| a |\n| start of `/usr/bin/true` | 1 | 2 |\n| b |\n", record) == (
        "| a |\n| start of `/usr/bin/true` from Python | pooled 3.0 ms, warm 6.0 ms, cold 40.0 ms | 10.0 ms | not measured |"
        " not measured | 80.0 ms | 12.0 ms | not measured |\n| b |\n"
    )
    columns = next(line for line in read(page.README).splitlines() if line.startswith("| | JailPy"))
    assert [cell.split()[0] for cell in columns.strip("| ").split(" | ")] == ["JailPy", *page._COLUMNS]
