"""What a cluster's worker does: it unpacks a problem once, keeps a judge for it, and judges. Runs on the workers."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading

import msgspec
from distributed import WorkerPlugin, get_worker

from jailpy.services.grading.engine import Judge, Options
from jailpy.services.grading.names import file_path
from jailpy.services.grading.problem import Problem, files_below, opened
from jailpy.services.grading.session import sound
from jailpy.services.grading.slots import physical_cores
from jailpy.services.grading.submission import Submission

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jailpy.services.grading.results import TestResult


class _Kept:
    """A problem on this worker: its folder, and the judges for it, one for each set of options."""

    def __init__(self, folder: str, cores: frozenset[int] | None, threads: int) -> None:
        self.folder, self.cores, self.threads = folder, cores, threads
        self.judges: dict[bytes, Judge] = {}
        self.lock = threading.Lock()

    def judge(self, options: bytes) -> Judge:
        with self.lock:
            if options not in self.judges:
                self.judges[options] = self._made(options)
            return self.judges[options]

    def _made(self, options: bytes) -> Judge:
        """Make a judge on this worker's cores. Without a place of its own, its times are those of a shared host."""
        wanted = msgspec.structs.replace(msgspec.json.decode(options, type=Options), jobs=self.threads)
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.cores or before)  # of this thread; the judge's slots take their cores from it
        try:
            made = Judge(Problem.load(self.folder), wanted)
        finally:
            os.sched_setaffinity(0, before)
        if self.cores is None:
            made.slots.quality = "shared"
        return made

    def close(self) -> None:
        with self.lock:
            for judge in self.judges.values():
                judge.close()
        shutil.rmtree(self.folder, ignore_errors=True)


_problems: dict[str, _Kept] = {}


class ProblemPlugin(WorkerPlugin):
    """Carries a packed problem to each worker, once. `places` says which part of its host's cores a worker has."""

    def __init__(self, key: str, packed: bytes, places: dict[str, tuple[int, int]]) -> None:
        self.name = key
        self._packed = packed
        self._places = places

    def setup(self, worker: Any) -> None:
        """Unpack the problem into a folder of its own."""
        folder = tempfile.mkdtemp(
            prefix="jailpy-problem-", dir=worker.local_directory
        )  # Dask removes what a killed worker leaves
        unpack(self._packed, folder)
        _problems[self.name] = _Kept(folder, cores(self._places.get(worker.address)), worker.state.nthreads)

    def teardown(self, worker: Any) -> None:
        """Close its judges and remove it."""
        kept = _problems.pop(self.name, None)
        if kept:
            kept.close()


class _File(msgspec.Struct, frozen=True, array_like=True):
    """A file of a problem on its way."""

    path: str
    mode: int
    content: bytes


def pack(folder: str) -> bytes:
    """Pack the files of a problem's folder. Links are followed: the copy is whole. Raises OSError, ValueError, ProblemError."""
    found = []
    for path in files_below(folder):
        with opened(path) as file:
            found.append(_File(file_path(os.path.relpath(path, folder)), os.fstat(file.fileno()).st_mode & 0o777, file.read()))
    return msgspec.msgpack.encode(found)


def unpack(packed: bytes, folder: str) -> None:
    """Write packed files below a folder."""
    for file in msgspec.msgpack.decode(packed, type=list[_File]):
        path = os.path.join(folder, file_path(file.path))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as out:
            out.write(file.content)
            os.fchmod(out.fileno(), file.mode)


def cores(place: tuple[int, int] | None) -> frozenset[int] | None:
    """Return the part of this host's cores that the `place`, (which, of how many), has; None where there are too few."""
    whole = physical_cores()
    if place is None or place[1] > len(whole):
        return None
    return frozenset().union(*whole[place[0] :: place[1]])


def limits(key: str, options: bytes) -> bytes:
    """Return the limits of each run, as JSON."""
    return msgspec.json.encode(_problems[key].judge(options).limits)


def judge(key: str, options: bytes, packed: bytes, topic: str, number: str) -> bytes:
    """Judge a packed submission and return the result as JSON. Each test's result goes to the client's `topic`."""
    worker = get_worker()

    def tell(_: Submission, test: TestResult) -> None:
        with contextlib.suppress(UnicodeEncodeError):  # progress alone: the whole result comes in the end
            worker.log_event(topic, (number, msgspec.json.encode(test)))

    submission = msgspec.msgpack.decode(packed, type=Submission)
    return msgspec.json.encode(sound(_problems[key].judge(options).judge(submission, tell)))
