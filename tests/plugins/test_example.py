"""The example application runs as its README says; numpy arrays reach a plugin without copying there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import jailpy

pytestmark = pytest.mark.usefixtures("nothing_left")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(jailpy.__file__)))


def test_the_application():
    done = subprocess.run(
        [sys.executable, "-W", "error", f"{ROOT}/examples/plugin-host/app"],
        capture_output=True, text=True, timeout=100, env={**os.environ, "PYTHONPATH": ROOT},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "<p>by A. Warden</p><p>A <em>jail</em> is for</p>" in done.stdout
    assert "honest: thumbnail of (16, 16)" in done.stdout or "Pillow is not installed here" in done.stdout
    assert "greedy: does not get environment: AWS_SECRET_ACCESS_KEY" in done.stdout
    assert "10 of 10 as expected" in done.stdout


def test_numpy_arrays(make):
    numpy = pytest.importorskip("numpy")
    source = """
    def describe(array):
        return [type(array).__name__, array.dtype.str, list(array.shape), float(array.sum()), array.flags.writeable]
    """
    with jailpy.Plugin(make(source, "describe", asks='memory = "200M"')) as plugin:
        for array in (numpy.arange(12.0).reshape(3, 4), numpy.arange(20, dtype="i2")[::2], numpy.array(3), numpy.zeros((0, 2))):
            told = plugin.describe(array)
            assert told == ["ndarray", array.dtype.str, list(array.shape), float(array.sum()), False]
        with pytest.raises(TypeError, match="only arrays of numbers"):
            plugin.describe(numpy.array([object()]))
        assert plugin.describe(jailpy.Buffer(numpy.ones(10**7)))[3] == 10**7


def test_arrow_tables(make):
    arrow = pytest.importorskip("pyarrow")
    source = """
    def describe(table):
        return [type(table).__name__, table.column_names, table.column("a").to_pylist()]
    """
    with jailpy.Plugin(make(source, "describe", asks='memory = "256M"')) as plugin:
        assert plugin.describe(arrow.table({"a": [1, None, 3]})) == ["Table", ["a"], [1, None, 3]]
