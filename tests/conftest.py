"""What all tests share: tools that must be there, tests for root, and a look at what a run leaves behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.core import PATIENCE, PID_NAMESPACE, cgroups

JAIL_PATH = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture(scope="session")
def need_tool():
    """Return the path of a program that a jail can see; skip where it is not installed, fail where CI forgot it."""

    def find(name):
        found = shutil.which(name, path=JAIL_PATH)
        if found:
            return found
        reason = f"{name} is not installed"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}: .ci/run must install it")
        pytest.skip(reason)

    return find


@pytest.fixture(scope="session")
def jailpy(tmp_path_factory):
    """Return the path of a `jailpy` command that runs the package under test with this interpreter."""
    import jailpy as package

    root = os.path.dirname(os.path.dirname(os.path.abspath(package.__file__)))
    script = tmp_path_factory.mktemp("bin") / "jailpy"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -P -m jailpy "$@"\n')
    script.chmod(0o755)
    return str(script)


def pytest_configure():
    """Undo what nohup(1) or a shell's background job made this process ignore: JailPy would rightly go on ignoring it."""
    ignored = {signal.SIGHUP: signal.SIG_DFL, signal.SIGQUIT: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    for number, wanted in ignored.items():
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, wanted)


def pytest_collection_modifyitems(items):
    """Tests for root are skipped as an ordinary user: CI runs the suite as both."""
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture(autouse=True, scope="session")
def patience():
    """Give programs more time on a slow machine (JAILPY_TEST_PATIENCE): every `timeout=` of subprocess is so much longer."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("wait", "communicate") if PATIENCE != 1 else ():
            patch.setattr(subprocess.Popen, name, patient(getattr(subprocess.Popen, name)))
        yield


def patient(method):
    def call(process, *args, **options):
        if options.get("timeout"):
            options["timeout"] *= PATIENCE
        return method(process, *args, **options)

    return call


def launcher_is_gone(cgroup):
    """Tell whether a run's cgroup outlived its launcher, whose pid is in the name: other runs on this host may go on."""
    launcher = re.search(r"jailpy-(\d+)-\d+-(\d+)-\d+", cgroup)
    return bool(launcher) and launcher[2] == PID_NAMESPACE and not os.path.exists(f"/proc/{launcher[1]}")


def left_cgroups():
    """List the cgroups of runs that are over, in every hierarchy."""
    return {os.path.join(folder, name) for folder, name in cgroups() if launcher_is_gone(name)}


def mounts():
    """Read the mounts of this process's namespace."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return set(file)


def left_processes():
    """List the processes in pid namespaces below ours (`NSpid` has more than one number) that have lost their launcher."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/status") as file:
                status = dict(line.split(":", 1) for line in file if ":" in line)
            with open(f"/proc/{pid}/cgroup") as file:
                cgroup = file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended since the listing
        if len(status["NSpid"].split()) > 1 and (launcher_is_gone(cgroup) or int(status["PPid"]) == 1):
            found.add(int(pid))
    return found


@pytest.fixture
def nothing_left():
    """Compare cgroups, mounts and processes before and after a test: nothing may be left."""
    looks = {"cgroups": left_cgroups, "mounts": mounts, "processes": left_processes}
    before = {what: look() for what, look in looks.items()}
    yield
    deadline = time.monotonic() + 2 * PATIENCE
    while any(look() - before[what] for what, look in looks.items()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert {what: look() - before[what] for what, look in looks.items()} == {what: set() for what in looks}
