"""Templates that are Python interpreters with modules imported: a run's script needs no execve. Parent side.

See jailpy/launcher/template.py, which this builds on, and jailpy/child/interpreter.py for the other side.
"""

from __future__ import annotations

import _socket
import array
import marshal
import os
import select
import time

import jailpy
from jailpy import child, escape
from jailpy.child import interpreter, wire
from jailpy.child import template as packing
from jailpy.child.state import Child
from jailpy.errors import LaunchError, UsageError
from jailpy.kernel import files, process
from jailpy.launcher import failure, sources, template, visible
from jailpy.steps import mounts
from jailpy.steps import process as steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jailpy.errors import JailPyError
    from jailpy.host.sources import Source
    from jailpy.launcher.cold import Jail
    from jailpy.plan.compile import Plan
    from jailpy.steps import Step

TIMEOUT_S = 60.0  # for each module
_MOST_OUTPUT = 1 << 16
_SHOWN_OUTPUT = 300
_END_S = 1.0
_THREADS = (b"BLIS", b"GOTO", b"MKL", b"NUMEXPR", b"OMP", b"OPENBLAS")
_VARIABLES = (b"HOME", b"LANG", b"LANGUAGE", b"PATH", b"TZ")
_PREFIXES = (b"LC_", b"PYTHON")
_ARCHIVE, _MOST_ARCHIVE_END = b"PK\x05\x06", 65557  # what ends a ZIP archive, which Python takes as a program too
_BOOT = """
initial = dict(globals())
import sys
if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]
import marshal, os
from importlib.machinery import ModuleSpec
control, code, *places = map(int, sys.argv[1:])
if sys.version_info < (3, 11) or sys.implementation.name != "cpython":
    os.write(control, b"N" + ("Python %d.%d: expected CPython 3.11 or newer" % sys.version_info[:2]).encode())
    sys.exit(125)
with open(code, "rb") as file:
    sources, names = marshal.load(file)
class Shipped:
    def find_spec(self, name, path=None, target=None):
        if name in sources:
            return ModuleSpec(name, self, is_package=sources[name][0])
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(compile(sources[module.__name__][1], module.__name__, "exec"), module.__dict__)
sys.meta_path.insert(0, Shipped())
from jailpy.child import preload
sys.meta_path.pop(0)
run, words, end = preload.serve(control, places, names, initial)
errors = []
try:
    run(*words)
except BaseException as error:
    errors.append(error)
del words
raise SystemExit(end(errors))
"""


