"""selftest: attack a live jail, layer by layer, and say what held. Parent side.

Each attack runs in the jail of the profile ("jail"), in one that has neither system-call filter, Landlock nor cgroup
namespace ("alone": there the layer stands for itself), and as a positive control where nothing stops it. A layer held
if every attack on it was refused and every control succeeded; an attack whose control failed proves nothing.
"""

from __future__ import annotations

import os
import sys

from jailpy import __version__, api
from jailpy.errors import HostError
from jailpy.frozen import Frozen
from jailpy.plan.tiers import NAMESPACES
from jailpy.profile.overrides import Override
from jailpy.services.attacks import TAKE_MEMORY, TAKE_PROCESSES, Answer, Attack, chosen, parse
from jailpy.services.attacks.inapplicable import reason
from jailpy.services.attacks.scene import SHOWN, Scene, works
from jailpy.steps.process import ApparmorOnExec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jailpy.plan.compile import Plan

_SYSTEM_PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
_BARE = ("seccomp", "landlock", "apparmor", "cgroup-ns")
_MEMORY, _MORE_MEMORY = 64 << 20, 32 << 20
_PROCESSES = 16
_HOLD_S = 1.0
_LONGEST_S = 120.0  # for all attacks together, on a slow machine
_IN_FORCE = ("enforced", "degraded")
CONTROLS = ("outside", "namespaces", "nobody")
STAGES = 5 + len(CONTROLS)


class Result(Frozen):
    """One attack: what was seen in each place. `held` is None where it cannot apply here, for the `reason`."""

    attack: Attack
    held: bool | None
    jail: str
    alone: str
    control: str
    reason: str

    def report(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "layer": self.attack.layer,
            "attack": self.attack.name,
            "what": self.attack.what,
            "held": self.held,
            "jail": self.jail,
            "alone": self.alone or None,
            "control": self.control or None,
            "reason": self.reason or None,
        }


class Selftest(Frozen):
    """The end of a selftest. `layers` pairs each layer's state with whether it held (None: not in force)."""

    profile: str
    layers: tuple[tuple[str, str, bool | None], ...]
    missing: tuple[str, ...]
    results: tuple[Result, ...]

    @property
    def held(self) -> bool:
        """Whether every layer in force held, and none that is required was missing."""
        return not self.missing and all(held is not False for _, _, held in self.layers)

    def report(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "schema": 1,
            "jailpy": __version__,
            "profile": self.profile,
            "held": self.held,
            "missing": list(self.missing),
            "layers": [{"name": name, "state": state, "held": held} for name, state, held in self.layers],
            "attacks": [result.report() for result in self.results],
        }


def selftest(profile: str, tell: Callable[[str], None]) -> Selftest:
    """Attack the jail of a profile; `tell` is called with the name of each of the `STAGES`.

    Raises JailPyError where no such jail can be started even with its missing layers excused.
    """
    return _Bench(profile, tell).run()


