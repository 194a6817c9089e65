"""The one door for the command line and services: a request becomes a plan, a plan becomes a result."""

from __future__ import annotations

import os
import time

from jailpy.errors import UsageError
from jailpy.frozen import Frozen
from jailpy.host import facts, sources
from jailpy.layers import Command
from jailpy.plan.compile import Plan, Rejection, compile_plan
from jailpy.profile.load import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.facts import HostFacts
    from jailpy.host.sources import Source
    from jailpy.launcher.cold import Jail
    from jailpy.profile.model import Profile, Show
    from jailpy.profile.overrides import Override
    from jailpy.supervisor.outcome import Outcome


class Request(Frozen):
    """What a caller asks for. `put` and `get` are (source, destination) pairs; `terminal` asks for a pseudo-terminal."""

    argv: tuple[str, ...]
    profile: str = "strict"
    overrides: tuple[Override, ...] = ()
    excused: tuple[str, ...] = ()
    put: tuple[tuple[str, str], ...] = ()
    get: tuple[tuple[str, str], ...] = ()
    terminal: bool = False
    keep: tuple[int, ...] = ()


class Result(Frozen):
    """The end of a run. `report` is the JSON object of docs/reference/report.md, `collected` its part about `get`."""

    plan: Plan | None
    outcome: Outcome
    report: dict[str, object]
    collected: list[dict[str, object]]


def plan(request: Request, host: HostFacts | None = None) -> Plan:
    """Compile the plan of a request. Raises ProfileError, UsageError, HostError."""
    if not request.argv or not request.argv[0]:
        raise UsageError("command: none was given", ["jailpy exec -- COMMAND [ARG...]"])
    profile = load(request.profile, request.overrides)
    compiled = compile_plan(profile, host or facts.gather(), _command(request, profile), request.excused)
    if isinstance(compiled, Rejection):
        raise compiled.error()
    return compiled


def _command(request: Request, profile: Profile) -> Command:
    filesystem, cwd = profile.filesystem, _cwd()
    shown = _look("ro", filesystem.ro, profile, cwd) + _look("rw", filesystem.rw, profile, cwd)
    shown += _look("cow", filesystem.cow, profile, cwd)
    put = tuple(sources.look("put", source, where, filesystem.workdir, cwd) for source, where in request.put)
    root = sources.root_folder(filesystem.root)
    for source in (*shown, *put):
        sources.check_destination(source, shown, filesystem.root, root)
    return Command(
        argv=request.argv,
        environment=_environment(profile),
        sources=shown,
        put=put,
        root=root,
        terminal=request.terminal,
        collect=bool(request.get),
        keep=request.keep,
    )


def _cwd() -> str:
    """Return the caller's folder, which relative sources start from; "" for a deleted one, where nothing is found."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _look(mode: str, shows: tuple[Show, ...], profile: Profile, cwd: str) -> tuple[Source, ...]:
    return tuple(sources.look(mode, show.source, show.destination, profile.filesystem.workdir, cwd) for show in shows)


def _environment(profile: Profile) -> tuple[tuple[str, str], ...]:
    """Return what the payload gets: the names passed on, then what the profile sets."""
    passed = {name: os.environ[name] for name in profile.environment.pass_ if name in os.environ}
    return tuple({**passed, **dict(profile.environment.set)}.items())


def run(plan: Plan, get: tuple[tuple[str, str], ...], streams: tuple[int, int, int]) -> Result:
    """Launch a plan, supervise it to its end, collect what was asked for. Raises LaunchError, HostError."""
    from jailpy.launcher import cold
    from jailpy.supervisor.signals import Signals

    started_at = now()
    signals = Signals(streams[0] if plan.command.terminal and streams[0] >= 0 and os.isatty(streams[0]) else None)
    try:
        jail = cold.launch(plan, _import_what_follows)
        try:
            from jailpy.supervisor.run import supervise

            escaped = (os.isatty(streams[1]), os.isatty(streams[2]))
            outcome = supervise(jail, streams, escaped, signals)
            collected = _collect(jail, get, plan)
        finally:
            jail.close()
    finally:
        signals.close()
    from jailpy.report.record import record

    report = record(plan, plan.command.argv, outcome, jail.verified, started_at, collected)
    return Result(plan, outcome, report, collected)


def _import_what_follows() -> None:
    from jailpy.report import record
    from jailpy.supervisor import run

    del record, run


def _collect(jail: Jail, get: tuple[tuple[str, str], ...], plan: Plan) -> list[dict[str, object]]:
    if not get:
        return []
    from jailpy import collector

    return collector.collect(jail.folders[-1], get, plan.profile.limits)


def now() -> str:
    """Return the time as reports write it (ISO 8601, UTC)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
