"""One grading from beginning to end: judge, session, store, reports. Reports are written however it ends."""

from __future__ import annotations

import os
import platform

import msgspec
from msgspec.structs import replace

from jailpy import __version__
from jailpy.services.grading import intake, reports
from jailpy.services.grading.engine import Judge, Options
from jailpy.services.grading.results import Grading, Host, Limits
from jailpy.services.grading.session import Clock, Session, Watch
from jailpy.services.grading.slots import physical_cores
from jailpy.services.grading.store import Store, asked
from jailpy.services.grading.verify import Verifying

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jailpy.services.grading.intake import Source
    from jailpy.services.grading.problem import Problem
    from jailpy.services.grading.redact import Show
    from jailpy.services.grading.session import Judging

_SAME_VERDICT = ("jobs",)  # options that change no verdict


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. `folder` is where reports and store go; `workers` is a Dask scheduler's address, "" for here.

    `verify` compares with what the problem's own example submissions promise: the sources are those.
    """

    problem: Problem
    sources: tuple[Source, ...]
    options: Options = Options()
    folder: str
    formats: tuple[str, ...] = reports.DEFAULT
    show: Show | None = None
    resume: bool = False
    verify: bool = False
    workers: str = ""


def grade(
    problem: Problem,
    submissions: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    options: Options | None = None,
    formats: str | Sequence[str] = reports.DEFAULT,
    show: Show | None = None,
    resume: bool = False,
    workers: str = "",
) -> Grading:
    """Judge the submissions at these paths and write reports into a folder, as `jailpy grade` does.

    `formats` are names of `reports.FORMATS`. Raises JailPyError.
    """
    paths = [submissions] if isinstance(submissions, str | os.PathLike) else submissions
    order = Order(
        problem=problem,
        sources=tuple(intake.sources([os.fspath(path) for path in paths])),
        options=options or Options(),
        folder=os.fspath(folder),
        formats=reports.chosen(formats),
        show=show,
        resume=resume,
        workers=workers,
    )
    return Run(order).grade()


class Run:
    """A grading that goes on. `stop` may be called at any time, by a signal handler too.

    `grading` is what came of it, also where `grade` then raised an error.
    """

    def __init__(self, order: Order, watch: Watch | None = None) -> None:
        self._order = order
        self._watch = watch or Watch()
        self._session: Session | None = None
        self._limits = Limits()
        self._stopped = False
        self._clock = Clock()
        self._started_at = self._clock.now()
        self.grading: Grading | None = None

    @property
    def is_judging(self) -> bool:
        """Whether submissions are being judged: before that, the problem's own programs are built and measured."""
        return self._session is not None

    def stop(self) -> None:
        """End soon, with what there is."""
        self._stopped = True
        if self._session:
            self._session.stop()

    def grade(self) -> Grading:
        """Judge, and write the reports, also when it is stopped or fails. Raises JailPyError."""
        order = self._order
        options = {key: value for key, value in msgspec.to_builtins(order.options).items() if key not in _SAME_VERDICT}
        with Store(order.folder, asked(order.problem.digest, options)) as store:
            try:
                self._judge(store)
            finally:
                if self._session or self._stopped:  # otherwise nothing was begun: older reports stay
                    self.grading = self._grading()
                    reports.write_all(order.folder, self.grading, order.formats, order.show)
        assert self.grading
        return self.grading

    def _judge(self, store: Store) -> None:
        order = self._order
        options = order.options
        known = store.limits() if order.resume else None
        if known and options.time_limit is None:
            options = replace(options, time_limit=known.cpu_s)  # what was measured then is the limit of all
        if order.verify:
            options = _for_examples(options, order.problem)
        judging, self._limits = _judging(order, options)
        if order.verify:
            judging = Verifying(judging, order.problem, self._limits)
        try:
            store.keep_limits(self._limits)
            self._session = Session(
                judging, order.sources, store=store, resume=order.resume, watch=self._watch, clock=self._clock
            )
            if not self._stopped:
                self._session.run()
        finally:
            judging.close()

    def _grading(self) -> Grading:
        session = self._session
        return Grading(
            problem=self._order.problem.info(self._limits),
            submissions=session.results if session else (),
            pending=session.pending if session else tuple(source.name for source in self._order.sources),
            interrupted=self._stopped,
            host=host(),
            started_at=self._started_at,
            ended_at=self._clock.now(),
            jailpy=__version__,
            options=msgspec.to_builtins(self._order.options)
            | ({"workers": self._order.workers} if self._order.workers else {}),
        )


def _for_examples(options: Options, problem: Problem) -> Options:
    """Return options that let runs go on to the format's margin above the time limit, and show every test that matters."""
    margin = problem.limits.time_limit_to_tle - 1
    whole = options.all_tests or problem.format == "2025-09"  # its promises are about tests, not about the first that fails
    return replace(options, rejudge_near=max(options.rejudge_near, margin), all_tests=whole)


def _judging(order: Order, options: Options) -> tuple[Judging, Limits]:
    if order.workers:
        from jailpy.services.grading.cluster import Cluster

        cluster = Cluster(order.workers, order.problem, options)
        return cluster, cluster.limits
    judge = Judge(order.problem, options)
    return judge, judge.limits


def host() -> Host:
    """Describe this machine."""
    return Host(kernel=platform.release(), machine=platform.machine(), cpu=_processor(), cores=len(physical_cores()))


def _processor() -> str | None:
    """Return the processor's name as the kernel has it (proc_cpuinfo(5)), None where it has none."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), None)
    except OSError:
        return None
