"""`python -m benchmarks`: options, exit status, and one run that measures a little."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from benchmarks import __main__ as command
from benchmarks.common import FailedError, UnavailableError
from benchmarks.environments import clean_environment
from benchmarks.stage import Amounts

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(command.__file__)))


def test_amounts():
    full, quick, soak = (command.amounts(command.options(argv)) for argv in ([], ["--quick"], ["--soak"]))
    assert full == Amounts()
    assert quick.starts < full.starts
    assert quick.past_runs == 500
    assert soak.past_runs == 20000


@pytest.mark.parametrize("argv", [["--only", "nothing"], ["--only", "alive", "--svg", "x.svg"], ["--unknown"]])
def test_wrong_options(argv, capsys):
    with pytest.raises(SystemExit) as error:
        command.options(argv)
    assert error.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_help_has_examples_and_rows(capsys):
    with pytest.raises(SystemExit):
        command.options(["--help"])
    text = capsys.readouterr().out
    assert "python -m benchmarks --quick" in text
    assert all(f"  {name} " in text for name in command.ROWS)


def test_the_command_line_is_kept_without_files():
    chosen = command.options(["--quick", "--in-place", "--json", "/secret", "--only", "start", "alive"])
    assert command.shown(chosen) == "python -m benchmarks --quick --in-place --only start alive"
    assert command.shown(command.options([])) == "python -m benchmarks"


def test_the_environment_writes_bytecode(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("KEPT", "yes")
    made = clean_environment(str(tmp_path))
    assert "PYTHONDONTWRITEBYTECODE" not in made
    assert made["KEPT"] == "yes"


class Row:
    """A row that does as it is told."""

    WORDS = "made up"

    def __init__(self, outcome):
        self.outcome = outcome

    def measure(self, stage):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(FailedError("broken"), 1), (UnavailableError("not here"), 0), ({"unit": "ms", "rows": [], "runs": 1, "points": []}, 0)],
)
def test_only_what_could_not_be_run_makes_a_status(monkeypatch, capsys, outcome, status):
    monkeypatch.setattr(command, "ROWS", {"mounts": Row(outcome)})
    assert command.main(["--in-place", "--quick"]) == status
    text = capsys.readouterr().out
    assert ("failed: mounts: broken" in text) == (status == 1)
    assert ("skipped: mounts: not here" in text) == isinstance(outcome, UnavailableError)


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(SystemExit, match="No such file or directory"):
        command.write(str(tmp_path / "none/record.json"), "")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """One quick run of two rows."""
    folder = tmp_path_factory.mktemp("quick")
    argv = ["--quick", "--in-place", "--only", "start", "accuracy", "--json", f"{folder}/r.json", "--svg", f"{folder}/s.svg"]
    done = subprocess.run([sys.executable, "-m", "benchmarks", *argv], cwd=ROOT, capture_output=True, text=True)
    return done, folder


def test_a_quick_run(quick):
    done, folder = quick
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "benchmarks: 15 starts of each\n" in done.stderr
    assert "jailpy, warm" in done.stdout
    record = json.loads((folder / "r.json").read_text())
    assert record["failed"] == []
    assert {"sandlock", "numpy"} <= {entry["name"] for entry in record["skipped"]}
    rows = {row["name"]: row for row in record["start"]["rows"]}
    assert {"plain process", "python3", "jailpy, cold", "jailpy, warm"} <= set(rows)
    assert all(0 < row["min"] <= row["p50"] <= row["p90"] <= row["p99"] and row["runs"] == 15 for row in rows.values())
    assert rows["plain process"]["p50"] < rows["jailpy, warm"]["p50"] < rows["jailpy, cold"]["p50"]
    assert ET.parse(folder / "s.svg").getroot().tag.endswith("svg")


def test_a_quick_run_judges_the_report(quick):
    _, folder = quick
    record = json.loads((folder / "r.json").read_text())
    errors = [abs(row[what]["median"]) for row in record["accuracy"]["rows"] for what in ("cpu", "memory")]
    assert len(errors) == 4
    assert max(errors) < 15
    reached = {line["figure"]: line["reached"] for line in record["goals"]}
    assert reached["reported CPU time, off by"] is not None
    assert reached["memory that a launcher gained from run 2000 to 20000"] is None


def test_scratch_folders_are_removed(quick):
    assert "jailpy-benchmarks-" not in quick[0].stdout
