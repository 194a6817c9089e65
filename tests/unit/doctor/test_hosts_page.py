"""docs/reference/hosts.md is what the lab measured: `python -m tests.vm.hosts_page >docs/reference/hosts.md` makes it anew."""

import copy
import os
import re

from tests.vm.broken import BROKEN
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


def test_what_was_not_measured_says_so():
    text = page(load())
    named = rows(text, "Not measured")
    assert len(named) >= 6
    assert all("not measured" in row for row in named)
    for host in ("Ubuntu 24.04", "WSL 2", "GitHub Actions", "Gradescope", "Kubernetes"):
        assert any(row.startswith(f"| {host}") for row in named), host
    assert all("not measured" in row for row in rows(page({}), "Broken on purpose"))
    assert len(rows(page({}), "Broken on purpose")) == len(BROKEN)
