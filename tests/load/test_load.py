"""Short runs of the load tests."""

from __future__ import annotations

from tests.core import PATIENCE
from tests.load.mixed import JOBS, load
from tests.load.neighbours import BUSY, QUIET, SHORT, measure


def test_mixed_runs_side_by_side():
    seen = load(int(160 / PATIENCE), 8, seed=20260101)
    assert set(seen.verdicts) == {verdict for *_, verdict in JOBS}


def test_a_neighbour_goes_on_while_a_jail_attacks(need_tool):
    """How long it waits is for the long run on a quiet machine: here it must be answered at all, and within a second."""
    found = measure(1.0, need_tool("gcc"), chosen=("d01_fork_bomb.py", "d14_output_flood.py"))
    assert [name for name, _ in found] == [QUIET, BUSY, SHORT, "d01_fork_bomb.py", "d14_output_flood.py"]
    assert max(value for _, value in found) < 1 * PATIENCE
