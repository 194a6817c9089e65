"""A host whose /proc is covered in part, as in containers: the kernel refuses a new one. The tier "no-proc" does without."""

from __future__ import annotations

import subprocess

import pytest

from tests.core import execute, python
from tests.weaker import on_weaker_host

ACCEPT = ("--set", 'require.tiers=["no-proc"]')
NONE = ("--set", 'filesystem.proc="none"')
NEST = "import os,ctypes\nif ctypes.CDLL(None,use_errno=True).unshare(0x10000000): print(ctypes.get_errno())"


@pytest.fixture(scope="session")
def masked(tmp_path_factory, jailpy):
    """A `jailpy` command where parts of /proc are covered and /proc/sys is read-only."""
    return on_weaker_host(tmp_path_factory.mktemp("masked"), jailpy, "proc")


@pytest.fixture(scope="session")
def writable(tmp_path_factory, jailpy):
    """As `masked`, but /proc/sys can be written."""
    return on_weaker_host(tmp_path_factory.mktemp("writable"), jailpy, "proc-rw")


@pytest.fixture
def accepting(tmp_path):
    """A profile that accepts the tier."""
    profile = tmp_path / "masked.toml"
    profile.write_text('schema = 1\nname = "masked"\nextends = ["strict"]\n[require]\ntiers = ["no-proc"]\n')
    return str(profile)


def layer(done, name):
    return next(found for found in done.report["layers"] if found["name"] == name)


def test_strict_refuses_and_names_the_ways_out(masked):
    done = execute(masked, "--", "true")
    assert (done.verdict, done.status) == ("not_started", 125)
    assert b"could not mount a proc filesystem" in done.err
    shown = subprocess.run([masked, "doctor"], capture_output=True, check=False, timeout=120)
    assert shown.returncode == 1
    assert b"/proc is masked around this process" in shown.stdout
    assert b"--set require.tiers=no-proc" in shown.stdout
    assert b"--set filesystem.proc=none" in shown.stdout


