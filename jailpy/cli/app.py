"""The click application: every verb, `--help`, and the errors of usage. `exec` itself runs without it."""

from __future__ import annotations

from importlib import import_module

import click

from jailpy import __version__
from jailpy.cli.console import complain, say
from jailpy.cli.options import OPTIONS
from jailpy.errors import JailPyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MODULES = {
    "exec": ("jailpy.cli.app", "exec_"),
    "run": ("jailpy.cli.run", "run"),
    "explain": ("jailpy.cli.explain", "explain"),
    "doctor": ("jailpy.cli.doctor", "doctor"),
    "selftest": ("jailpy.cli.selftest", "selftest"),
    "profile": ("jailpy.cli.profile", "profile"),
    "grade": ("jailpy.cli.grade", "grade"),
    "plugin": ("jailpy.cli.plugin", "plugin"),
    "apparmor": ("jailpy.cli.apparmor", "apparmor"),
}
_EXAMPLES = """\b
Examples:
  jailpy exec -- python3 -c 'print(1)'
  jailpy exec --ro ./a.py --wall 2s --memory 64M -- python3 a.py
  jailpy exec --profile build --put src --get src/prog:prog -- gcc -o src/prog src/a.c
  jailpy exec --ro prog --report run.json --stdin in.txt --stdout out.txt -- ./prog

\b
Exit status: the command's own; 128+N died of signal N; 124 time limit; 137 other limit or violation;
125 JailPy refused and nothing ran; 126 not executable in the jail; 127 not found in the jail.
"""


class _Verbs(click.Group):
    """Imports a verb's module when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        module, name = _MODULES[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return with_options(command) if cmd_name in ("exec", "run", "explain") else command


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(__version__, prog_name="jailpy")
def app() -> None:
    """Run code that you do not trust in a rootless jail, with a truthful record of what confined it.

    \b
    Examples:
      jailpy doctor                          what this host can enforce
      jailpy exec --ro a.py -- python3 a.py  run one command in a strict jail
      jailpy run a.cpp                       compile and run one source file
      jailpy explain -- ls                   show every step, apply nothing
      jailpy profile show strict             what strict allows
    """


def with_options(command: click.Command) -> click.Command:
    """Give a command the table of options, for its help text; their values are parsed by jailpy/cli/options.py."""
    for option in OPTIONS:
        command.params.append(
            click.Option([*option.flags], help=option.help, metavar=option.metavar or None, is_flag=not option.metavar)
        )
    return command


@click.command("exec", epilog=_EXAMPLES, options_metavar="[-p PROFILE] [OPTIONS] [--]")
@click.argument("command", nargs=-1, metavar="COMMAND [ARG...]")
def exec_(**_: object) -> None:
    """Run one command in a jail.

    COMMAND is looked for inside the jail, in the PATH that the profile sets.
    """
    raise AssertionError("exec is parsed by jailpy/cli/options.py")


def main(arguments: Sequence[str]) -> int:
    """Run a verb and return its exit status; usage errors are 2. Raises OSError where standard output takes nothing."""
    argv = list(arguments)
    try:
        result = app.main(argv, prog_name="jailpy", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.UsageError as error:
        say(f"error: {error.format_message()}")
        say("hint: jailpy --help lists the verbs; jailpy VERB --help its options")
        return 2
    except click.Abort:
        return 130
    except click.ClickException as error:
        say(f"error: {error.format_message()}")
        return 2
    except JailPyError as error:
        status = complain(error)
        return 1 if status == 125 and argv[:1] in (["doctor"], ["selftest"], ["profile"], ["plugin"], ["apparmor"]) else status
    return result if isinstance(result, int) else 0
