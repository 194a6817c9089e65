"""Short runs of the fault suite: processes struck at random, and launchers that lack descriptors, memory, processes, disk."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.core import PATIENCE, execute, groups_of, start
from tests.faults.strike import strike

ROUNDS = int(24 / PATIENCE) + 1


@pytest.mark.parametrize("pool", [0, 2])
def test_processes_struck_at_random(pool):
    tally = strike(ROUNDS, seed=20260101 + pool, pool=pool)
    ends = {what: count for what, count in tally.items() if not what.startswith("depth")}
    assert sum(ends.values()) == ROUNDS
    assert sum(count for what, count in tally.items() if what.startswith("depth")) > ROUNDS // 2, "control: it did strike"
    assert len(ends) > 1 or ROUNDS < 20, "control: some strikes had an effect"


def limited(jailpy, limits, *words):
    """Run `jailpy exec` under limits of the shell's; return status, output, error."""
    command = ["bash", "-c", f'ulimit {limits} && exec "$0" exec -- "$@"', jailpy, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        out, err = process.communicate(timeout=60)
    assert groups_of(process.pid) == []
    return process.returncode, out, err


@pytest.mark.parametrize(
    "limits", [*(f"-n {number}" for number in range(12, 26)), *(f"-v {size}" for size in range(14000, 26000, 1500))]
)
def test_a_launcher_that_lacks_descriptors_or_memory(jailpy, limits, need_tool):
    """It runs the command, or says what is wanting and runs nothing; an interpreter that does not even start says so itself."""
    need_tool("bash")
    status, out, err = limited(jailpy, limits, "echo", "ran")
    assert (status, out) == (0, b"ran\n") or (status != 0 and out == b""), (status, out, err)
    assert b"a bug in JailPy" not in err
    if b"jailpy: error: " in err:
        assert (status, err.count(b"jailpy: error: ")) == (125, 1)
        assert b"Traceback" not in err


def test_a_launcher_with_enough_runs(jailpy, need_tool):
    need_tool("bash")
    assert limited(jailpy, "-n 64", "echo", "ran")[:2] == (0, b"ran\n"), "control"
    assert limited(jailpy, "-v 4000000", "echo", "ran")[:2] == (0, b"ran\n"), "control"


@pytest.mark.skipif(os.geteuid() == 0, reason="root is not bound by RLIMIT_NPROC")
def test_a_launcher_that_can_fork_nothing(jailpy, need_tool):
    need_tool("bash")
    status, out, err = limited(jailpy, "-u 1", "echo", "ran")
    assert (status, out) == (125, b""), err
    assert b"Resource temporarily unavailable" in err


FULL = """
mount -t tmpfs -o size=64k,nr_inodes=12 none "$1" && cd "$1" || exit 99
dd if=/dev/zero of=full bs=1k count=128 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do touch $i 2>/dev/null; done
export XDG_CACHE_HOME=$1/cache XDG_CONFIG_HOME=$1/config TMPDIR=$1 HOME=$1
"$2" exec -- echo ran; echo "status $?"
"$2" exec --report "$1/report.json" -- echo again; echo "status $?"
"$2" exec --stdout "$1/full" -- echo out; echo "status $?"
"""


@pytest.mark.root
def test_a_disk_that_is_full_and_has_no_inodes(jailpy, tmp_path, need_tool):
    done = subprocess.run(
        [need_tool("unshare"), "--mount", "sh", "-c", FULL, "sh", tmp_path, jailpy], capture_output=True, text=True, timeout=60
    )
    assert "a bug in JailPy" not in done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    assert lines[:4] == ["ran", "status 0", "again", "status 0"], done
    assert "report.json: No space left on device" in done.stderr, (
        "the status stays the payload's, and the missing report is told"
    )
    assert lines[4:] in (["status 0"], ["status 125"]), "the full file has room, for it is emptied first"


def test_a_run_is_timed_by_a_clock_that_does_not_jump(jailpy):
    """Setting the host's clock takes root and harms it: that no limit reads it is seen in the source, and the evidence says so."""
    from tests.test_project import MODULES, read

    jumping = [path for path in MODULES if "time.time()" in read(path) or "CLOCK_REALTIME" in read(path)]
    assert [
        path for path in jumping if path.startswith(("jailpy/supervisor", "jailpy/launcher", "jailpy/child", "jailpy/server"))
    ] == []
    assert execute(jailpy, "--wall", "100ms", "--", "sleep", "9").evidence["source"] == "CLOCK_MONOTONIC"


def test_a_reader_that_is_gone(jailpy):
    reader, writer = os.pipe()
    os.close(reader)
    with start(jailpy, "--", "sh", "-c", "yes | head -c 200000; echo $? >&2", stdout=writer) as process:
        os.close(writer)
        process.communicate(timeout=30)
    assert process.returncode not in (None, 125)
    assert groups_of(process.pid) == []
