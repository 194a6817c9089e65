"""One scene for the whole suite, and launchers that the runs of a module share: other tests measure what is left running."""

from __future__ import annotations

import os

import pytest

from jailpy.services.escapes.scene import Scene
from tests.core import PYTHON
from tests.escape import arena


@pytest.fixture(scope="session")
def scene(need_tool):
    found = Scene(PYTHON, need_tool("gcc"))
    yield found
    found.close()
    assert not os.path.exists(found.top)


@pytest.fixture(scope="module")
def warm_launcher(scene):
    with arena.launching(scene) as launcher:
        yield launcher


@pytest.fixture(scope="module")
def pooled_launcher(scene):
    with arena.launching(scene, pool=2) as launcher:
        yield launcher
