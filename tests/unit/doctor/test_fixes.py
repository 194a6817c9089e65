"""How a fix is shown to the one who asks: lines to paste, with sudo for those who are not root."""

import subprocess

import pytest

from jailpy.host import remedies
from jailpy.host.fixes import Remedy, advice, by_user, run, sysctl, write

SLAVE = "21 1 8:1 / / rw shared:9 master:1 - ext4 x rw\n"
COVERED = "30 22 0:6 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n31 22 0:9 / /proc/irq rw - tmpfs none rw\n"


@pytest.mark.parametrize(
    ("step", "uid", "lines"),
    [
        (run("umount /proc/irq"), 1000, ["sudo umount /proc/irq"]),
        (run("umount /proc/irq"), 0, ["umount /proc/irq"]),
        (run("cd /x && echo a >b", "reboot"), 1000, ["sudo sh -c 'cd /x && echo a >b'   # reboot"]),
        (run("cd /x && echo a >b"), 0, ["cd /x && echo a >b"]),
        (run("for a in b; do\n    c\ndone"), 1000, ["sudo sh -c 'for a in b; do", "    c", "done'"]),
        (write("/etc/a", ("b",), "load a"), 1000, ["echo b | sudo tee /etc/a && sudo load a"]),
        (write("/etc/a b", ("c", "d e"), "load a", "log in"), 0, ["printf '%s\\n' c 'd e' | tee '/etc/a b' && load a   # log in"]),
        (write("/new/a", ("b",), "load a"), 1000, ["sudo mkdir -p /new", "echo b | sudo tee /new/a && sudo load a"]),
        (by_user("systemd-run --user"), 1000, ["systemd-run --user"]),
        (advice("start it outside"), 1000, ["start it outside"]),
    ],
)  # fmt: skip
def test_the_lines_of_a_fix(host, step, uid, lines):
    host({"/etc/fstab": ""}, uid=uid)
    assert step.shown() == lines


@pytest.mark.parametrize("text", ["a", "a'b", "a\\nb", "$(a)", "%s\\c", "-n"])
def test_what_is_printed_is_what_was_meant(host, tmp_path, text):
    host({f"{tmp_path}/x": ""}, uid=0)
    for lines in ((text,), (text, text)):
        step = write(f"{tmp_path}/file", lines, "true")
        subprocess.run(["sh", "-euc", "\n".join(step.shown())], check=True, stdout=subprocess.DEVNULL)
        assert (tmp_path / "file").read_text() == "".join(f"{line}\n" for line in lines)


def test_an_error_has_room_for_one_line(host):
    host({"/etc/sysctl.d/x": ""})
    assert Remedy("cause", (sysctl("user.a", 1),)).hints() == [
        "echo 'user.a = 1' | sudo tee /etc/sysctl.d/zz-jailpy-a.conf && sudo sysctl -p /etc/sysctl.d/zz-jailpy-a.conf"
    ]
    assert Remedy("cause", (run("a"), run("b"))).hints() == ["jailpy doctor prints the lines that mend it"]


def test_the_kind_of_namespace_that_is_forbidden_is_named(host):
    """ENOSPC of clone3 does not say which kind."""
    host({"/proc/sys/user/max_net_namespaces": "0\n"})
    assert remedies.for_step("CloneNamespaces", 28)[0] == "user.max_net_namespaces = 0 forbids it"
    host({"/proc/sys/user/max_net_namespaces": "9\n"})
    assert remedies.for_step("CloneNamespaces", 28)[0].startswith("all 62000 namespaces that user.max_user_namespaces allows")


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        ({}, "sudo umount /proc/irq"),
        ({"/proc/self/uid_map": "0 1000 1\n"}, "start JailPy outside of it"),
        ({"/proc/self/cgroup": "0::/system.slice/a.service\n"}, "sudo umount /proc/irq"),
        (
            {"/proc/self/cgroup": "0::/system.slice/a.service\n", "/proc/self/mountinfo": SLAVE + COVERED},
            "ProtectKernelTunables=no",
        ),
        ({"/.dockerenv": ""}, "systempaths=unconfined"),
    ],
)
def test_proc_is_uncovered_where_it_was_covered(host, changes, fix):
    host({"/proc/self/mountinfo": "21 1 8:1 / / rw shared:1 - ext4 x rw\n" + COVERED, **changes})
    found = remedies.masked_proc()
    assert found.cause == "/proc is masked around this process (/proc/irq), so no new one may be mounted"
    assert fix in " ".join(found.lines())
    assert "filesystem.proc=none" in found.lines()[-1]
