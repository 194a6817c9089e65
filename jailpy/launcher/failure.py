"""A failed step in words: the step's own description, the errno, and what to do about it. Parent side."""

from __future__ import annotations

import errno
import os
import stat

from jailpy.child import wire
from jailpy.errors import CommandError, InternalError, LaunchError
from jailpy.steps import process as steps
from jailpy.steps.mounts import CopyTree, HoldScript

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.errors import JailPyError
    from jailpy.plan.compile import Plan
    from jailpy.steps import Step


def error(step: Step, number: int, words: str = "") -> JailPyError:
    """Make the LaunchError of a step and an errno."""
    if number == 0:
        return InternalError(f"{step.layer}: could not {step.describe()}: a bug in JailPy", [f"step {type(step).__name__}"])
    from jailpy.host import remedies

    what = step.describe()
    hints = remedies.for_step(type(step).__name__, number)
    return LaunchError(
        f"{step.layer}: could not {what}: {words or os.strerror(number)}",
        layer=step.layer,
        step=what,
        errno=number,
        hints=hints,
    )


class Applying:
    """Turns the OSError of a step that the launcher applies into the step's LaunchError."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, caught: BaseException | None, trace: object) -> None:
        if isinstance(caught, OSError):
            raise error(self._step, caught.errno or 0, caught.strerror or "") from caught


def from_message(plan: Plan, message: bytes) -> JailPyError:
    """Make the error of a FAILED message."""
    index, number, detail = wire.unpack_failure(message)
    step = plan.steps[index]
    if detail == wire.SCRIPT:
        slots = {each.slot for each in plan.steps if isinstance(each, HoldScript)}
        step = next(each for each in plan.steps if isinstance(each, CopyTree) and each.slot in slots)
    if isinstance(step, steps.Execute) and number:
        return _command_error(plan, step, number, detail)
    return error(step, number)


def init_died() -> LaunchError:
    """Make the error of an init that ended without a word: killed, by a system-call filter where there is one."""
    from jailpy.host import remedies, surroundings

    hints: list[str] = []
    if surroundings.filtered():
        found = remedies.behind_filter("what makes a jail", "kills")
        hints = [found.cause, *found.hints()]
    return LaunchError("init died while setting up", layer="pid", step="set-up", errno=0, hints=hints)


def _command_error(plan: Plan, step: steps.Execute, number: int, detail: int) -> JailPyError:
    name = step.argv[0].decode(errors="backslashreplace")
    where = [candidate.decode(errors="backslashreplace") for candidate in step.candidates]
    if number in (errno.ENOENT, errno.ENOTDIR) and not detail:
        folders = ", ".join(path.rpartition("/")[0] or "/" for path in where) if "/" not in name else name
        return CommandError(
            f"command: {name}: not found in the jail",
            errno=number,
            exit_status=127,
            hints=[f"looked for it in {folders or 'an empty PATH'}", *_outside_hint(plan, name)],
        )
    if number in (errno.ENOENT, errno.ENOTDIR):
        found = where[detail - 1]
        return CommandError(
            f"command: {found}: is in the jail, but the interpreter that its first line or ELF header names is not",
            errno=number,
            exit_status=127,
            hints=["show the interpreter with --ro, or name it as the command"],
        )
    hints = [*_confined_hint(), *_noexec_hint(plan, where)] if number == errno.EACCES else []
    return CommandError(f"command: {name}: {os.strerror(number)}", errno=number, exit_status=126, hints=hints)


def _outside_hint(plan: Plan, name: str) -> list[str]:
    if "/" in name:
        return [f"{name} exists on the host, outside the jail: show it with --ro"] if os.path.exists(name) else []
    root = plan.profile.filesystem.root
    for folder in os.environ.get("PATH", "").split(":"):
        path = f"{folder}/{name}"
        if os.access(path, os.X_OK):
            outside = f"the caller's {path} lies outside the jail"
            if root == "system":
                return [f"{outside} (a shim such as pyenv's does): name a program below /usr"]
            return [f'{outside}, which has a root of its own (filesystem.root = "{root}")']
    return []


def _confined_hint() -> list[str]:
    """Name an AppArmor profile around the launcher: execve is checked against it too."""
    from jailpy.host import surroundings

    profile = surroundings.label()
    return [f"the AppArmor profile {profile} around JailPy may refuse it: journalctl -k -g DENIED"] if profile else []


def _noexec_hint(plan: Plan, where: list[str]) -> list[str]:
    kind = _kind(plan, where[0]) if len(where) == 1 else ""
    if kind:
        return [kind]
    if plan.profile.filesystem.exec == "any":
        return ["the file is not executable for the jail's user: chmod +x"]
    rule = f'filesystem.exec = "{plan.profile.filesystem.exec}"'
    return [
        f"profile {plan.profile.name} runs programs from system folders and --ro only ({rule})",
        "run a script by its interpreter (python3 a.py), show a program with --ro, or use --profile grade",
    ]


def _kind(plan: Plan, path: str) -> str:
    """Say why a path of the jail, looked at on the host, is no program in any jail; "" where it is one, or the jail's own."""
    from jailpy.launcher import visible

    path = os.path.normpath(os.path.join(plan.profile.filesystem.workdir, path))
    try:
        mode = os.stat(visible.host_path(plan, path)).st_mode
    except OSError:
        return ""
    if stat.S_ISDIR(mode):
        return "it is a folder"
    return "" if mode & 0o111 else "nobody may execute it: chmod +x, or name the program that reads it (python3 a.py)"