def test_doctor_of_a_profile_that_accepts_the_tier(masked, accepting):
    done = subprocess.run([masked, "doctor", "-p", accepting], capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    assert b"user          degraded" in done.stdout
    assert b"cgroup        enforced" in done.stdout or b"cgroup        degraded" in done.stdout


def test_the_tier_does_without_proc(masked):
    done = execute(masked, *ACCEPT, *python("import os; print(os.path.exists('/proc/self'))"))
    assert (done.verdict, done.out) == ("ok", b"False\n"), done.err
    assert done.report["tiers"] == ["no-proc"]
    assert any("/proc is masked around JailPy" in note for note in done.report["notes"])
    assert layer(done, "mount")["state"] == "enforced"
    assert "mounts, all nosuid" in layer(done, "mount")["verified"]


def test_where_proc_can_be_had_the_tier_is_not_in_force(jailpy):
    done = execute(jailpy, *ACCEPT, *python("import os; print(os.path.exists('/proc/self'))"))
    assert (done.verdict, done.out, done.report["tiers"]) == ("ok", b"True\n", [])
    assert layer(done, "user")["state"] == "enforced"


def test_the_ban_on_nesting_by_the_filter_alone_is_degraded(masked):
    done = execute(masked, *ACCEPT, *python(NEST))
    assert (done.verdict, done.out) == ("ok", b"1\n"), done.err
    user = layer(done, "user")
    assert user["state"] == "degraded"
    assert "by the filter alone, /proc/sys is read-only around JailPy" in user["mechanism"]
    refused = execute(masked, *NONE, "--", "true")
    assert refused.status == 125
    assert b"the ban on further user namespaces is missing: /proc/sys is read-only around JailPy" in refused.err
    assert b"accept the tier" in refused.err
    excused = execute(masked, *NONE, "--allow-missing", "user", *python(NEST))
    assert (excused.verdict, excused.out) == ("ok", b"1\n")


def test_with_a_filter_that_allows_nesting_nothing_forbids_it(masked):
    allowed = ("--set", 'seccomp.allow=["unshare"]')
    done = execute(masked, *ACCEPT, *allowed, *python(NEST))
    assert done.status == 125
    assert b"and the filter allows them" in done.err


@pytest.mark.parametrize("how", [ACCEPT, NONE], ids=["tier", "proc none"])
def test_nesting_is_forbidden_by_the_kernel_where_it_can_be_said(writable, how):
    """The jail's own count is set to 0 through the host's /proc: it holds without the filter."""
    done = execute(writable, *how, "--set", 'seccomp.allow=["unshare"]', *python(NEST))
    assert (done.verdict, done.out) == ("ok", b"28\n"), done.err
    assert layer(done, "user")["state"] == "enforced"
    assert done.report["tiers"] == (["no-proc"] if how is ACCEPT else [])


def test_limits_and_verdicts_need_no_proc_inside(masked):
    done = execute(masked, *ACCEPT, "--memory", "64M", *python("x=[]\nwhile True: x.append(bytearray(1<<20))"))
    assert (done.verdict, done.status) == ("memory_limit", 137)
    done = execute(masked, *ACCEPT, "--cpu", "300ms", *python("while True: pass"))
    assert (done.verdict, done.status) == ("cpu_limit", 124)
    done = execute(masked, *ACCEPT, "--wall", "300ms", *python("import time; time.sleep(60)"))
    assert (done.verdict, done.status) == ("wall_limit", 124)


def test_without_cgroup_and_proc_at_once(tmp_path_factory, jailpy):
    bare = on_weaker_host(tmp_path_factory.mktemp("bare"), jailpy, "proc", "cgroup")
    both = ("--set", 'require.tiers=["no-proc","no-cgroup"]', "--memory", "64M")
    done = execute(bare, *both, *python("x=[]\nwhile True: x.append(bytearray(1<<20))"))
    assert (done.verdict, done.report["tiers"]) == ("memory_limit", ["no-proc", "no-cgroup"])


PROGRAMS = {
    "bash": ["bash", "-c", "x=$(echo sub); cat <<<$x; sleep 0 & wait; echo {1..3}"],
    "python3": ["python3", "-c", "import subprocess,multiprocessing as m\nprint(m.get_context('fork').Pool(2).map(len,['a']))"],
    "perl": ["perl", "-e", "print `echo hi`"],
    "node": ["node", "-e", "console.log(require('child_process').execSync('echo hi').toString())"],
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_real_programs_run_without_proc(masked, need_tool, name):
    need_tool(name)
    runtime = ("--runtime", "node") if name == "node" else ()
    done = execute(masked, *ACCEPT, *runtime, "--wall", "30s", "--", *PROGRAMS[name])
    assert (done.verdict, bool(done.out)) == ("ok", True), done.err


def test_a_compiler_runs_without_proc(masked, need_tool):
    need_tool("gcc")
    script = 'printf "#include <stdio.h>\\nint main(){return puts(\\"made\\")<0;}" > a.c && gcc -w -o a a.c && ./a'
    done = execute(masked, "-p", "build", *ACCEPT, "--wall", "30s", "--", "sh", "-c", script)
    assert (done.verdict, done.out) == ("ok", b"made\n"), done.err


BROKEN = {"standard output by name": "echo x >/dev/stdout", "process substitution": "bash -c 'cat <(echo x)'"}


@pytest.mark.parametrize("what", BROKEN)
def test_what_breaks_without_proc(masked, jailpy, need_tool, what):
    need_tool("bash")
    done = execute(masked, *ACCEPT, "--", "sh", "-c", BROKEN[what])
    assert done.verdict == "nonzero_exit"
    assert execute(jailpy, "--", "sh", "-c", BROKEN[what]).out == b"x\n", "the control"


def test_selftest_attacks_what_is_left(masked, accepting):
    done = subprocess.run([masked, "selftest", "-p", accepting], capture_output=True, check=False, timeout=300)
    assert done.stdout.count(b"the filter alone forbids it here: see") == 2
    assert [line for line in done.stdout.decode().splitlines() if "BROKE" in line and "set-uid" not in line] == []