class Interpreter(template.Template):
    """A template that is the interpreter of a plan's command, with modules imported.

    `shown` are the sources that it sees; `caller` is a descriptor that has something to say, or ends, once nobody waits for the
    start any more.
    """

    def __init__(self, plan: Plan, shown: tuple[Source, ...], caller: int) -> None:
        super().__init__(plan)
        self._shown = shown
        self._caller = caller
        self._pipe = (-1, -1)
        self._importing = "the interpreter"
        self._steps: tuple[Step, ...] = ()
        self._stamps: list[tuple[str, list[int]]] = []

    def fits(self, plan: Plan) -> bool:
        """Say whether what it has imported has not changed."""
        return all(visible.stamp(plan, path) == stamp for path, stamp in self._stamps)

    def prepare(self, jail: Jail) -> None:
        """Start the interpreter where it does not run yet. Raises LaunchError; UsageError for what cannot be preloaded."""
        if self.pid:
            return
        place = visible.place(jail.plan, self._shown)
        self._steps = (*jail.plan.steps, *place)
        self._pipe = os.pipe()
        held = [
            *self._pipe,
            code := files.memory("code", marshal.dumps((_sources(), jail.plan.command.preload), packing.MARSHAL)),
        ]
        process.prctl(process.PR_SET_CHILD_SUBREAPER, 1)
        try:
            slots = _mapped(place)
            held += slots.values()
            start = _start(jail.plan, place, slots, code, self._pipe[1])
            self._begin(jail.plan, lambda control: interpreter.become(control, start))
        except BaseException:
            _kill_strays()
            raise
        finally:
            process.prctl(process.PR_SET_CHILD_SUBREAPER, 0)
            for number in held:
                os.close(number)

    def start(self, jail: Jail, state: Child) -> None:
        """Let the interpreter clone init. Raises LaunchError; OSError where it is gone.

        The script goes to the payload with the command: the interpreter sees neither its name nor its text.
        """
        command = visible.execute(jail.plan)
        slots = _script_slots(jail.plan)
        state.slots = {slot: number for slot, number in state.slots.items() if slot not in slots}
        jail.not_counted = "the template's pages"
        super().start(jail, state)
        words = (command.candidates, command.argv, command.environment, jail.plan.command.script)
        jail.command = marshal.dumps(words, packing.MARSHAL)

    def _program(self, plan: Plan, slots: tuple[int, ...], tasks: int) -> tuple[bytes, Any, list[int]]:
        """Return how a clone gets its program: by itself, where that tells what is this run's own.

        Whatever the interpreter is taught all its runs find in their memory.
        """
        if plan.command.sources == self._shown and not plan.command.put:
            return super()._program(plan, slots, tasks)
        return packing.TOLD, slots, [files.memory("steps", packing.packed(self.rest(plan)))]

    def rest(self, plan: Plan) -> list[tuple[int, Step]]:
        """Return what is left for init and payload, without what the payload is told."""
        slots = _script_slots(plan)
        return [(at, step) for at, step in super().rest(plan) if getattr(step, "slot", None) not in slots]

    def _await(self, plan: Plan) -> None:
        try:
            listing = self._listing(plan)
        except BaseException:
            self.end()
            raise
        names = files.read(f"/proc/self/fd/{listing}", 1 << 26).split("\0")
        os.close(listing)
        self._stamps = [(name, visible.stamp(plan, name)) for name in names]

    def _listing(self, plan: Plan) -> int:
        """Wait until the interpreter can be cloned; return the file that names what it depends on."""
        control, output, said = self._control.fileno(), self._pipe[0], b""
        poll, deadline = select.poll(), time.monotonic() + TIMEOUT_S
        for number in (control, output, self._caller):
            poll.register(number, select.POLLIN)
        while True:
            ready = [number for number, _ in poll.poll(max(0.0, deadline - time.monotonic()) * 1000)]
            if output in ready:
                said = (said + os.read(output, _MOST_OUTPUT))[-_MOST_OUTPUT:]
            elif control in ready:
                listing = self._take(plan, said)
                if listing >= 0:
                    return listing
                deadline = time.monotonic() + TIMEOUT_S
            elif ready:
                raise LaunchError("the caller does not wait any more", layer="payload", step="preload", errno=0)
            else:
                raise _refused(f"{self._importing}: takes over {TIMEOUT_S:g} seconds")

    def _take(self, plan: Plan, said: bytes) -> int:
        """Act on one message; return the descriptor of a READY, else -1."""
        message, ancillary = wire.receive(self._control, 1 << 13, _socket.CMSG_SPACE(4))
        kind, words = message[:1], message[1:].decode(errors="backslashreplace")
        if kind == wire.READY:
            return array.array("i", ancillary[0][2])[0]
        if kind == wire.FAILED:
            raise self._failure(plan, message)
        if kind == wire.REFUSED:
            raise _refused(words)
        if kind != wire.IMPORTING:
            last = said.decode(errors="backslashreplace").strip().rpartition("\n")[2][-_SHOWN_OUTPUT:]
            raise _refused(f"{self._importing}: {self._how()}" + (f": {last}" if last else ""))
        self._importing = words
        return -1

    def _failure(self, plan: Plan, message: bytes) -> JailPyError:
        """Make the error of a step, which may be one of the place where modules are imported."""
        at, number, _ = wire.unpack_failure(message)
        return failure.from_message(plan, message) if at < len(plan.steps) else failure.error(self._steps[at], number)

    def _how(self) -> str:
        """Say how the process has ended, which is at the other end no more."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.poll(_END_S * 1000)
        found = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return "closes descriptors that are not its own"
        what = "exit status" if found.si_code == os.CLD_EXITED else "signal"
        return f"ends the interpreter ({what} {found.si_status})"


def _kill_strays() -> None:
    """Kill what a module has started: once the interpreter is dead, this process's children that are no templates."""
    while strays := _children() - template.pids():
        for pid in strays:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def _children() -> set[int]:
    found = set()
    for name in os.listdir("/proc"):
        try:
            if name.isdecimal() and int(files.stat_fields(name)[1]) == os.getpid():
                found.add(int(name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended since the listing
    return found


def _refused(words: str) -> UsageError:
    hint = "what is not preloaded is imported by the script itself: such a run starts later, and is no other"
    return UsageError(escape.line(f"preload: {words}"), [hint])


def _script_slots(plan: Plan) -> set[int]:
    return {step.slot for step in plan.steps if isinstance(step, mounts.HoldScript)}


def _mapped(place: list[Step]) -> dict[int, int]:
    """Open what a launcher that is root opens for a run, once more: a mount can be attached in one place only."""
    found = {}
    for step in place:
        if isinstance(step, mounts.MapSource):
            with failure.Applying(step):
                found[step.slot] = sources.open_mapped(step)
    return found


def _start(plan: Plan, place: list[Step], slots: dict[int, int], code: int, output: int) -> interpreter.Start:
    at, command = next((at, step) for at, step in enumerate(plan.steps) if isinstance(step, steps.Execute))
    state = Child(-1, -1, (-1, -1, -1), slots, [])
    return interpreter.Start(
        child=state,
        view=child.Program(template.view(plan), state),
        place=child.Program(enumerate(place, len(plan.steps)), state),
        folder=plan.profile.filesystem.workdir,
        stack=_stack(plan),
        execute=at,
        candidates=command.candidates,
        name=command.argv[0],
        boot=_BOOT,
        environment=_variables(command),
        code=code,
        output=output,
    )


def _stack(plan: Plan) -> tuple[int, int] | None:
    found = (step for step in plan.steps if isinstance(step, steps.SetRlimit) and step.name == "RLIMIT_STACK")
    return next(((step.value, step.hard) for step in found), None)


def _variables(command: steps.Execute) -> dict[bytes, bytes]:
    """Return what the interpreter is started with: the variables that Python reads then, and one thread for each library."""
    found = {name: value for name, value in command.environment if name in _VARIABLES or name.startswith(_PREFIXES)}
    return {**found, **{name + b"_NUM_THREADS": b"1" for name in _THREADS}}


def _sources() -> dict[str, tuple[bool, str]]:
    """Return the modules of the child side as the interpreter loads them, by name: whether it is a package, and its text."""
    if not _texts:
        top = os.path.dirname(os.path.abspath(jailpy.__file__))
        _texts["jailpy"] = (True, "")
        for name in ("frozen", "rights"):
            _texts[f"jailpy.{name}"] = (False, files.read(f"{top}/{name}.py"))
        for package in ("child", "kernel", "steps"):
            for name in os.listdir(f"{top}/{package}"):
                module, dot, _ = name.rpartition(".py")
                if dot:
                    key = f"jailpy.{package}" + ("" if module == "__init__" else f".{module}")
                    _texts[key] = (module == "__init__", files.read(f"{top}/{package}/{name}"))
    return _texts


_texts: dict[str, tuple[bool, str]] = {}


def of(plan: Plan, key: bytes, caller: int) -> template.Template | None:
    """Return the interpreter for a plan, started at its first run; None for a plan whose script is to be executed.

    `key` is that of the plan's template. A plan without one is executed, one with an AppArmor profile, which execve enters, one
    without a cgroup for memory (a look at processes would count the template's pages for each of them), and an archive. So is
    one whose interpreter would be what its payloads can write, and one that shows what lies on PATH or PYTHONPATH where
    nobody has said, by `preload`, that this is trusted: a template has no filter.
    """
    if not key or not _runs_script(plan):
        return None
    command, shown = visible.execute(plan), visible.sources(plan)
    sources = [(source.mode, source.path, source.destination) for source in shown]
    folder, preload = plan.profile.filesystem.workdir, plan.command.preload
    words = (key, command.candidates, command.argv[0], _variables(command), folder, _stack(plan), preload, sources)
    wanted = marshal.dumps(words)
    found = template.take(wanted)
    if isinstance(found, Interpreter) and found.fits(plan):
        return found
    if found:
        template.drop(wanted)
    return template.keep(wanted, Interpreter(plan, shown, caller))


def _runs_script(plan: Plan) -> bool:
    script = plan.command.script
    if script is None or _ARCHIVE in script[-_MOST_ARCHIVE_END:]:
        return False
    if visible.may_change(plan) or (not plan.command.preload and (visible.on_python_path(plan) or visible.on_path(plan))):
        return False
    return plan.host.cgroups.has("memory") and not any(isinstance(step, steps.ApparmorOnExec) for step in plan.steps)