class _Bench:
    """One selftest: the request that all its jails share, and the scene."""

    def __init__(self, profile: str, tell: Callable[[str], None]) -> None:
        self._profile = profile
        self._tell = tell
        self._python, self._overrides = _interpreter()
        self._missing: tuple[str, ...] = ()
        self._plain = False
        self._scene = Scene(self._python)

    def run(self) -> Selftest:
        """Make the runs and judge them."""
        try:
            return self._run()
        finally:
            self._scene.close()

    def _run(self) -> Selftest:
        self._tell("starting the jail")
        plan, states = self._start()
        self._scene.start_decoy()
        attacks = [attack for attack in chosen(self._plain, plan.host.real_root) if states[attack.layer] in _IN_FORCE]
        reasons = {attack.name: reason(attack, plan, self._scene.folder) for attack in attacks}
        wanted = tuple(attack.name for attack in attacks if not reasons[attack.name])
        self._tell("attacking the jail")
        jail = self._attack(plan, wanted, ())
        self._tell("attacking each layer alone")
        alone = {} if self._plain else self._attack(plan, wanted, _without(_BARE))
        controls = {"bare": alone}
        for kind in CONTROLS:
            self._tell(f"positive controls: {kind}")
            names = tuple(attack.name for attack in attacks if attack.control == kind and attack.name in wanted)
            controls[kind] = parse(self._scene.outside(kind, self._wanted(plan, names, inside=False)), names)
        judge = _judge_plain if self._plain else _judge
        results = [judge(attack, jail, alone, controls, reasons[attack.name]) for attack in attacks]
        results += self._cgroup(plan, states["cgroup"])
        layers = tuple((name, state, _layer_held(name, state, results)) for name, state in states.items())
        return Selftest(plan.profile.name, layers, self._missing, tuple(results))

    def _start(self) -> tuple[Plan, dict[str, str]]:
        """Start the jail once with nothing to do: what is missing is excused and told, the rest is what to attack."""
        try:
            plan = self._first_plan()
        except HostError as error:
            self._missing = tuple(dict.fromkeys(str(need.layer) for need in error.needs))  # type: ignore[attr-defined]
            if not self._missing:
                raise
            plan = self._first_plan()
        layers = _launch(plan)[0].report["layers"]
        return plan, {layer["name"]: layer["state"] for layer in layers}  # type: ignore[attr-defined]

    def _first_plan(self) -> Plan:
        """Plan with nothing shown, to learn whether there are namespaces, and then with the scene's file."""
        argv = (self._python, "--version")
        bare = api.plan(api.Request(argv, self._profile, self._overrides, self._missing))
        self._plain = not NAMESPACES.intersection(layer.name for layer in bare.layers if layer.state == "enforced")
        if self._plain:
            self._scene.open_to_all()
        return self._plan(argv, ())

    def _plan(self, argv: tuple[str, ...], overrides: tuple[Override, ...]) -> Plan:
        show = Override("filesystem.ro", [self._scene.shown + ("" if self._plain else f":{SHOWN}")], "selftest")
        excused = (*self._missing, "user") if overrides else self._missing
        request = api.Request(argv, self._profile, (*self._overrides, show, *overrides), excused)
        return api.plan(request)

    def _wanted(self, plan: Plan, names: tuple[str, ...], inside: bool) -> dict[str, object]:
        limits = plan.profile.limits
        facts = self._scene.facts(inside, plan.profile.filesystem.workdir)
        if self._plain:
            own: dict[str, object] = {"shown": self._scene.shown, "bounding": plan.host.real_root}
            facts = {**facts, **own, **({"folder": ".", "landlock": "../canary"} if inside else {})}
        label = next((step.profile for step in plan.steps if isinstance(step, ApparmorOnExec)), "")
        more = {"open_files": limits.open_files, "file_size": limits.file_size, "apparmor": label}
        return {"scene": {**facts, **more}, "attacks": names}

    def _attack(self, plan: Plan, names: tuple[str, ...], overrides: tuple[Override, ...]) -> dict[str, Answer]:
        """Run attacks in a jail. A filter that would kill is made to refuse, so that one run can try them all."""
        argv = tuple(self._scene.command(self._wanted(plan, names, inside=True)))
        overrides = (*overrides, *(Override(f"limits.{clock}", _LONGEST_S, "selftest") for clock in ("wall", "cpu")))
        if plan.profile.seccomp.violation == "kill":
            overrides = (*overrides, Override("seccomp.violation", "errno", "selftest"))
        return parse(_launch(self._plan(argv, overrides))[1], names)

    def _cgroup(self, plan: Plan, state: str) -> list[Result]:
        """Exceed the limits of memory and processes, each tightened so that little is taken."""
        limits, results = plan.profile.limits, []
        watched = "no-cgroup" in plan.tiers
        self._tell("exceeding the memory limit")
        if state in _IN_FORCE and limits.memory is not None and (watched or plan.host.cgroups.has("memory")):
            memory = min(limits.memory, _MEMORY)
            tight = Override("limits.memory", memory, "selftest")
            more: dict[str, object] = {"mebibytes": (memory + _MORE_MEMORY) >> 20, "hold": _HOLD_S if watched else 0}
            results.append(self._exceed(TAKE_MEMORY, more, tight, "memory_limit"))
        self._tell("exceeding the process limit")
        if state in _IN_FORCE and limits.processes is not None and (watched or plan.host.cgroups.has("pids")):
            processes = min(limits.processes, _PROCESSES)
            tight = Override("limits.processes", processes, "selftest")
            more = {"processes": processes * 2, "hold": _HOLD_S if watched else 0}
            results.append(self._exceed(TAKE_PROCESSES, more, tight, "process_limit"))
        return results

    def _exceed(self, attack: Attack, more: dict[str, object], tight: Override, verdict: str) -> Result:
        """Run an attack that ends its jail: it held if the verdict says so, with its evidence.

        Where a supervisor watches (`hold`), what is taken is held for a while, and a refusal of the kernel does as well.
        """
        wanted: dict[str, object] = {"once": attack.name, "scene": more}
        result, output = _launch(self._plan(tuple(self._scene.command(wanted)), (tight,)))
        outcome, answer = result.outcome, parse(output, (attack.name,)).get(attack.name)
        refused = bool(more["hold"]) and answer is not None and answer.refused
        source = outcome.evidence.source if outcome.evidence else ""
        control = parse(self._scene.outside("outside", wanted), (attack.name,)).get(attack.name)
        worked = control is not None and not control.refused
        held = worked and (outcome.verdict == verdict or refused)
        why = "" if worked else "not proven: control failed"
        seen = answer.seen if answer and refused else f"{outcome.verdict}{f' ({source})' if source else ''}"
        return Result(attack, held, seen, "", control.seen if control else "no answer", why)


