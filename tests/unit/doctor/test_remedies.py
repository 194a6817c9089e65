"""Each cause is told from the others by what the host shows; its fix is one that a shell can take."""

import errno
import subprocess

import pytest

from jailpy.host import remedies, surroundings

FILTERED = {"/proc/self/status": "Seccomp:\t2\n"}
UBUNTU = {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"}


@pytest.fixture(autouse=True)
def no_real_filter(monkeypatch):
    """The test's own process is not asked; tests/kernel/test_doctor.py has the real ones."""
    monkeypatch.setattr(remedies, "_filter_refuses", lambda: False)


def shell_takes(*lines):
    done = subprocess.run(["sh", "-n"], input="\n".join(lines) + "\n", text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("changes", "number", "cause", "fix"),
    [
        ({"/proc/sys/user/max_user_namespaces": "0\n"}, errno.ENOSPC, "user.max_user_namespaces = 0", "tee /etc/sysctl.d/zz-jailpy-max_user_namespaces.conf"),
        ({}, errno.ENOSPC, "all 62000 namespaces", "user.max_user_namespaces = 124000"),
        ({"/proc/sys/kernel/unprivileged_userns_clone": "0\n"}, errno.EPERM, "kernel.unprivileged_userns_clone = 0", "kernel.unprivileged_userns_clone = 1"),
        (UBUNTU, errno.EPERM, "kernel.apparmor_restrict_unprivileged_userns = 1", "userns,"),
        (UBUNTU, errno.EACCES, "kernel.apparmor_restrict_unprivileged_userns = 1", "apparmor_parser -r /etc/apparmor.d/jailpy-launcher"),
    ],
)  # fmt: skip
def test_an_administrators_switch(host, monkeypatch, changes, number, cause, fix):
    host(changes)
    monkeypatch.setattr(surroundings, "start_script", lambda: "/usr/local/bin/jailpy")
    found = remedies.no_user_namespace(number)
    assert cause in found.cause
    assert any(fix in line for line in found.lines())
    shell_takes(*found.lines())


@pytest.mark.parametrize(
    ("changes", "number", "cause"),
    [
        ({**FILTERED, "/.dockerenv": ""}, errno.EPERM, "filter of this docker container refuses"),
        ({**FILTERED, "/run/.containerenv": ""}, errno.EPERM, "filter of this podman container refuses"),
        ({**FILTERED, "/.landlock": ""}, errno.EPERM, "filter of the JailPy jail"),
        ({**FILTERED, "/proc/self/cgroup": "0::/system.slice/judge.service\n"}, errno.EPERM, "filter of judge.service"),
        (FILTERED, errno.EPERM, "a system-call filter around this process"),
        ({"/proc/self/attr/current": "docker-default (enforce)\n"}, errno.EACCES, "AppArmor profile docker-default (enforce)"),
        ({"/sys/fs/selinux/enforce": "1"}, errno.EACCES, "SELinux"),
        ({"/proc/self/mountinfo": "22 21 0:5 / /proc rw - proc proc rw\n"}, errno.EPERM, "chroot"),
        ({}, errno.EINVAL, "no user namespaces"),
        ({}, errno.EPERM, "a security module"),
    ],
)
def test_what_stands_around_it(host, changes, number, cause):
    host(changes)
    found = remedies.no_user_namespace(number)
    assert cause in found.cause
    assert found.lines()
    assert all(found.lines())


def test_a_filter_is_named_before_ubuntus_switch(host, monkeypatch):
    """A container on Ubuntu shows the host's switch; unshare(0), which only a filter refuses, tells the two apart."""
    host({**UBUNTU, **FILTERED, "/.dockerenv": ""})
    assert "kernel.apparmor" in remedies.no_user_namespace(errno.EPERM).cause
    monkeypatch.setattr(remedies, "_filter_refuses", lambda: True)
    assert "docker container" in remedies.no_user_namespace(errno.EPERM).cause


def test_root_is_not_what_ubuntu_or_debian_restrict(host):
    host({**UBUNTU, "/proc/sys/kernel/unprivileged_userns_clone": "0\n"}, uid=0)
    assert "a security module" in remedies.no_user_namespace(errno.EPERM).cause


def test_the_apparmor_profile_is_what_was_meant(host, tmp_path):
    """The lines are run, with a tee that writes to our folder: the profile's text is right whatever the path holds."""
    host()
    path = "/home/o'brien/my venv/bin/jailpy[1]"
    lines = remedies.apparmor_profile(path).shown()
    script = f'sudo() {{ [ "$1" != tee ] || cat >{tmp_path}/profile; }}\n' + "\n".join(lines)
    subprocess.run(["sh", "-ec", script], check=True)
    text = (tmp_path / "profile").read_text().splitlines()
    assert [line for line in text if not line.startswith("#")] == [
        "abi <abi/4.0>,",
        "include <tunables/global>",
        'profile jailpy-launcher "/home/o\'brien/my venv/bin/jailpy\\[1\\]" flags=(unconfined) {',
        "  userns,",
        "}",
    ]


def test_the_profile_names_the_script_that_was_started(host, tmp_path, monkeypatch):
    script = tmp_path / "jailpy"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(script)])
    assert (surroundings.start_script(), surroundings.started_by_script()) == (str(script), True)
    monkeypatch.setattr("sys.argv", ["/usr/lib/python3/dist-packages/jailpy/__main__.py"])
    monkeypatch.setattr("sys.executable", str(tmp_path / "python3"))
    assert (surroundings.start_script(), surroundings.started_by_script()) == (str(script), False)
    host(UBUNTU)
    assert f"python -m jailpy is such a program whatever {script} has" in remedies.no_rights().cause
    script.unlink()
    assert surroundings.start_script() == ""
    assert "start script" in " ".join(remedies.no_rights().lines())


