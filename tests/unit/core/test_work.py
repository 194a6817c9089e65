"""Work folders of runs without namespaces: nothing outside changes while one is removed that somebody still changes."""

from __future__ import annotations

import os

import pytest

from jailpy.launcher import cgroups, work


@pytest.fixture
def victim(tmp_path):
    """Return a folder outside of the work folder, and whose mode tells whether it was touched."""
    made = tmp_path / "victim"
    made.mkdir(mode=0o750)
    (made / "precious").write_text("x")
    return made


def swap_before(monkeypatch, name, folder, victim):
    """Let a survivor put a link in the place of a folder right before `work` calls a function of `os`."""
    real, rename = getattr(os, name), os.rename

    def swapping(*args, **options):
        if folder.is_dir() and not folder.is_symlink():
            rename(folder, folder.with_name("moved"))
            folder.symlink_to(victim)
        return real(*args, **options)

    monkeypatch.setattr(work.os, name, swapping)


@pytest.mark.parametrize("name", ["chmod", "rename", "unlink"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_link_put_there_meanwhile_is_not_followed(tmp_path, monkeypatch, victim, name, deep):
    top = tmp_path / "top"
    folder = top / "work" / "inner" if deep else top / "work"
    folder.mkdir(parents=True)
    (folder / "file").write_text("")
    with monkeypatch.context() as patch:
        swap_before(patch, name, folder, victim)
        try:
            work.remove_tree(str(top))
        except OSError:  # what is there is not what it was: the next start tries again
            assert top.exists()
    assert victim.stat().st_mode & 0o777 == 0o750
    assert [entry.name for entry in victim.iterdir()] == ["precious"]
    if top.exists():
        work.remove_tree(str(top))
    assert not top.exists()


def test_a_leftover_that_cannot_be_removed_keeps_no_run_from_starting(tmp_path, monkeypatch):
    name = cgroups.name_for(2**22 + 1, "1", 1)  # a number that no process has
    left = tmp_path / f"{name}-0123456789abcdef"
    (left / "work").mkdir(parents=True)

    def busy(*args, **options):
        raise OSError(39, "Directory not empty")

    with monkeypatch.context() as patch:
        patch.setattr(work.os, "rmdir", busy)
        work.collect_leftovers(str(tmp_path))
    assert left.exists()
    work.collect_leftovers(str(tmp_path))
    assert not left.exists(), "the next start tries again"
