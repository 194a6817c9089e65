"""The table of numbers and groups, read once."""

from __future__ import annotations

import pytest

from jailpy.layers import syscall_table


@pytest.fixture(scope="session")
def table():
    return syscall_table.load()
