"""Installing and removing with a parser and a kernel made up: what is left in the folder after each way to fail."""

from __future__ import annotations

import os

import pytest

from jailpy.cli.app import main
from jailpy.errors import HostError
from jailpy.host import apparmor
from jailpy.host.apparmor import Loaded
from jailpy.services import apparmor as service

PARSER = """#!/bin/sh
echo "$*" >>"$0.log"
case "$*" in
*skip-kernel-load*) grep -q BROKEN "$3" && { echo "warning first" >&2; echo "AppArmor parser error at line 3: syntax error" >&2; exit 1; } ;;
*) [ -e "$0.fails" ] && { echo "unable to replace: Permission denied" >&2; exit 243; } ;;
esac
exit 0
"""


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host with AppArmor, its folder, its parser, and what its kernel says that it has loaded."""
    folder = tmp_path / "apparmor.d"
    folder.mkdir()
    parser = tmp_path / "apparmor_parser"
    parser.write_text(PARSER)
    parser.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(apparmor, "FOLDER", str(folder))
    monkeypatch.setattr(apparmor, "enabled", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(service, "_SBIN", "")
    modes = {"jailpy-strict": "enforce", "jailpy-grade": "enforce"}
    monkeypatch.setattr(apparmor, "loaded", lambda: tuple(Loaded(*each) for each in modes.items()))
    return folder, parser, modes


def calls(parser):
    log = parser.parent / (parser.name + ".log")
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def test_install_checks_writes_and_loads(host):
    folder, parser, _ = host
    assert service.install(["strict", "grade"], launcher=False) == ["jailpy-strict", "jailpy-grade"]
    assert sorted(os.listdir(folder)) == ["jailpy-grade", "jailpy-strict"]
    assert (folder / "jailpy-strict").read_text() == service.text_for("strict")[1]
    assert calls(parser) == ["--skip-kernel-load", "--replace"] * 2
    assert service.install(["strict"], launcher=False) == ["jailpy-strict"], "again, over its own file"


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_others_wrote_is_left_alone(host, kind):
    folder, parser, _ = host
    own = folder / "jailpy-strict"
    if kind == "file":
        own.write_text("# mine\n")
    elif kind == "link":
        own.symlink_to("elsewhere")
    else:
        own.mkdir()
    for verb in (service.install, service.remove):
        with pytest.raises(HostError, match="jailpy-strict"):
            verb(["strict"], launcher=False)
    assert os.listdir(folder) == ["jailpy-strict"]
    assert kind != "file" or own.read_text() == "# mine\n"
    assert kind != "link" or os.readlink(own) == "elsewhere"
    assert calls(parser) == []


def test_a_text_that_the_parser_refuses_never_gets_to_its_place(host, monkeypatch):
    folder, parser, _ = host
    monkeypatch.setattr(service, "text_for", lambda _: ("jailpy-strict", f"{apparmor.MARK}\nBROKEN\n"))
    with pytest.raises(HostError, match=r"warning first; .* line 3: syntax error"):
        service.install(["strict"], launcher=False)
    assert os.listdir(folder) == []
    assert calls(parser) == ["--skip-kernel-load"]


def test_a_profile_that_does_not_load_is_taken_away_again(host):
    folder, parser, modes = host
    modes.clear()
    (parser.parent / (parser.name + ".fails")).touch()
    with pytest.raises(HostError, match=r"could not load .*Permission denied"):
        service.install(["strict"], launcher=False)
    assert os.listdir(folder) == []


def test_the_older_file_comes_back(host):
    folder, parser, _ = host
    before = f"{apparmor.MARK} of an older version\n"
    (folder / "jailpy-strict").write_text(before)
    (parser.parent / (parser.name + ".fails")).touch()
    with pytest.raises(HostError, match="could not load"):
        service.install(["strict"], launcher=False)
    assert os.listdir(folder) == ["jailpy-strict"]
    assert (folder / "jailpy-strict").read_text() == before


@pytest.mark.parametrize(("mode", "words"), [("", "does not list it"), ("complain", "in complain mode")])
def test_success_is_what_the_kernel_says(host, mode, words):
    folder, parser, modes = host
    modes.pop("jailpy-strict")
    if mode:
        modes["jailpy-strict"] = mode
    (folder / "force-complain").mkdir()
    (folder / "force-complain" / "jailpy-strict").touch()
    with pytest.raises(HostError, match=words) as caught:
        service.install(["strict"], launcher=False)
    assert f"remove {folder}/force-complain/jailpy-strict" in caught.value.hints[0]
    assert os.listdir(folder) == ["force-complain"]
    assert calls(parser)[-1] == ("--remove" if mode else "--replace"), "what was loaded by this is unloaded"


def test_the_launchers_profile(host, tmp_path, monkeypatch):
    folder, _, modes = host
    monkeypatch.setattr("jailpy.host.surroundings.start_script", lambda: "/opt/jailpy/bin/jailpy")
    with pytest.raises(HostError, match="does not list it"):
        service.install([], launcher=True)
    modes["jailpy-launcher"] = "unconfined"
    assert service.install([], launcher=True) == ["jailpy-launcher"]
    assert '"/opt/jailpy/bin/jailpy" flags=(unconfined)' in (folder / "jailpy-launcher").read_text()


def test_remove(host, monkeypatch):
    folder, _, modes = host
    service.install(["strict"], launcher=False)
    with pytest.raises(HostError, match="still lists it"):
        service.remove(["strict"], launcher=False)
    assert os.listdir(folder) == ["jailpy-strict"], "loaded and without a file would be loaded unseen"
    del modes["jailpy-strict"]
    assert service.remove(["strict"], launcher=False) == ["jailpy-strict"]
    assert os.listdir(folder) == []
    with pytest.raises(HostError, match="does not exist"):
        service.remove(["strict"], launcher=False)


def test_a_profile_that_is_gone_can_be_removed(host):
    folder, _, _ = host
    (folder / "jailpy-gone").write_text(f"{apparmor.MARK} for gone\n")
    assert service.remove(["gone"], launcher=False) == ["jailpy-gone"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda patch, _: patch.setattr(os, "geteuid", lambda: 1000), "only root"),
        (lambda patch, _: patch.setattr(apparmor, "enabled", lambda: False), "without AppArmor"),
        (lambda patch, tmp: (tmp / "apparmor_parser").unlink(), "apparmor_parser is not installed"),
        (lambda patch, tmp: (tmp / "apparmor.d").rmdir(), "No such file or directory"),
    ],
)
def test_each_refusal_names_its_cause_and_a_way_out(host, monkeypatch, tmp_path, change, words):
    change(monkeypatch, tmp_path)
    with pytest.raises(HostError, match=words) as caught:
        service.install(["strict"], launcher=False)
    assert caught.value.hints


def test_the_list(host, capsys):
    folder, _, _ = host
    service.install(["strict"], launcher=False)
    (folder / "jailpy-old").write_text(f"{apparmor.MARK} for old\n")
    (folder / "jailpy-foreign").write_text("# mine\n")
    assert main(["apparmor", "list"]) == 0
    lines = [line.split(None, 2) for line in capsys.readouterr().out.splitlines()]
    assert [(line[0], line[1]) for line in lines] == [
        ("jailpy-grade", "enforce"),
        ("jailpy-old", "not"),
        ("jailpy-strict", "enforce"),
    ]
    assert lines[2][2] == str(folder / "jailpy-strict")


def test_show_and_its_usage(capsys):
    assert main(["apparmor", "show", "strict"]) == 0
    assert capsys.readouterr().out == service.text_for("strict")[1]
    assert main(["apparmor", "show"]) == 2
    assert main(["apparmor", "show", "strict", "--launcher"]) == 2
    assert main(["apparmor", "install"]) == 2
    assert main(["apparmor", "show", "nosuch"]) == 1


def test_what_the_kernel_does_not_mediate(monkeypatch, tmp_path):
    monkeypatch.setattr(service, "_FEATURES", str(tmp_path / "none"))
    assert "anything" in service.unmediated()[0]
    monkeypatch.setattr(service, "_FEATURES", str(tmp_path))
    (tmp_path / "network_v9").mkdir()
    (tmp_path / "network_v9" / "af_unix").touch()
    assert service.unmediated() == ("user namespaces", "io_uring", "POSIX message queues")
