"""A short run of random system calls; and that the comparison of the host would notice."""

from __future__ import annotations

import os

from tests.core import PATIENCE
from tests.fuzz import host
from tests.fuzz.run import fuzz

SECONDS = 6


def test_random_calls_change_nothing_outside(need_tool):
    found = fuzz(SECONDS, seed=20260101, compiler=need_tool("gcc"))
    assert found.calls > 2000 / PATIENCE, "control: calls were made"
    assert found.denied > 100 / PATIENCE, "control: some of them were denied"
    assert found.verdicts


def test_the_comparison_notices(tmp_path):
    (tmp_path / "file").write_text("a")
    before = host.look(tmp_path)
    assert host.differences(before, host.look(tmp_path)) == []
    (tmp_path / "file").write_text("b")
    os.chmod(tmp_path / "file", 0o4755)
    os.mkdir(tmp_path / "new")
    assert len(host.differences(before, host.look(tmp_path))) == 2
    assert len(before["sysctls"]) > 100
    assert host.differences({"sysctls": {"a": 1}}, {"sysctls": {"a": 2}}) == ["sysctls: a: 1 -> 2"]
