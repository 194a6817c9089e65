"""doctor by real means: hosts that lack something are made of filters, namespaces and accounts, and then examined.

Beside each one stands what `exec` does there: doctor must not be more hopeful or more gloomy than the truth.
"""

import errno
import json
import os
import subprocess
import sys

import pytest

from jailpy.kernel import landlock
from tests.core import cgroups

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NOBODYS = 23456
LAYERS = 14
BEHIND_FILTER = """
import os, sys, pyseccomp
building = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
for name, number in {refused!r}:
    building.add_rule(pyseccomp.ERRNO(number), name)
if {clone}:
    flags = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, 0x10000000, 0x10000000)
    building.add_rule(pyseccomp.ERRNO(1), "clone", flags)
building.load()
os.execv(sys.executable, [sys.executable, "-P", "-m", "jailpy", *sys.argv[1:]])
"""
BEHIND_LISTENER = """
import os, sys
from jailpy.kernel import process, seccomp
process.prctl(process.PR_SET_NO_NEW_PRIVS, 1)
allow_all = (6).to_bytes(4, sys.byteorder) + seccomp.RET_ALLOW.to_bytes(4, sys.byteorder)
os.set_inheritable(seccomp.load_filter(allow_all, True), True)
os.execv(sys.executable, [sys.executable, "-P", "-m", "jailpy", *sys.argv[1:]])
"""
KILLING = """
import os, sys, pyseccomp
building = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
for number in (165, 428, 429, 430, 442):  # mount, open_tree, move_mount, fsopen, mount_setattr
    building.add_rule(pyseccomp.KILL_PROCESS, number)
building.load()
os.execv(sys.executable, [sys.executable, "-P", "-m", "jailpy", *sys.argv[1:]])
"""
pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "cache").mkdir(mode=0o755)
    return {**os.environ, "PYTHONPATH": ROOT, "XDG_CACHE_HOME": str(tmp_path / "cache")}


def run(environment, *arguments, before=(), code="", **more):
    start = [sys.executable, "-P", *(("-c", code) if code else ("-m", "jailpy"))]
    return subprocess.run([*before, *start, *arguments], capture_output=True, text=True, env=environment, timeout=60, **more)


def examine(environment, *arguments, **more):
    """Run doctor --json; return its report and each layer of it by name."""
    done = run(environment, "doctor", "--json", *arguments, **more)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["starts"] else 1)
    return found, {layer["name"]: layer for layer in found["layers"]}


def starts(environment, **more):
    """Say whether exec starts there, which is what doctor foretells."""
    done = run(environment, "exec", "--", "true", **more)
    assert done.returncode in (0, 125), done.stderr
    return done.returncode == 0


def test_it_foretells_what_exec_does_here(environment):
    found, layers = examine(environment)
    assert found["starts"] == starts(environment)
    assert len(layers) == LAYERS
    assert layers["landlock"]["mechanism"].startswith("ABI ")
    assert all(layer["cause"] for layer in layers.values() if layer["state"] in ("absent", "degraded"))
    assert all(layer["cause"] is None for layer in layers.values() if layer["state"] == "enforced")


def test_the_words_end_with_the_verdict(environment):
    found, _ = examine(environment)
    done = run(environment, "doctor")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("JailPy 0.1.0 on ")
    assert lines[-1] == found["conclusion"]
    assert sum(line.startswith("  ") and not line.startswith("   ") for line in lines) == LAYERS


@pytest.mark.parametrize(
    ("refused", "clone", "layer", "cause"),
    [
        ([("unshare", errno.EPERM), ("clone3", errno.ENOSYS), ("mount", errno.EPERM)], True, "user", "refuses namespaces"),
        ([("mount", errno.EPERM), ("fsopen", errno.EPERM)], False, "mount", "refuses mounts"),
        ([("landlock_create_ruleset", errno.ENOSYS)], False, "landlock", "refuses Landlock"),
        ([("seccomp", errno.EPERM)], False, "seccomp", "refuses further filters"),
    ],
)  # fmt: skip
def test_a_containers_filter(environment, refused, clone, layer, cause):
    numbers = [(name if name != "landlock_create_ruleset" else 444, number) for name, number in refused]
    numbers = [({"clone3": 435, "fsopen": 430}.get(name, name), number) for name, number in numbers]
    code = BEHIND_FILTER.format(refused=numbers, clone=clone)
    examine(environment)  # fills the cache: the filter is made by the same libseccomp
    found, layers = examine(environment, code=code)
    assert not found["starts"]
    assert layers[layer]["state"] == "absent"
    assert cause in layers[layer]["cause"]
    assert "filter" in layers[layer]["cause"]
    assert layers[layer]["fix"]
    assert not starts(environment, code=code)
    if layer == "user":
        assert layers["net"]["cause"] == "needs the user namespace"
    assert {name for name, found in layers.items() if found["fix"]} - {"cgroup"} == {layer}


