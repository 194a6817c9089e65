"""A launcher with a pool: runs take jails that were built ahead, each once, and only those that fit to the letter."""

from __future__ import annotations

import os
import pathlib
import pickle
import signal
import time

import pytest

import jailpy
from tests.client.test_robust import children, workers_of
from tests.core import PATIENCE, eventually

pytestmark = pytest.mark.usefixtures("nothing_left")
SIZE = 2
TRUE = ["/usr/bin/true"]
MARK = ["/bin/sh", "-c", "ls -A /work /tmp /dev/shm; touch /work/mark /tmp/mark /dev/shm/mark"]


def inits(launcher):
    """List the first processes of the jails that a launcher's workers hold: those of their children in a pid namespace below."""
    return [pid for worker in workers_of(launcher) for pid in children(worker) if len(status(pid, "NSpid")) == 2]


def status(pid, name):
    try:
        with open(f"/proc/{pid}/status") as file:
            return next(line.split()[1:] for line in file if line.startswith(f"{name}:"))
    except (FileNotFoundError, ProcessLookupError):
        return []


def filled(launcher, size=SIZE):
    """Wait until so many jails are parked, and the workers do nothing more."""
    assert eventually(lambda: len(inits(launcher)) == size and is_quiet(launcher)), inits(launcher)
    return inits(launcher)


def is_quiet(launcher):
    """Say whether no worker used its processor for a while: the last jail is verified. See proc(5), schedstat."""

    def used():
        return [pathlib.Path(f"/proc/{worker}/schedstat").read_text().split()[0] for worker in workers_of(launcher)]

    before = used()
    time.sleep(0.05 * PATIENCE)
    return used() == before


def taken(launcher):
    return launcher.stats()["pooled"]


@pytest.fixture
def pool(no_server_left):
    """A launcher whose pool is full."""
    with jailpy.Launcher(pool=SIZE) as made:
        assert made.run(TRUE).verdict == "ok"
        filled(made)
        assert taken(made) == 0
        yield made


def test_a_run_takes_a_parked_jail_and_another_is_built(pool):
    for count in range(1, 4):
        before = filled(pool)
        assert pool.run(TRUE).verdict == "ok"
        assert taken(pool) == count
        assert len({*before} - {*filled(pool)}) == 1


def test_each_jail_serves_one_run(pool):
    seen = []
    for _ in range(4):
        filled(pool)
        seen.append(pool.run(MARK, check=True).stdout)
    assert taken(pool) == 4
    assert set(seen) == {b"/dev/shm:\n\n/tmp:\n\n/work:\n"}


def test_command_and_environment_are_the_runs_own(pool):
    filled(pool)
    words = pool.run(["/usr/bin/env", "-0"], env={"WORD": "a"}, check=True).stdout.split(b"\0")
    assert b"WORD=a" in words
    filled(pool)
    assert pool.run(["/bin/sh", "-c", "cat; exit 3"], input=b"data").stdout == b"data"
    assert taken(pool) == 2
    assert b"WORD" not in pool.run(["/usr/bin/env"], check=True).stdout


def test_another_limit_is_another_jail(pool):
    limit = ["/bin/sh", "-c", "ulimit -n"]
    for number in (20, 21):
        filled(pool)
        before = taken(pool)
        assert pool.run(limit, open_files=number, check=True).stdout == b"%d\n" % number
        assert taken(pool) == before
        filled(pool)
        assert pool.run(limit, open_files=number, check=True).stdout == b"%d\n" % number
        assert taken(pool) == before + 1


def test_a_folder_in_the_place_of_another_is_seen(pool, tmp_path):
    shown, other = tmp_path / "shown", tmp_path / "other"
    for folder in (shown, other):
        folder.mkdir(mode=0o755)
        (folder / "name").write_text(folder.name)
    look = ["/usr/bin/cat", "/data/name"]
    for expected in (0, 1):
        assert pool.run(look, ro=f"{shown}:/data", check=True).stdout == b"shown"
        assert taken(pool) == expected
        filled(pool)
    shown.rename(tmp_path / "moved")
    other.rename(shown)
    assert pool.run(look, ro=f"{shown}:/data", check=True).stdout == b"other"
    assert taken(pool) == 1


def test_what_a_run_brings_is_never_parked(pool, tmp_path):
    file = tmp_path / "file"
    for word in ("one", "two"):
        file.write_text(word)
        assert pool.run(["/usr/bin/cat", "file"], put=str(file), check=True).stdout == word.encode()
        assert (
            pool.python("import sys\nprint(sys.argv[1])\n", [word], interpreter="/usr/bin/python3").stdout
            == word.encode() + b"\n"
        )
        time.sleep(0.1)
    assert taken(pool) == 0


def test_a_changed_profile_file_is_another_jail(no_server_left, tmp_path):
    profile = tmp_path / "own.toml"
    text = 'schema = 1\nname = "own"\ndescription = "For a test."\nextends = ["strict"]\n[limits]\nopen_files = {}\n'
    with jailpy.Launcher(profile, pool=SIZE) as launcher:
        for number in (30, 31):
            profile.write_text(text.format(number))
            assert launcher.run(["/bin/sh", "-c", "ulimit -n"], check=True).stdout == b"%d\n" % number
            filled(launcher)
        assert taken(launcher) == 0
        assert launcher.run(["/bin/sh", "-c", "ulimit -n"], check=True).stdout == b"31\n"
        assert taken(launcher) == 1


