"""Capabilities, no_new_privs, and what the payload inherits: descriptors, signals, session. Parent side."""

from __future__ import annotations

from jailpy.layers import Context, Planned
from jailpy.steps import Step, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.layers import Command


def plan_capabilities(context: Context) -> Planned:
    """Plan the emptying of all capability sets. See capabilities(7)."""
    step = process.DropCapabilities(last=context.host.last_capability)
    return Planned("capabilities", "enforced", "all five sets empty, securebits locked", (step,))


def plan_no_new_privs(context: Context) -> Planned:
    """Plan no_new_privs: set-uid files give nothing. See Documentation/userspace-api/no_new_privs.rst."""
    return Planned("no-new-privs", "enforced", "PR_SET_NO_NEW_PRIVS", (process.NoNewPrivs(),))


def plan_payload(context: Context) -> tuple[Step, ...]:
    """Plan the steps of the payload's own process that belong to no layer: session, streams, signals, execve."""
    command = context.command
    terminal: tuple[Step, ...] = (process.OpenTerminal(),) if command.terminal else ()
    return (
        *terminal,
        process.StartSession(),
        process.SetStdio(keep=command.keep),
        process.ChangeFolder(path=context.profile.filesystem.workdir),
        process.DefaultSignals(),
        execute(command),
    )


def execute(command: Command) -> process.Execute:
    """Plan the last step: all of a plan that follows from the command's words and its environment alone."""
    return process.Execute(
        candidates=candidates(command.argv[0], dict(command.environment).get("PATH", "")),
        argv=tuple(_bytes(arg) for arg in command.argv),
        environment=tuple((_bytes(name), _bytes(value)) for name, value in command.environment),
    )


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def candidates(name: str, path: str) -> tuple[bytes, ...]:
    """Return the paths where execvp(3) would look: one if the name has a slash, else one for each folder of PATH."""
    if "/" in name:
        return (_bytes(name),)
    return tuple(_bytes(f"{folder}/{name}") for folder in path.split(":") if folder.startswith("/"))