def test_another_sandboxs_listener(environment):
    examine(environment)
    found, layers = examine(environment, code=BEHIND_LISTENER, close_fds=False)
    assert "already answers its system calls" in layers["seccomp"]["cause"]
    assert not found["starts"]
    assert not starts(environment, code=BEHIND_LISTENER, close_fds=False)


def test_no_user_namespaces_left(environment, need_tool):
    """The sysctl is set in a user namespace of the test's own, which counts for those below it alone."""
    switch = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
    before = (need_tool("unshare"), "-Ur", "sh", "-c", switch, "sh")
    found, layers = examine(environment, before=before)
    assert layers["user"]["cause"].startswith("user.max_user_namespaces = 0")
    assert layers["mount"]["cause"] == "needs the user namespace"
    assert not found["starts"]
    done = run(environment, "exec", "--allow-missing", "cgroup", "--", "true", before=before)
    assert done.returncode == 125
    assert "user.max_user_namespaces = 0" in done.stderr


def test_masked_proc(environment, need_tool):
    namespaces = "-m" if os.geteuid() == 0 else "-Urm"
    before = (need_tool("unshare"), namespaces, "sh", "-c", 'mount -t tmpfs none /proc/irq && exec "$@"', "sh")
    found, layers = examine(environment, before=before)
    assert layers["user"]["state"] == "enforced"
    assert layers["mount"]["cause"].startswith("/proc is masked around this process (/proc/irq)")
    assert not found["starts"]
    done = run(environment, "exec", "--allow-missing", "cgroup", "--", "true", before=before)
    assert done.returncode == 125
    assert "/proc is masked" in done.stderr


def test_inside_a_jail(environment):
    arguments = ("--ro", ROOT, "--runtime", "caller-python", "--env", f"PYTHONPATH={ROOT}", "--allow-missing", "cgroup")
    command = (sys.executable, "-P", "-m", "jailpy", "doctor", "--json")
    done = run(environment, "exec", "-q", *arguments, "--", *command)
    assert done.returncode == 1, done.stderr
    layers = {layer["name"]: layer for layer in json.loads(done.stdout)["layers"]}
    assert layers["user"]["cause"] == "the filter of the JailPy jail around this process refuses namespaces"
    assert layers["user"]["fix"] == ["this is a jail of JailPy's, and jails do not nest: start it outside"]
    assert layers["no-new-privs"]["state"] == "enforced"