def test_a_profile_around_the_launcher_is_left_by_a_rule(host, monkeypatch):
    host({"/proc/self/attr/current": "shell (enforce)\n"})
    monkeypatch.setattr(surroundings, "start_script", lambda: "/usr/local/bin/jailpy")
    found = remedies.no_user_namespace(errno.EACCES)
    assert "AppArmor profile shell (enforce) confines this process" in found.cause
    assert "`/usr/local/bin/jailpy px,`" in " ".join(found.lines())
    assert "/usr/local/bin/jailpy apparmor install --launcher" in " ".join(found.lines())


def test_masked_proc_is_named_with_what_covers_it(host):
    covers = "30 22 0:6 /null /proc/kcore rw - devtmpfs devtmpfs rw\n31 22 0:9 / /proc/acpi ro - tmpfs tmpfs ro\n"
    host({"/proc/self/mountinfo": "21 1 8:1 / / rw - ext4 x rw\n" + covers, "/.dockerenv": ""})
    found = remedies.masked_proc()
    assert "/proc/kcore, /proc/acpi" in found.cause
    assert "systempaths=unconfined" in found.lines()[0]


@pytest.mark.parametrize(
    ("version", "number", "release", "changes", "cause", "fix"),
    [
        (1, 0, "5.15.0-91-generic", {}, "Landlock ABI 1; 2 is needed", "5.19"),
        (0, errno.ENOSYS, "5.10.0-30-amd64", {}, "5.10.0-30-amd64 is too old", "5.19"),
        (0, errno.ENOSYS, "6.12.1", {}, "built without Landlock", "CONFIG_SECURITY_LANDLOCK"),
        (0, errno.ENOSYS, "6.12.1", {**FILTERED, "/.dockerenv": ""}, "docker container refuses Landlock", "docker run"),
        (0, errno.EOPNOTSUPP, "6.12.1", {"/sys/kernel/security/lsm": "capability,yama,apparmor", "/usr/sbin/update-grub": ""}, "not switched on", 'lsm=landlock,yama,apparmor"'),
        (0, errno.EOPNOTSUPP, "6.12.1", {"/sys/kernel/security/lsm": "capability,selinux", "/usr/sbin/grubby": ""}, "not switched on", "grubby --update-kernel=ALL --args=lsm=landlock,selinux"),
        (0, errno.EOPNOTSUPP, "6.12.1", {}, "not switched on", "command line"),
    ],
)  # fmt: skip
def test_landlock(host, monkeypatch, version, number, release, changes, cause, fix):
    monkeypatch.setattr("os.uname", lambda: type("uname", (), {"release": release}))
    host(changes)
    found = remedies.landlock(version, number)
    assert cause in found.cause
    assert fix in " ".join(found.lines())


