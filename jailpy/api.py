"""The one door for the command line and services: a request becomes a plan, a plan becomes a result."""

from __future__ import annotations

import os
import time

from jailpy.errors import UsageError
from jailpy.frozen import Frozen
from jailpy.host import facts, sources
from jailpy.kernel import files, landlock
from jailpy.layers import Command
from jailpy.plan import tiers
from jailpy.plan.compile import Plan, Rejection, compile_plan
from jailpy.profile.load import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jailpy.collector import Order
    from jailpy.host.facts import Entry, HostFacts
    from jailpy.host.fixes import Remedy
    from jailpy.host.sources import Source
    from jailpy.launcher.cold import Jail
    from jailpy.profile.model import Profile
    from jailpy.profile.overrides import Override
    from jailpy.supervisor.outcome import Outcome
    from jailpy.supervisor.signals import Interrupts


class Request(Frozen):
    """What a caller asks for. `put` and `get` are (source, destination) pairs; `terminal` asks for a pseudo-terminal.

    `script` is put into the work folder as argv[1]; `preload` are modules for a warm interpreter, argv[0].
    """

    argv: tuple[str, ...]
    profile: str = "strict"
    overrides: tuple[Override, ...] = ()
    excused: tuple[str, ...] = ()
    put: tuple[tuple[str, str], ...] = ()
    get: tuple[tuple[str, str], ...] = ()
    terminal: bool = False
    keep: tuple[int, ...] = ()
    script: bytes | None = None
    preload: tuple[str, ...] = ()


class Result(Frozen):
    """The end of a run. `report` is the JSON object of docs/reference/report.md, `collected` its part about `get`."""

    plan: Plan | None
    outcome: Outcome
    report: dict[str, object]
    collected: list[dict[str, object]]


def plan(request: Request, host: HostFacts | None = None) -> Plan:
    """Compile the plan of a request. Raises ProfileError, UsageError, HostError."""
    return compiled(request, load(request.profile, request.overrides), host or facts.gather())


def compiled(request: Request, profile: Profile, host: HostFacts) -> Plan:
    """Compile the plan of a request for the profile that it names. Raises ProfileError, UsageError, HostError."""
    if not request.argv or not request.argv[0]:
        raise UsageError("command: none was given", ["jailpy exec -- COMMAND [ARG...]"])
    host = _looked_at(profile, host, request.excused)
    found = compile_plan(profile, host, command_of(request, profile, host), request.excused)
    if isinstance(found, Rejection):
        raise found.error(_remedies(found, host))
    return found


def _looked_at(profile: Profile, host: HostFacts, excused: tuple[str, ...]) -> HostFacts:
    """Add what the weaker tiers need to know, each where the profile and the caller allow it at all."""
    if "no-proc" in profile.require.tiers and profile.filesystem.proc == "private":
        from jailpy.host import probe

        host = host.replace(proc_refused=probe.refuses_proc())
    if not tiers.may_be_plain(profile, excused):
        return host
    from jailpy.host import plain
    from jailpy.plan import shape

    wants_proc = profile.filesystem.proc != "none" and "no-proc" not in profile.require.tiers
    found = plain.look(shape.tries_namespaces(profile), host.real_root, profile.filesystem.exec == "any", wants_proc)
    return host.replace(plain=found)


def _remedies(rejection: Rejection, host: HostFacts) -> dict[str, Remedy]:
    """Look closer at the layers whose gap has more than one possible cause."""
    from jailpy.host import delegation, remedies

    layers = {need.layer for need in rejection.needs}
    found = {}
    if "cgroup" in layers:
        found["cgroup"] = delegation.no_cgroup(host.cgroups, files.mounts())
    if "landlock" in layers and host.landlock_abi < 2:
        found["landlock"] = remedies.landlock(host.landlock_abi, landlock.abi()[1])
    return found


def command_of(request: Request, profile: Profile, host: HostFacts) -> Command:
    """Look at what the request shows and copies, and return what to run. Raises UsageError."""
    filesystem = profile.filesystem
    asked = [
        (mode, show.source, show.destination)
        for mode, shows in (("ro", filesystem.ro), ("rw", filesystem.rw), ("cow", filesystem.cow))
        for show in shows
    ]
    asked += [("put", source, destination) for source, destination in request.put]
    cwd = _cwd()
    found = tuple(_look(request, profile, each, cwd, host.hidden) for each in asked)
    root, root_owner = sources.root_folder(filesystem.root, host.hidden)
    taken = sources.system_places((*host.system, *host.etc)) if filesystem.root == "system" else sources.root_places(root)
    given = () if request.script is None else (sources.script(request.argv[1], filesystem.workdir),)
    sources.check((*found, *given), tuple(entry.destination for entry in filesystem.tmpfs), filesystem.workdir, taken)
    shown = [*((f"--{each.mode} {each.path}", each.path) for each in found), *(("filesystem.root", each.path) for each in root)]
    sources.check_interfaces(shown, host.interfaces)
    if filesystem.exec == "system" and filesystem.rw:
        sources.check_execution(found, sources.system_places(host.system) if filesystem.root == "system" else taken)
    devices, without_device = _devices(profile, host, found, root)
    return Command(
        argv=request.argv,
        environment=environment_of(profile),
        sources=tuple(source for source in found if source.mode != "put"),
        put=tuple(source for source in found if source.mode == "put"),
        root=root,
        root_owner=root_owner,
        terminal=request.terminal,
        collect=bool(request.get),
        keep=request.keep,
        keeps_files=any(map(sources.may_write, request.keep)),
        devices=devices,
        without_device=without_device,
        script=request.script,
        preload=request.preload,
    )


