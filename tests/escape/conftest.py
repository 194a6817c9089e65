"""One scene for the whole suite, and launchers that its runs share."""

from __future__ import annotations

import pytest

from tests.escape import arena


@pytest.fixture(scope="session")
def scene(need_tool):
    found = arena.Scene(need_tool("gcc"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def warm_launcher(scene):
    with arena.launching(scene) as launcher:
        yield launcher


@pytest.fixture(scope="session")
def pooled_launcher(scene):
    with arena.launching(scene, pool=2) as launcher:
        yield launcher
