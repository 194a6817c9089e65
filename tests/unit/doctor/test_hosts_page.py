"""docs/reference/hosts.md is what the lab measured: `python -m tests.vm.hosts_page >docs/reference/hosts.md` makes it anew."""

import copy
import os
import re

from tests.vm.broken import BROKEN
from tests.vm.conftest import TREE, merged
from tests.vm.hosts_page import load, page

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def rows(text, heading):
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][2:]


def test_the_page_is_up_to_date():
    with open(f"{ROOT}/docs/reference/hosts.md", encoding="utf-8") as file:
        assert file.read() == page(load())


def test_every_guest_has_a_row_with_its_kernel():
    results = load()
    found = rows(page(results), "Measured")
    assert len(found) == len(results) >= 1
    for guest, row in zip(sorted(results), found, strict=True):
        assert results[guest]["user"]["facts"]["kernel"] in row
        assert re.search(r"20\d\d-\d\d-\d\d", row)


def test_a_host_on_which_strict_does_not_start_says_so():
    results = copy.deepcopy(load())
    results["trixie"]["login"]["doctor"].update(starts=False, conclusion="strict does not start here: x")
    del results["trixie"]["root"]
    (row,) = (row for row, name in zip(rows(page(results), "Measured"), sorted(results), strict=True) if name == "trixie")
    assert "| strict does not start here: x | not measured |" in row


def test_outcomes_of_the_repositorys_tests_are_added_up():
    counts = {"a.py": {"passed": 3, "skipped": 1, "failed": 0}, "b.py": {"passed": 4, "skipped": 0, "failed": 2}}
    results = {"trixie": {**load()["trixie"], "files": 9, "root": {"suite": counts}}}
    found = rows(page(results), "The repository's tests")
    assert "| trixie | `root` | 2 of 9 | 7 | 1 | 2 `b.py` |" in found
    assert "| trixie-bpo | `root` | not measured |  |  |  |" in rows(page({}), "The repository's tests")


def test_recording_leaves_what_other_runs_found():
    news = TREE()
    news["trixie"]["user"]["suite"] = 2
    known = {"trixie": {"user": {"facts": 1}, "root": 3}, "bookworm": 4}
    assert merged(known, news) == {"trixie": {"user": {"facts": 1, "suite": 2}, "root": 3}, "bookworm": 4}


def test_what_was_not_measured_says_so():
    text = page(load())
    named = rows(text, "Not measured")
    assert len(named) >= 6
    assert all("not measured" in row for row in named)
    for host in ("Ubuntu 24.04", "WSL 2", "GitHub Actions", "Gradescope", "Kubernetes"):
        assert any(row.startswith(f"| {host}") for row in named), host
    assert all("not measured" in row for row in rows(page({}), "Broken on purpose"))
    assert len(rows(page({}), "Broken on purpose")) == len(BROKEN)