@pytest.mark.parametrize(
    ("error", "cause", "fix"),
    [
        ("ImportError('no such module')", "pyseccomp is missing", "-m pip install pyseccomp"),
        ("RuntimeError('Unable to find libseccomp')", "libseccomp.so.2 is missing", "libseccomp"),
    ],
)
def test_a_missing_library(environment, tmp_path, error, cause, fix):
    (tmp_path / "pyseccomp.py").write_text(f"raise {error}\n")
    environment = {**environment, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    found, layers = examine(environment)
    assert cause in layers["seccomp"]["cause"]
    assert fix in layers["seccomp"]["fix"][0]
    assert not found["starts"]
    assert layers["mount"]["state"] == layers["rlimits"]["state"] == "enforced"
    # before ABI 9 (Unix sockets) Landlock leans on the filter, and without it holds in part only
    assert layers["landlock"]["state"] == ("degraded" if landlock.abi()[0] < 9 else "enforced")
    assert not starts(environment)


def test_the_fix_script_here(environment):
    """Standard output is the script alone, and the status doctor's; a shell takes it."""
    found, layers = examine(environment)
    done = run(environment, "doctor", "--fix-script")
    assert (done.returncode, done.stderr) == (0 if found["starts"] else 1, "")
    assert done.stdout.startswith("#!/bin/sh\n")
    taken = subprocess.run(["sh", "-n"], input=done.stdout, capture_output=True, text=True)
    assert (taken.returncode, taken.stderr) == (0, "")
    causes = [f"# {name}: {layer['cause']}" for name, layer in layers.items() if layer["fix"]]
    assert [cause for cause in causes if cause not in done.stdout.splitlines()] == []
    assert ("nothing to fix: " in done.stdout) == (found["starts"] and not causes)


def test_a_script_of_json_is_refused(environment):
    done = run(environment, "doctor", "--fix-script", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "exclude each other" in done.stderr


def test_the_kernels_own_words_on_request(environment):
    if not examine(environment)[0]["starts"]:
        pytest.skip("strict does not start here, so the kernel was not asked")
    brief, whole = run(environment, "doctor").stdout, run(environment, "doctor", "-v").stdout
    assert "net:[" in whole
    assert "net:[" not in brief
    assert len(brief.splitlines()) == len(whole.splitlines())


def test_a_filter_that_kills(environment):
    """systemd's SystemCallFilter= without SystemCallErrorNumber=: doctor outlives it, and exec says what it was."""
    examine(environment)
    found, layers = examine(environment, code=KILLING)
    assert not found["starts"]
    assert layers["mount"]["state"] == "absent"
    assert "filter" in layers["mount"]["cause"]
    assert "refuses mounts" in layers["mount"]["cause"]
    assert layers["user"]["state"] == layers["landlock"]["state"] == "enforced"


def test_a_profile_that_is_wrong(environment, tmp_path):
    (tmp_path / "wrong.toml").write_text("schema = 1\nname = 'wrong'\nextends = ['strict']\n[limits]\nmemory = -1\n")
    done = run(environment, "doctor", "-p", str(tmp_path / "wrong.toml"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "limits.memory" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def stranger(environment):
    """An account with nothing: a uid without name, home or cgroup. Returns what runs a command as it."""
    cache = f"/tmp/jailpy-test-cache-{os.getpid()}"
    os.mkdir(cache, 0o700)
    os.chown(cache, NOBODYS, NOBODYS)
    yield {**environment, "XDG_CACHE_HOME": cache, "HOME": "/nonexistent"}
    subprocess.run(["rm", "-rf", cache], check=True)


AS_STRANGER = ("setpriv", "--reuid", str(NOBODYS), "--regid", str(NOBODYS), "--clear-groups")


def folders_made():
    return [f"{folder}/{name}" for folder, name in cgroups() if name == f"jailpy-{NOBODYS}"]


@pytest.mark.root
def test_no_cgroup_and_the_script_that_makes_one(stranger, need_tool):
    """The stranger's script is run by root as it was printed; then exec starts, where before it did not."""
    need_tool("setpriv")
    if not os.path.exists("/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        pytest.skip("needs cgroup version 1: on version 2 the lines are systemd's")
    found, layers = examine(stranger, before=AS_STRANGER)
    assert not found["starts"]
    assert found["conclusion"] == "strict does not start here (exec ends with 125): cgroup missing"
    assert (
        layers["cgroup"]["cause"]
        == f"this host has cgroup version 1, and no folder jailpy-{NOBODYS} that belongs to this account"
    )
    assert not starts(stranger, before=AS_STRANGER)
    try:
        script = run(stranger, "doctor", "--fix-script", before=AS_STRANGER).stdout
        subprocess.run(["sh"], input=script, text=True, check=True)
        assert folders_made()
        assert starts(stranger, before=AS_STRANGER)
        found, layers = examine(stranger, before=AS_STRANGER)
        assert found["starts"]
        assert layers["cgroup"]["state"] == "enforced"
        held = run(stranger, "selftest", "--json", before=AS_STRANGER)
        assert held.returncode == 0, held.stdout
    finally:
        for folder in folders_made():
            os.rmdir(folder)


@pytest.mark.root
def test_no_process_left_to_try_with(stranger, need_tool):
    """The error names the limit; the control is every other test as a stranger."""
    before = (need_tool("prlimit"), "--nproc=0:0", *AS_STRANGER)
    done = run(stranger, "doctor", before=before)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no child can be made" in done.stderr
    assert "ulimit -u" in done.stderr


def looks():
    paths = ("/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/hostname", "/proc/self/mountinfo")
    return subprocess.run(["cat", *paths], capture_output=True, check=True).stdout


def test_the_trials_leave_the_host_as_it_was(environment):
    before = looks()
    examine(environment)
    assert looks() == before