def _interpreter() -> tuple[str, tuple[Override, ...]]:
    """Return a Python that is in the jail: the system's, else the one that runs JailPy, shown by its preset."""
    for python in _SYSTEM_PYTHONS:
        if works(python):
            return python, ()
    return sys.executable, (Override("runtime", ["caller-python"], "selftest"),)


def _without(layers: tuple[str, ...]) -> tuple[Override, ...]:
    names = [f"!{name}" for name in layers]
    return Override("require.layers", names, "selftest"), Override("require.prefer", names, "selftest")


def _launch(plan: Plan) -> tuple[api.Result, bytes]:
    """Run a plan with nothing to read; return its result and its standard output."""
    output = os.memfd_create("selftest", os.MFD_CLOEXEC)
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        result = api.run(plan, (), (-1, output, nowhere))
        if result.outcome.verdict == "cancelled":
            raise KeyboardInterrupt
        os.lseek(output, 0, os.SEEK_SET)
        return result, os.read(output, 1 << 20)
    finally:
        os.close(output)
        os.close(nowhere)


def _judge(
    attack: Attack,
    jail: dict[str, Answer],
    alone: dict[str, Answer],
    controls: dict[str, dict[str, Answer]],
    why: str,
) -> Result:
    """Weigh what was seen of one attack."""
    if why:
        return Result(attack, None, "", "", "", why)
    inside, control = jail.get(attack.name), controls[attack.control].get(attack.name)
    own = inside if attack.control == "bare" else alone.get(attack.name)
    if control is not None and not control.applies:
        return Result(attack, None, _seen(inside), "", "", control.seen)
    held, why = True, ""
    if control is None or control.refused:
        held, why = False, "not proven: control failed"
    elif not all(answer is not None and answer.refused for answer in (inside, own)):
        held, why = False, "not refused"
    apart = "" if attack.control == "bare" else _seen(own)
    return Result(attack, held, _seen(inside), apart, _seen(control), why)


def _judge_plain(
    attack: Attack,
    jail: dict[str, Answer],
    alone: dict[str, Answer],
    controls: dict[str, dict[str, Answer]],
    why: str,
) -> Result:
    """Weigh an attack on a jail without namespaces, where no layer stands alone.

    What a container around all of this refuses too shows nothing, and is not counted.
    """
    control = controls[attack.control].get(attack.name)
    if not why and attack.layer in ("seccomp", "capabilities") and (control is None or control.refused):
        seen = control.seen if control else "no answer"
        return Result(attack, None, _seen(jail.get(attack.name)), "", seen, "refused outside of the jail as well")
    result = _judge(attack, jail, jail, controls, why)
    return result.replace(alone="")


def _seen(answer: Answer | None) -> str:
    return answer.seen if answer else "no answer"


def _layer_held(name: str, state: str, results: list[Result]) -> bool | None:
    """Say whether a layer held: None where it is not in force, or where no attack can apply here."""
    found = [result.held for result in results if result.attack.layer == name]
    if state not in _IN_FORCE or (found and all(held is None for held in found)):
        return None
    return bool(found) and False not in found
