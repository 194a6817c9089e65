"""Plugins made by the tests, and the profile that they run under."""

from __future__ import annotations

import textwrap

import pytest

HEAD = 'schema = 1\nname = "{name}"\nmodule = "{module}"\nentries = [{entries}]\n'


@pytest.fixture
def make(tmp_path):
    """Return a function that writes a plugin's package and returns its folder."""

    def write(source, *entries, name="sample", asks=""):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
        head = HEAD.format(name=name, module=name, entries=", ".join(f'"{entry}"' for entry in entries))
        (folder / "jailpy-plugin.toml").write_text(head + (f"[asks]\n{asks}\n" if asks else ""))
        return folder

    return write