def test_the_grub_file_adds_landlock_to_what_is_there(host):
    host({"/sys/kernel/security/lsm": "capability,yama", "/usr/sbin/update-grub": ""})
    (step,) = remedies.landlock(0, errno.EOPNOTSUPP).fix
    script = f'GRUB_CMDLINE_LINUX="quiet"\n{step.text}\nprintf %s "$GRUB_CMDLINE_LINUX"'
    done = subprocess.run(["sh", "-euc", script], check=True, capture_output=True, text=True)
    assert done.stdout == "quiet lsm=landlock,yama"
    assert (step.path, step.load, step.then) == ("/etc/default/grub.d/zz-jailpy.cfg", "update-grub", "then reboot")


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ("ID=debian\n", "sudo apt-get install -y libseccomp2"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "sudo apt-get install -y libseccomp2"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "sudo dnf install -y libseccomp"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "sudo zypper --non-interactive install libseccomp2"),
        ("ID=arch\n", "sudo pacman -S --noconfirm libseccomp"),
        ("ID=alpine\n", "sudo apk add libseccomp"),
        ("ID=unheard-of\n", "install the package libseccomp"),
    ],
)
def test_the_package_of_libseccomp(host, release, command):
    host({"/etc/os-release": release})
    assert remedies.libseccomp().lines()[0].startswith(command)


def test_notification(host):
    host()
    assert "already answers" in remedies.notification(errno.EBUSY).cause
    assert "no seccomp user notification" in remedies.notification(errno.EINVAL).cause
    host(FILTERED)
    assert "refuses further filters" in remedies.notification(errno.EPERM).cause


@pytest.mark.parametrize(
    ("step", "number", "words"),
    [
        ("CloneNamespaces", errno.EPERM, "unprivileged_userns_clone"),
        ("SetHostname", errno.EPERM, "security module"),
        ("CutPropagation", errno.EACCES, "security module"),
        ("NewProc", errno.EPERM, "security module"),
        ("LoadFilter", errno.EINVAL, "5.5"),
        ("LoadFilter", errno.EBUSY, "already answers"),
        ("RestrictLandlock", errno.EOPNOTSUPP, "lsm="),
        ("CloneNamespaces", errno.EAGAIN, "ulimit -u"),
        ("SetCgroupLimit", errno.ENOENT, "swapaccount"),
        ("ApparmorOnExec", errno.ENOENT, "apparmor_parser"),
        ("Attach", errno.ELOOP, "symbolic link"),
        ("ChangeFolder", errno.ENOENT, "--workdir"),
        ("MakeCgroup", errno.EACCES, "doctor"),
        ("OpenSource", errno.ENOSYS, "5.12"),
    ],
)
def test_a_failed_step_names_its_cause_in_the_first_hint(host, step, number, words):
    host({"/proc/sys/kernel/unprivileged_userns_clone": "0\n"} if step == "CloneNamespaces" else {})
    hints = remedies.for_step(step, number)
    assert 1 <= len(hints) <= 2
    assert words in " ".join(hints)
    assert all("\n" not in hint for hint in hints)


def test_every_step_of_the_table_exists():
    from jailpy.steps import cgroups, mounts, plain, process

    known = {name for module in (cgroups, mounts, plain, process) for name in vars(module)}
    named = {step for step, _ in remedies._KNOWN} | set(remedies._CREATING) | set(remedies._NEEDS_RIGHTS)
    assert named - known == set()


def test_a_fix_of_several_lines_is_left_to_doctor(host, monkeypatch):
    host(UBUNTU)
    monkeypatch.setattr(surroundings, "start_script", lambda: "/usr/local/bin/jailpy")
    assert remedies.for_step("SetHostname", errno.EPERM)[1] == "jailpy doctor prints the lines that mend it"


@pytest.mark.parametrize("path", ["/proc/sys/user/max_user_namespaces", "/proc/self/status", "/proc/self/mountinfo"])
def test_a_kernel_file_is_read_whole(path):
    """A sysctl refuses a read(2) of 4 MiB with ENOMEM, other files of /proc give a page at a time."""
    with open(path) as file:
        assert surroundings.text(path).splitlines()[0] == file.readline().rstrip("\n")