def test_clocks_start_with_the_run(pool):
    filled(pool)
    time.sleep(0.6)
    done = pool.run(TRUE, wall="0.5s", cpu="0.5s")
    assert (done.verdict, taken(pool)) == ("ok", 1)
    assert done.usage["wall_s"] < 0.5
    filled(pool)
    assert pool.run(["/usr/bin/sleep", "5"], wall="0.5s").verdict == "wall_limit"
    assert taken(pool) == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_parked_jail_that_was_killed_is_not_used(pool, number):
    for pid in filled(pool):
        os.kill(pid, number)
    assert eventually(lambda: all(is_zombie(pid) for pid in inits(pool)))
    assert pool.run(TRUE).verdict == "ok"
    assert len(filled(pool)) == SIZE


def is_zombie(pid):
    return status(pid, "State")[:1] == ["Z"]


def test_a_parked_payload_that_was_killed_is_not_used(pool):
    for pid in filled(pool):
        (payload,) = children(pid)
        os.kill(payload, signal.SIGKILL)
    time.sleep(0.1)
    assert pool.run(TRUE).verdict == "ok"
    assert taken(pool) == 0
    filled(pool)
    assert pool.run(TRUE).verdict == "ok"
    assert taken(pool) == 1


def test_parked_jails_end_with_their_template(pool):
    (worker,) = workers_of(pool)
    parked = filled(pool)
    for pid in {*children(worker)} - {*parked}:
        os.kill(pid, signal.SIGKILL)
    assert pool.run(TRUE).verdict == "ok"
    assert eventually(lambda: not {*inits(pool)} & {*parked})
    filled(pool)


def test_a_command_that_is_not_there(pool):
    for _ in range(2):
        filled(pool)
        with pytest.raises(jailpy.CommandError) as caught:
            pool.run(["/usr/bin/no-such-program"])
        assert (caught.value.errno, caught.value.exit_status) == (2, 127)
    filled(pool)
    assert pool.run(TRUE).verdict == "ok"
    assert taken(pool) == 1


def test_passed_descriptors_empty_the_pool(pool):
    filled(pool)
    ours, theirs = os.pipe()
    target = os.dup2(theirs, 60)
    try:
        done = pool.run(["/usr/bin/python3", "-I", "-c", "import os; os.write(60, b'x')"], pass_fds=[target])
    finally:
        os.close(theirs)
        os.close(target)
    assert done.verdict == "ok"
    assert os.read(ours, 9) == b"x"
    os.close(ours)
    assert taken(pool) == 0
    assert pool.run(TRUE).verdict == "ok"


def test_a_killed_run_takes_nothing_of_the_pool_along(pool):
    workers = workers_of(pool)
    for count in range(1, 4):
        filled(pool)
        with pool.popen(["/usr/bin/sleep", "50"]) as running:
            for _ in range(count):
                running.kill()
            assert running.wait().verdict == "cancelled"
        assert pool.run(TRUE).verdict == "ok"
    assert workers_of(pool) == workers
    assert taken(pool) >= 3


def test_a_server_that_is_killed_leaves_no_parked_jail(pool):
    parked = filled(pool)
    os.kill(pool._server._process.pid, signal.SIGKILL)
    assert eventually(lambda: not any(os.path.exists(f"/proc/{pid}") and not is_zombie(pid) for pid in parked))
    assert pool.run(TRUE).verdict == "ok"


def test_the_pool_is_shared_by_workers(no_server_left):
    with jailpy.Launcher(pool=4) as launcher:
        list(launcher.map([TRUE] * 8, workers=2))
        for _ in range(2):
            list(launcher.map([["/usr/bin/sleep", "0.2"]] * 2, workers=2))
        assert len(workers_of(launcher)) == 2
        filled(launcher, 4)


def test_a_pickled_launcher_keeps_its_pool(no_server_left):
    with pickle.loads(pickle.dumps(jailpy.Launcher(pool=SIZE))) as launcher:
        assert launcher.run(TRUE).verdict == "ok"
        filled(launcher)


@pytest.mark.parametrize("wrong", [-1, 65, "2", 1.5, True, None])
def test_what_is_no_pool(wrong):
    with pytest.raises(jailpy.UsageError, match="option pool: expected a number from 0 to 64"):
        jailpy.Launcher(pool=wrong)


def descriptors(pid):
    """Return how many descriptors a process keeps: the least of some looks, for one may meet it with a file open."""
    found = []
    for _ in range(10):
        found.append(len(os.listdir(f"/proc/{pid}/fd")))
        time.sleep(0.01)
    return min(found)


def test_nothing_leaks_over_many_pooled_runs(pool):
    (worker,) = workers_of(pool)
    for _ in range(20):
        assert pool.run(TRUE).verdict == "ok"
    filled(pool)
    before = descriptors(worker)
    for _ in range(300):
        assert pool.run(TRUE).verdict == "ok"
    filled(pool)
    assert descriptors(worker) == before
    assert taken(pool) > 0


def test_few_descriptors_make_a_small_pool(run_script):
    out = run_script(
        """
        import resource, time, jailpy
        resource.setrlimit(resource.RLIMIT_NOFILE, (130, 130))
        with jailpy.Launcher(pool=64) as launcher:
            verdicts = []
            for _ in range(3):
                verdicts.append(launcher.run(["/usr/bin/true"]).verdict)
                time.sleep(0.5)
            print(verdicts, launcher.stats()["pooled"])
        """
    )
    assert out == "['ok', 'ok', 'ok'] 2\n"