def _look(request: Request, profile: Profile, asked: tuple[str, str, str], cwd: str, hidden: tuple[str, ...]) -> Source:
    """Look at what is shown or copied. Raises UsageError, which says so where no option but the profile asks for it."""
    try:
        return sources.look(*asked, profile.filesystem.workdir, cwd, hidden)
    except UsageError as error:
        key, source = f"filesystem.{asked[0]}", asked[1]
        if asked[0] == "put" or any(each.key == key and source in str(each.value) for each in request.overrides):
            raise
        raise UsageError(error.message, [*error.hints, f"profile {profile.name} asks for it: {key}"]) from error


def _devices(
    profile: Profile, host: HostFacts, found: tuple[Source, ...], root: tuple[Entry, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Look for the block devices behind all that the jail shows, where their use is limited."""
    if profile.limits.io is None:
        return (), ()
    from jailpy.host import devices

    shown = [*(host.system if profile.filesystem.root == "system" else root)]
    paths = [*(entry.target or entry.path for entry in shown if entry.kind != "link"), *(source.path for source in found)]
    return devices.behind(paths, files.mounts())


def _cwd() -> str:
    """Return the caller's folder, which relative sources start from; "" for a deleted one, where nothing is found."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def environment_of(profile: Profile) -> tuple[tuple[str, str], ...]:
    """Return what the payload gets: the names passed on, then what the profile sets."""
    passed = {name: os.environ[name] for name in profile.environment.pass_ if name in os.environ}
    return tuple({**passed, **dict(profile.environment.set)}.items())


def run(
    plan: Plan,
    get: tuple[tuple[str, str], ...],
    streams: tuple[int, int, int],
    signals: Interrupts | None = None,
    begin: Callable[[], Jail] | None = None,
) -> Result:
    """Launch a plan, supervise it to its end, collect what was asked for. Raises LaunchError, HostError.

    `signals` says who may end the run meanwhile: this process's own signals, where None is given. `begin` gives the jail
    with the parked payload, where the caller has a way of its own to launch; the jail's plan is the run's then.
    """
    started_at = now()
    orders = _orders(get)
    signals = signals or _own_signals(plan, streams)
    try:
        jail = begin() if begin else _launch(plan)
        plan = jail.plan
        try:
            from jailpy.supervisor.run import supervise

            escaped = (os.isatty(streams[1]), os.isatty(streams[2]))
            outcome = supervise(jail, streams, escaped, signals)
            collected = _collect(jail, orders)
        finally:
            jail.close()
    finally:
        signals.close()
        for order in orders:
            os.close(order.folder)
    from jailpy.report.record import record

    if jail.left:
        outcome = outcome.replace(notes=(*outcome.notes, f"cgroup: {jail.left}"), weakened=("cgroup",))
    report = record(plan, plan.command.argv, outcome, jail.verified, started_at, collected)
    return Result(plan, outcome, report, collected)


def _launch(plan: Plan) -> Jail:
    from jailpy.launcher import cold

    return cold.launch(plan, meanwhile=_import_what_follows)


def _own_signals(plan: Plan, streams: tuple[int, int, int]) -> Interrupts:
    from jailpy.supervisor.signals import Signals

    return Signals(streams[0] if plan.command.terminal and streams[0] >= 0 and os.isatty(streams[0]) else None)


def _import_what_follows() -> None:
    from jailpy.report import record
    from jailpy.supervisor import run

    del record, run


def _orders(get: tuple[tuple[str, str], ...]) -> list[Order]:
    """Open the folders that `get` writes to, before anything of the run could change them."""
    if not get:
        return []
    from jailpy import collector

    return collector.order(get)


def _collect(jail: Jail, orders: list[Order]) -> list[dict[str, object]]:
    if not orders:
        return []
    from jailpy import collector

    workdir = jail.plan.profile.filesystem.workdir.strip("/")
    views = [(path[len(workdir) :].strip("/"), view) for path, view in jail.offered("collect")]
    return collector.collect(views, orders, jail.plan.profile.limits)


def now() -> str:
    """Return the time as reports write it (ISO 8601, UTC)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
