"""The script for the administrator: a shell takes it, root's commands are in it as they are, everything else is a comment."""

import os
import subprocess

import pytest

from jailpy.host.fixes import Remedy, advice, by_user, run, sysctl, write
from jailpy.services.doctor import Diagnosis, Finding
from jailpy.services.fix_script import script

HOST = (("distribution", "Debian"), ("kernel", "6.12"), ("uid", "1000"))
HOSTILE = "$(touch pwned)`touch pwned`'; touch pwned; \"\n touch pwned\n#.service"


def diagnosis(*findings, failure=None, starts=False):
    return Diagnosis("strict", "sha256:0", HOST, findings, starts, "strict says so", failure)


def gap(layer, cause, *fix):
    return Finding(layer, True, "absent", cause, fix)


def taken(text):
    """See that sh takes the script."""
    done = subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    return text


def carried_out(text, folder, uid=0):
    """Run a script in a folder, as if by this uid, with the commands of root only printed."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for name in ("sysctl", "apt-get", "systemctl"):
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $*"\ncat\n')  # reads the script's rest, if it may
    (tools / "id").write_text(f"#!/bin/sh\necho {uid}\n")
    for name in os.listdir(tools):
        (tools / name).chmod(0o755)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}"}
    return subprocess.run(["sh"], input=text, text=True, capture_output=True, cwd=folder, env=environment)


def test_a_file_is_written_and_loaded(tmp_path):
    found = diagnosis(
        gap("user", "no", write(f"{tmp_path}/new/a.conf", ("[A b]", "c = 'd'"), "sysctl -p a.conf", "then log in again"))
    )
    done = carried_out(taken(script(found)), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "new/a.conf").read_text() == "[A b]\nc = 'd'\n"
    assert done.stdout == "sysctl -p a.conf\nstill to do: log in again\n"


def test_twice_is_once(tmp_path):
    found = diagnosis(gap("user", "no", write(f"{tmp_path}/a.conf", ("a",), "sysctl -p")))
    assert carried_out(script(found), tmp_path).stdout == carried_out(script(found), tmp_path).stdout
    assert (tmp_path / "a.conf").read_text() == "a\n"


def test_a_sysctl_is_kept_over_a_reboot():
    text = taken(script(diagnosis(gap("net", "0", sysctl("user.max_net_namespaces", 10000)))))
    assert "'user.max_net_namespaces = 10000' >/etc/sysctl.d/zz-jailpy-max_net_namespaces.conf\nsysctl -p /etc" in " ".join(
        text.replace("\\\n", "").split("    ")
    ).replace("  ", " ")


def test_only_root_may_run_it(tmp_path):
    text = script(diagnosis(gap("seccomp", "no", run("apt-get install -y libseccomp2"))))
    done = carried_out(taken(text), tmp_path, uid=1000)
    assert (done.returncode, done.stdout) == (1, "")
    assert "run this as root" in done.stderr
    assert carried_out(text, tmp_path).stdout == "apt-get install -y libseccomp2\n"


def test_a_command_does_not_read_the_rest_of_the_script(tmp_path):
    text = script(
        diagnosis(gap("seccomp", "no", run("apt-get install -y x")), gap("user", "no", run("systemctl daemon-reload")))
    )
    assert carried_out(text, tmp_path).stdout == "apt-get install -y x\nsystemctl daemon-reload\n"


def test_what_no_script_can_do_is_said(tmp_path):
    steps = (advice("start the container with: docker run"), by_user("systemd-run --user -- jailpy"), by_user("python -m pip"))
    found = diagnosis(gap("user", "a filter", *steps), gap("mount", "the same", steps[0]))
    text = taken(script(found))
    assert "# user: a filter\n# start the container with: docker run\n" in text
    assert "# as uid 1000: systemd-run --user -- jailpy\n" in text
    assert text.count("still to do: start the container") == 1
    done = carried_out(text, tmp_path, uid=1000)
    assert done.returncode == 0, "there is nothing that takes root"
    assert done.stdout.count("still to do: ") == 3


def test_a_command_that_is_done_already_is_left_out(tmp_path):
    text = script(diagnosis(gap("mount", "masked", run("systemctl x", when="test -e here"), advice("or do without"))))
    assert carried_out(taken(text), tmp_path).stdout == ""
    (tmp_path / "here").touch()
    assert carried_out(text, tmp_path).stdout == "systemctl x\n"
    assert "# or do without\n" in text


def test_one_that_has_nothing_to_do(tmp_path):
    found = diagnosis(Finding("user", True, "enforced", "x"), starts=True)
    done = carried_out(taken(script(found)), tmp_path, uid=1000)
    assert (done.returncode, done.stdout) == (0, "nothing to fix: strict says so\n")
    done = carried_out(script(diagnosis(gap("user", "x"))), tmp_path)
    assert (done.returncode, done.stdout) == (0, "no fix is known: strict says so\n")


def test_why_the_launch_failed_where_no_layer_is_to_blame():
    text = script(diagnosis(failure=Remedy("no space", (run("systemctl x"),))))
    assert "# launch: no space\nsystemctl x" in taken(text)


@pytest.mark.parametrize("make", [gap, lambda layer, cause, step: gap(cause, layer, step)])
def test_names_that_others_chose_do_nothing(tmp_path, make):
    """A unit's name is whatever the one who may make it likes; root runs the script."""
    steps = (advice(HOSTILE), by_user(HOSTILE, HOSTILE), write(f"{tmp_path}/a", (HOSTILE,), "true", HOSTILE))
    text = "".join(script(diagnosis(make("user", HOSTILE, step))) for step in steps)
    done = carried_out(taken(text), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a").read_text() == f"{HOSTILE}\n"
    assert not (tmp_path / "pwned").exists()


def test_the_control_of_the_names(tmp_path):
    carried_out("touch pwned\n", tmp_path)
    assert (tmp_path / "pwned").exists()
