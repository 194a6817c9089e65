"""What a plan makes of the loaded profiles: stacked, degraded, or absent with the reason and the way out."""

from __future__ import annotations

import pytest

from jailpy.host import apparmor, facts, sources
from jailpy.host.apparmor import Loaded
from jailpy.layers import Command, Context, apparmor_grants
from jailpy.layers import apparmor as layer
from jailpy.layers.apparmor_rules import Dialect, profile_text
from jailpy.profile.load import load
from jailpy.profile.overrides import parse_set
from jailpy.steps.process import ApparmorOnExec


def written(name="strict"):
    """A loaded profile as `install` leaves it."""
    text = profile_text(load(name, ()), Dialect("3.0", ""), ())
    return Loaded(f"jailpy-{name}", "enforce", apparmor.allowed(text))


def context(*settings, loaded=(), shown=(), name="strict"):
    host = facts.gather().replace(apparmor=True, apparmor_profiles=tuple(loaded))
    command = Command(argv=("true",), environment=(), sources=tuple(shown))
    return Context(load(name, tuple(parse_set(setting) for setting in settings)), host, command)


def source(destination, mode="ro", kind="file"):
    return sources.Source(mode, "/srv/x", destination, kind, (0, 0))


def test_a_loaded_profile_is_stacked():
    planned = layer.plan(context(loaded=[written()]))
    assert (planned.state, planned.steps) == ("enforced", (ApparmorOnExec(profile="jailpy-strict"),))


def test_a_profile_that_is_not_loaded_is_told_with_the_command():
    planned = layer.plan(context(loaded=[written("grade"), Loaded("jailpy-strict-not"), Loaded("firefox")]))
    assert planned.state == "absent"
    assert "no profile jailpy-strict is loaded" in planned.mechanism
    assert "jailpy apparmor install strict" in planned.needs[0].fix


def test_the_command_names_a_users_profile_by_its_path(tmp_path):
    (tmp_path / "o'wn.toml").write_text('schema = 1\nname = "own"\nextends = ["strict"]\n')
    planned = layer.plan(context(name=str(tmp_path / "o'wn.toml")))
    assert planned.needs[0].fix.endswith(f"jailpy apparmor install '{tmp_path}/o'\\''wn.toml'")


@pytest.mark.parametrize("mode", ["complain", "unconfined", "prompt"])
def test_a_mode_that_denies_nothing_is_degraded(mode):
    planned = layer.plan(context(loaded=[Loaded("jailpy-strict", mode)]))
    assert planned.state == "degraded"
    assert f"{mode} mode" in planned.mechanism
    assert planned.needs
    assert planned.steps, "what it logs may be what the administrator wants"


def test_a_profile_by_its_own_name():
    settings = ['apparmor.profile="/usr/bin/own"']
    assert layer.plan(context(*settings, loaded=[Loaded("usr.bin.own")])).state == "enforced"
    planned = layer.plan(context(*settings, loaded=[written()]))
    assert planned.state == "absent"
    assert "apparmor_parser -r" in planned.needs[0].fix
    assert layer.plan(context('apparmor.profile="off"', loaded=[written()])).state == "off"


def test_without_proc_nothing_can_be_asked_for():
    planned = layer.plan(context('filesystem.proc="none"', loaded=[written()]))
    assert planned.state == "absent"
    assert "/proc" in planned.mechanism


@pytest.mark.parametrize(
    ("settings", "shown", "words"),
    [
        (['filesystem.exec="any"'], [], 'filesystem.exec = "any"; it allows "system"'),
        (['network.mode="loopback"'], [], 'network.mode = "loopback"; it allows "none"'),
        (['seccomp.allow=["@unix"]'], [], "Unix sockets with names"),
        (['seccomp.allow=["@message-queues"]'], [], "message queues"),
        ([], [source("/usr/local/x", "rw", "folder")], "/usr/local/x is writable"),
        ([], [source("/etc", "cow", "folder")], "/etc is writable"),
        ([], [source("/sys/x")], "/sys/x is shown"),
        ([], [source("/tmp/prog")], "programs are run from /tmp/prog"),
    ],
)
def test_a_run_that_asks_for_more_goes_without_and_says_why(settings, shown, words):
    planned = layer.plan(context(*settings, loaded=[written()], shown=shown))
    assert (planned.state, planned.steps) == ("absent", ())
    assert "was not made for this run" in planned.mechanism
    assert words in planned.mechanism
    assert planned.needs


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (['filesystem.exec="none"'], []),
        (['limits.memory="1G"'], []),
        ([], [source("/work/prog"), source("/data", "rw", "folder"), source("/opt/x/y", "cow", "folder")]),
        ([], [source("/usr/local/x"), source("/etc/foo"), source("/tmp/data", "rw", "folder")]),
        ([], [source("/srv/x", "ro", "folder"), source("/library", "rw", "folder")]),
    ],
)
def test_what_the_command_line_may_show_fits(settings, shown):
    assert layer.plan(context(*settings, loaded=[written()], shown=shown)).state == "enforced"


def test_a_profile_of_another_origin_is_not_measured():
    assert layer.plan(context('filesystem.exec="any"', loaded=[Loaded("jailpy-strict", "enforce")])).state == "enforced"


@pytest.mark.parametrize("name", ["strict", "grade", "build", "plugin", "observe"])
def test_every_profile_fits_what_was_made_from_it(name):
    loaded = written(name)
    assert apparmor_grants.lacking(context(name=name), apparmor_grants.from_lines(loaded.allows)) == ""


def test_grants_survive_the_file():
    profile = load(
        "strict",
        (parse_set('filesystem.rw=["/srv/a:/usr/local/a b", "/etc/x"]'), parse_set('filesystem.tmpfs=["/t", "/dev/shm"]')),
    )
    grants = apparmor_grants.of_profile(profile)
    assert set(grants.write) == {"/usr/local/a b", "/etc/x", "/dev/shm"}
    assert grants.private == ("/t", "/tmp")
    text = profile_text(profile, Dialect("3.0", ""), ())
    assert apparmor_grants.from_lines(apparmor.allowed(text)) == grants


def test_a_file_that_is_not_ours_grants_nothing_and_claims_nothing():
    assert apparmor.allowed("# allows exec any\nprofile x {}\n") == ()
