"""Judging on a cluster of processes on this machine: the same results, lost workers, one shipment of the problem."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from msgspec.structs import replace

from jailpy.errors import HostError, UsageError
from jailpy.services.grading import intake
from jailpy.services.grading.engine import Judge, Options
from jailpy.services.grading.problem import Problem
from jailpy.services.grading.results import Timing, Verdict
from jailpy.services.grading.session import Session, Watch
from tests.core import PATIENCE
from tests.grading.conftest import submission, write

GOOD = "print(sum(map(int, input().split())))\n"
OPTIONS = Options(time_limit=1.0)
CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    options = dict(processes=True, dashboard_address=None, host="127.0.0.1", threads_per_worker=1)
    with LocalCluster(n_workers=int(sys.argv[1]), **options) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def cluster(tmp_path):
    """Start a scheduler with so many workers, and return its address; their temporary files lie in `tmp_path/workers`."""
    started = []
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    (tmp_path / "workers").mkdir()

    def start(workers):
        process = subprocess.Popen(
            [sys.executable, str(script), str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path / "workers")},
        )
        started.append(process)
        return process.stdout.readline().strip()

    yield start
    for process in started:
        process.communicate(timeout=60)


@pytest.fixture
def clusters(cluster):
    """Return judges on a cluster of so many workers, closed at the end."""
    from jailpy.services.grading.cluster import Cluster

    made = []

    def make(problem, workers=2):
        made.append(Cluster(cluster(workers), problem, OPTIONS))
        return made[-1]

    yield make
    for judge in made:
        judge.close()


def comparable(result):
    """Leave out what differs from run to run."""
    tests = tuple(
        replace(test, cpu_s=None, wall_s=None, memory_bytes=None, evidence=None, timing=Timing()) for test in result.tests
    )
    return replace(result, tests=tests, started_at=None, ended_at=None, compile=None)


class Log(Watch):
    def __init__(self):
        self.tests = {}

    def tested(self, name, test):
        self.tests.setdefault(name, []).append((test.name, test.verdict))


def test_the_same_results_and_progress_as_here(clusters, sums, tmp_path):
    texts = {"a.py": GOOD, "b.py": "print(7)\n", "c.py": "raise SystemExit(3)\n", "d.py": "", "e.py": "x = bytearray(10**9)\n"}
    sources = intake.sources(intake.entries(str(write(tmp_path / "s", texts))))
    problem = Problem.load(sums)
    with Judge(problem, replace(OPTIONS, jobs=1)) as here:
        local = Session(here, sources, watch=Log())
        local.run()
    remote = Session(clusters(problem), sources, watch=Log())
    remote.run()
    assert [entry.verdict.value for entry in remote.results] == ["AC", "WA", "RTE", "CE", "MLE"]
    assert [comparable(entry) for entry in remote.results] == [comparable(entry) for entry in local.results]
    deadline = time.monotonic() + 5 * PATIENCE
    while remote._watch.tests != local._watch.tests and time.monotonic() < deadline:
        time.sleep(0.05)
    assert remote._watch.tests == local._watch.tests


def pids(judge):
    return judge._client.run(os.getpid)


def test_the_job_of_a_lost_worker_is_run_by_another(clusters, sums):
    judge = clusters(Problem.load(sums))
    slow = submission("slow.py", f"import time\ntime.sleep(1.5)\n{GOOD}")
    started = threading.Semaphore(0)
    found = []
    before = pids(judge)

    def work():
        found.append(judge.judge(slow, lambda *_: started.release()))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert started.acquire(timeout=60)
    os.kill(min(before.values()), signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert [result.verdict for result in found] == [Verdict.AC, Verdict.AC]
    assert [len(result.tests) for result in found] == [3, 3]
    deadline = time.monotonic() + 30 * PATIENCE
    while len(pids(judge)) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert set(pids(judge).values()) != set(before.values())
    late = [judge.judge(submission("a.py", GOOD)) for _ in range(4)]  # the worker that came instead has the problem, too
    assert {result.verdict for result in late} == {Verdict.AC}


def shipments(dask_worker):
    """Count the problems that this worker has."""
    from jailpy.services.grading import remote

    return [kept.folder for kept in remote._problems.values()]


def test_the_problem_is_shipped_once_and_removed(clusters, sums, tmp_path):
    judge = clusters(Problem.load(sums))
    before = judge._client.run(shipments)
    assert [len(folders) for folders in before.values()] == [1, 1]
    for _ in range(3):
        assert judge.judge(submission("a.py", GOOD)).verdict == Verdict.AC
    assert judge._client.run(shipments) == before
    folders = [folder for kept in before.values() for folder in kept]
    assert all(os.path.exists(os.path.join(folder, "0.in")) for folder in folders)
    judge.close()
    deadline = time.monotonic() + 20 * PATIENCE
    while any(map(os.path.exists, folders)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(os.path.exists, folders))


def test_workers_of_one_host_share_its_cores(clusters, sums):
    from jailpy.services.grading import remote
    from jailpy.services.grading.slots import physical_cores

    cores = physical_cores()
    shares = [remote.cores((index, len(cores))) for index in range(len(cores))]
    assert sorted(map(sorted, shares)) == sorted(map(sorted, cores))
    assert remote.cores((0, len(cores) + 1)) is None
    assert remote.cores(None) is None
    workers = len(cores) + 1
    result = clusters(Problem.load(sums), workers).judge(submission("a.py", GOOD))
    assert {test.timing.quality for test in result.tests} == {"shared"}


def test_no_workers(cluster, sums):
    from jailpy.services.grading.cluster import Cluster

    with pytest.raises(HostError, match="the scheduler has no workers"):
        Cluster(cluster(0), Problem.load(sums), OPTIONS)


def test_no_scheduler(sums):
    from jailpy.services.grading.cluster import Cluster

    with pytest.raises(UsageError, match="no scheduler answers there"):
        Cluster("nonsense", Problem.load(sums), OPTIONS)


def test_without_dask(sums, monkeypatch):
    from jailpy.services.grading.cluster import Cluster

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match="needs Dask") as error:
        Cluster("tcp://127.0.0.1:9", Problem.load(sums), OPTIONS)
    assert "jailpy[cluster]" in error.value.hints[0]


def test_a_packed_problem_is_the_same(sums, tmp_path):
    from jailpy.services.grading import remote

    (sums / "check").mkdir()
    (sums / "check" / "run").write_text("#!/bin/sh\n")
    (sums / "check" / "run").chmod(0o755)
    (sums / "link.in").symlink_to("0.in")
    remote.unpack(remote.pack(str(sums)), str(tmp_path / "copy"))
    assert os.access(tmp_path / "copy" / "check" / "run", os.X_OK)
    assert (tmp_path / "copy" / "link.in").read_text() == "0 1\n"
    assert not os.path.islink(tmp_path / "copy" / "link.in")


def test_stopped_it_leaves_the_rest_and_the_workers_are_free(clusters, sums, tmp_path):
    slow = f"import time\ntime.sleep(1.5)\n{GOOD}"
    sources = intake.sources(intake.entries(str(write(tmp_path / "s", {"a.py": GOOD, **{f"z{n}.py": slow for n in range(6)}}))))
    judge = clusters(Problem.load(sums), 1)
    session = Session(judge, sources, watch=Log())
    session._watch.judged = lambda *_, **__: session.stop()
    crashed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", crashed.append)
        started = time.monotonic()
        session.run()
    assert time.monotonic() - started < 20 * PATIENCE
    assert [entry.verdict for entry in session.results] == [Verdict.AC]  # whichever the worker took first
    assert len(session.pending) == 6
    assert crashed == []
