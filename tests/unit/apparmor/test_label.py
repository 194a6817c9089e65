"""Labels of processes, the launcher's profile and what it is worth, and the list of loaded profiles."""

from __future__ import annotations

import os

import pytest

from jailpy.host import apparmor
from jailpy.host.apparmor import Loaded


@pytest.mark.parametrize(
    ("label", "enforced", "any_mode"),
    [
        ("jailpy-strict (enforce)", True, True),
        ("jailpy-strict//&unconfined (enforce)\n", True, True),
        ("other//&jailpy-strict (mixed)", True, True),
        ("jailpy-strict//&unconfined (kill)\0", True, True),
        ("jailpy-strict//&unconfined (complain)", False, True),
        ("jailpy-strict (unconfined)", False, True),
        ("jailpy-strict", False, True),
        ("jailpy-strict-not//&unconfined (enforce)", False, False),
        ("not-jailpy-strict (enforce)", False, False),
        ("unconfined", False, False),
        ("", False, False),
    ],
)
def test_what_a_label_proves(label, enforced, any_mode):
    assert apparmor.holds(label, "jailpy-strict", enforced=True) == enforced
    assert apparmor.holds(label, "jailpy-strict", enforced=False) == any_mode


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Return a function that lays out securityfs's list of profiles."""
    monkeypatch.setattr(apparmor, "_LOADED", str(tmp_path / "profiles"))
    monkeypatch.setattr(apparmor, "FOLDER", str(tmp_path / "etc"))
    (tmp_path / "profiles").mkdir()
    (tmp_path / "etc").mkdir()

    def load(folder, name, mode="enforce"):
        (tmp_path / "profiles" / folder).mkdir()
        (tmp_path / "profiles" / folder / "name").write_text(f"{name}\n")
        (tmp_path / "profiles" / folder / "mode").write_text(f"{mode}\n")

    return load


def test_the_loaded_profiles(kernel, tmp_path):
    assert apparmor.loaded() == ()
    kernel("jailpy-c.3", "jailpy-c++", "complain")
    kernel("usr.bin.x.1", "/usr/bin/x")
    kernel("jailpy-strict.2", "jailpy-strict")
    (tmp_path / "etc" / "jailpy-strict").write_text(f"{apparmor.MARK} for strict\n# allows exec system\n")
    (tmp_path / "etc" / "jailpy-c++").write_text("# allows exec any\n")
    assert apparmor.loaded() == (
        Loaded("jailpy-c++", "complain"), Loaded("jailpy-strict", "enforce", ("exec system",)), Loaded("usr.bin.x"),
    )  # fmt: skip


def test_no_securityfs_is_no_profile(monkeypatch):
    monkeypatch.setattr(apparmor, "_LOADED", "/nowhere")
    assert apparmor.loaded() == ()


def test_what_a_grant_is_worth(tmp_path):
    own = tmp_path / "venv" / "bin" / "jailpy"
    own.parent.mkdir(parents=True)
    own.write_text("")
    owner = 1000 if os.geteuid() == 0 else os.geteuid()
    if os.geteuid() == 0:
        os.chown(own.parent, owner, owner)
    assert f"can be changed by uid {owner}" in " ".join(apparmor.worth(str(own)))
    assert "can be changed" not in " ".join(apparmor.worth("/usr/bin/env"))
    assert "PYTHONPATH" in " ".join(apparmor.worth("/usr/bin/env"))


@pytest.mark.root
def test_a_file_that_its_group_may_write_is_not_roots_alone(tmp_path):
    own = tmp_path / "jailpy"
    own.write_text("")
    own.chmod(0o775)
    assert "others than root" in " ".join(apparmor.worth(str(own)))


def test_the_launchers_profile_grants_nothing_else():
    lines = [line for line in apparmor.launcher_profile("/opt/a b/jailpy") if not line.startswith("#")]
    assert lines[2] == 'profile jailpy-launcher "/opt/a b/jailpy" flags=(unconfined) {'
    assert lines[3:] == ["  userns,", "}"]
