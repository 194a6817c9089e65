"""The benchmarks are no part of the package: they are imported from the top of the repository."""

import copy
import json
import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, ROOT)


@pytest.fixture
def record():
    """A record that has every row, made up: figures are easy to compute with."""
    with open(os.path.join(os.path.dirname(__file__), "record.json"), encoding="utf-8") as file:
        return copy.deepcopy(json.load(file))


@pytest.fixture
def stage(tmp_path):
    """The environment that runs the tests, and few repetitions."""
    from benchmarks.stage import QUICK, Stage

    with Stage(str(tmp_path), QUICK, in_place=True) as found:
        yield found
