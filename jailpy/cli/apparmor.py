"""`jailpy apparmor show | install | remove | list`: profiles for the payloads, and one that lets the launcher start."""

from __future__ import annotations

import click

from jailpy import escape

_EXAMPLES = """\b
Examples:
  jailpy apparmor show strict
  sudo jailpy apparmor install strict grade
  sudo jailpy apparmor install --launcher     Ubuntu: let ordinary users start jails
  sudo jailpy apparmor remove grade
  jailpy apparmor list
"""
_LAUNCHER = "The launcher's own profile, which grants it user namespaces (Ubuntu 23.10 and later)."


@click.group(epilog=_EXAMPLES)
def apparmor() -> None:
    """Make, install and remove AppArmor profiles.

    Once jailpy-NAME is loaded, runs with the profile NAME are stacked into it.
    """


def _names(command: click.Command) -> click.Command:
    """Give a command its PROFILE... and --launcher."""
    command.params.insert(0, click.Argument(["profiles"], nargs=-1, metavar="PROFILE..."))
    command.params.append(click.Option(["--launcher"], is_flag=True, help=_LAUNCHER))
    return command


@apparmor.command(epilog="\b\nExamples:\n  jailpy apparmor show strict\n  jailpy apparmor show --launcher\n")
@click.argument("profile", required=False)
@click.option("--launcher", is_flag=True, help=_LAUNCHER)
def show(profile: str | None, launcher: bool) -> None:
    """Print the AppArmor profile of a profile, or the launcher's, for the AppArmor that is installed here."""
    from jailpy.services import apparmor as service

    if launcher == (profile is not None):
        raise click.UsageError("give either a PROFILE or --launcher")
    click.echo(service.launcher_text() if profile is None else service.text_for(profile)[1], nl=False)


@_names
@apparmor.command(epilog="\b\nExamples:\n  sudo jailpy apparmor install strict\n  sudo jailpy apparmor install --launcher\n")
def install(profiles: tuple[str, ...], launcher: bool) -> None:
    """Write profiles to /etc/apparmor.d, check and load them. Needs root; runs that go on keep the rules they have."""
    from jailpy.services import apparmor as service

    _need_any(profiles, launcher)
    for name in service.install(profiles, launcher):
        click.echo(f"{escape.line(name)}: loaded")


@_names
@apparmor.command(epilog="\b\nExamples:\n  sudo jailpy apparmor remove strict\n  sudo jailpy apparmor remove --launcher\n")
def remove(profiles: tuple[str, ...], launcher: bool) -> None:
    """Unload profiles and delete their files. Needs root; runs that go on lose this layer."""
    from jailpy.services import apparmor as service

    _need_any(profiles, launcher)
    for name in service.remove(profiles, launcher):
        click.echo(f"{escape.line(name)}: removed")


@apparmor.command("list", epilog="\b\nExample:\n  jailpy apparmor list\n")
def list_() -> None:
    """List the profiles that are installed, with the mode in which the kernel has them."""
    from jailpy.services import apparmor as service

    for name, mode, file in service.listed():
        click.echo(f"{escape.line(name):24} {mode:11} {escape.line(file)}")


def _need_any(profiles: tuple[str, ...], launcher: bool) -> None:
    if not profiles and not launcher:
        raise click.UsageError("name at least one PROFILE, or give --launcher")
