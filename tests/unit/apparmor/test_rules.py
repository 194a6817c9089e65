"""The text of AppArmor profiles: patterns against what they mean, and the parser's own word on every shipped profile."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jailpy.errors import ProfileError
from jailpy.host import apparmor
from jailpy.layers import apparmor_grants
from jailpy.layers.apparmor_rules import Dialect, outside, profile_text
from jailpy.profile import locate
from jailpy.profile.load import load
from jailpy.profile.overrides import parse_set
from jailpy.services import apparmor as service

OLD = Dialect("3.0", "network {af_unix {yes}}")
NEW = Dialect("4.0", "network {af_unix {yes}} namespaces {mask {userns_create}} ipc {posix_mqueue {create}}")
PLACES = st.sampled_from(
    ["/", "/d", "/de", "/dev", "/dev/null", "/device", "/devices/x", "/p/proc", "/proc", "/proc/1/mem", "/processes",
     "/s", "/sys", "/system/x", "/lib", "/lib3", "/lib32", "/lib320/x", "/lib64/ld.so", "/library", "/tmp", "/tmp/a", "/tmpfile", "/work/a"]
)  # fmt: skip


def strict(*settings, name="strict"):
    return load(name, tuple(parse_set(setting) for setting in settings))


def text(*settings, dialect=NEW, unmediated=()):
    return profile_text(strict(*settings), dialect, unmediated)


def matcher(pattern):
    """Translate the patterns that JailPy writes: alternatives, classes, and ** for anything."""
    parts, in_class = [], False
    for part in re.findall(r"\*\*|.", pattern):
        in_class = part == "[" or (in_class and part != "]")
        plain = (
            part
            if in_class or part == "]"
            else {"**": ".*", "*": "[^/]*", "{": "(?:", "}": ")", ",": "|"}.get(part, re.escape(part))
        )
        parts.append(plain)
    return re.compile("".join(parts))


@settings(deadline=None)
@given(PLACES | st.text("/devprocsylibx3264tmp.", max_size=12).map(lambda rest: "/" + rest))
@pytest.mark.parametrize("places", [apparmor_grants.NOT_SHOWN, apparmor_grants.SYSTEM, (*apparmor_grants.NOT_SHOWN, "/tmp")])
def test_outside_means_what_it_says(places, path):
    assert bool(matcher(outside(places)).fullmatch(path)) == (not apparmor_grants.within(path, places))


@pytest.fixture(scope="module")
def parser():
    """The path of apparmor_parser; skip where it is not installed, fail where CI forgot it."""
    found = shutil.which("apparmor_parser", path="/usr/sbin:/sbin:/usr/local/sbin")
    if not found and os.environ.get("CI"):
        pytest.fail("apparmor_parser is not installed: .ci/run must install apparmor")
    return found or pytest.skip("apparmor_parser is not installed")


def parsed(parser, words):
    """Check a profile as `install` does, without a kernel; return what the parser says against it."""
    command = [parser, "--skip-kernel-load", "--skip-cache", "--quiet"]
    done = subprocess.run(command, input=words, capture_output=True, text=True)
    return done.returncode, done.stderr.replace("Cache read/write disabled: interface file missing.", "")


@pytest.mark.parametrize("name", locate.names(locate.BUILTIN_FOLDER))
def test_the_parser_takes_every_shipped_profile(parser, name):
    assert parsed(parser, service.text_for(name)[1])[0] == 0


@pytest.mark.parametrize(
    "settings",
    [
        ['filesystem.exec="none"'],
        ['filesystem.exec="any"', 'network.mode="host"', 'seccomp.allow=["@unix"]'],
        ['filesystem.tmpfs=["/usr/local/a b{c}*:1M"]', 'filesystem.rw=["/srv/d\\"x:/etc/e"]'],
        ['seccomp.allow=["@message-queues"]'],
    ],
)
def test_the_parser_takes_what_settings_make_of_it(parser, settings):
    status, said = parsed(parser, profile_text(strict(*settings), service.dialect(), ()))
    assert status == 0, said


def test_the_parser_refuses_a_broken_profile(parser):
    """Control of the two tests above."""
    status, said = parsed(parser, text(dialect=OLD).replace("signal (receive),", "signal (receive)"))
    assert status != 0
    assert "syntax error" in said


def test_the_text_is_the_same_each_time():
    assert text() == text()
    assert text() != text('filesystem.exec="any"')
    assert text().startswith(apparmor.MARK)


def test_what_the_abi_lacks_is_left_out_and_said():
    assert "audit deny userns," in text()
    assert "audit deny mqueue," in text()
    assert "# ABI 4.0 has no rules for io_uring." in text()
    old = text(dialect=OLD)
    assert "abi <abi/3.0>," in old
    assert "userns," not in old
    assert "# ABI 3.0 has no rules for user namespaces." in old
    assert "# ABI 3.0 has no rules for POSIX message queues." in old
    assert "audit deny io_uring," in text(dialect=Dialect("9.0", "io_uring {mask {sqpoll}}"))
    assert "# This kernel does not mediate anything at all." in text(unmediated=("anything at all",))
    assert "audit deny unix" not in text(dialect=Dialect("3.0", ""))


def rules(words, permission):
    """Return matchers of the file rules with a permission."""
    found = re.findall(r'^  "?(/.*?)"? ([a-z]+),$', words, re.MULTILINE)
    return [matcher(path) for path, permissions in found if permission in permissions]


def allows(words, permission, path):
    return any(rule.fullmatch(path) for rule in rules(words, permission))


@pytest.mark.parametrize(
    ("permission", "allowed", "refused"),
    [
        ("r", ["/usr/lib/x", "/etc/passwd", "/work/a", "/proc/12/status", "/proc/cpuinfo", "/dev/urandom", "/dev/shm/a"],
         ["/sys/kernel/x", "/dev/mem", "/proc/kcore", "/proc/kallsyms", "/proc/sysrq-trigger", "/dev/sda"]),
        ("w", ["/work/a", "/tmp/a", "/data/a", "/dev/null", "/dev/shm/a"],
         ["/usr/bin/x", "/etc/passwd", "/proc/12/mem", "/proc/sys/kernel/x", "/sys/x", "/lib64/ld.so", "/bin/sh", "/dev/sda"]),
        ("m", ["/usr/bin/x", "/work/a", "/srv/a"], ["/tmp/a", "/dev/shm/a", "/proc/1/exe"]),
        ("x", ["/usr/bin/x", "/work/a", "/srv/a"], ["/tmp/a", "/dev/shm/a", "/dev/zero"]),
    ],
)  # fmt: skip
def test_what_strict_allows(permission, allowed, refused):
    assert [path for path in allowed if not allows(text(), permission, path)] == []
    assert [path for path in refused if allows(text(), permission, path)] == []


def test_what_may_be_executed_follows_the_profile():
    everything, nothing = text('filesystem.exec="any"'), text('filesystem.exec="none"')
    for path in ("/tmp/a", "/dev/shm/a", "/work/a"):
        assert allows(everything, "x", path)
    assert rules(nothing, "x") == []
    assert allows(nothing, "m", "/usr/lib/libc.so.6")


def test_network_follows_the_profile():
    assert "network inet" not in text()
    assert "network inet6 stream," in text('network.mode="loopback"')
    assert "audit deny unix (bind, listen, accept, connect)," in text()
    assert "audit deny unix" not in text('seccomp.allow=["@unix"]')


@pytest.mark.parametrize(
    ("settings", "words"),
    [(['name="launcher"'], "launcher's name"), (['filesystem.tmpfs=["/usr/local/a\\nb"]'], "cannot be spelt")],
)
def test_what_cannot_be_spelt_is_refused(settings, words):
    profile = strict(*settings) if "name" not in settings[0] else strict().replace(name="launcher")
    with pytest.raises(ProfileError, match=words):
        profile_text(profile, NEW, ())
