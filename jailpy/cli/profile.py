"""`jailpy profile list | show | check | schema | diff`: what profiles there are, and what they say."""

from __future__ import annotations

import json
import sys

import click

from jailpy.errors import JailPyError, ProfileError
from jailpy.profile import locate
from jailpy.profile.diff import differences
from jailpy.profile.jsonschema import build
from jailpy.profile.overrides import effective
from jailpy.profile.resolve import document_of
from jailpy.profile.values import printable
from jailpy.profile.written import to_plain, to_toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_EXAMPLES = """\b
Examples:
  jailpy profile list
  jailpy profile show strict > my.toml
  jailpy profile check my.toml
  jailpy profile diff strict ./my.toml
  jailpy profile schema > profile.schema.json
"""


@click.group(epilog=_EXAMPLES)
def profile() -> None:
    """Look at profiles: the built-in ones, your own, and files."""


@profile.command("list", epilog="\b\nExamples:\n  jailpy profile list\n  jailpy profile list --json\n")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_profiles(as_json: bool) -> None:
    """List the profiles that -p takes by name, with what each is for."""
    rows = [_row(name, locate.BUILTIN_FOLDER) for name in locate.names(locate.BUILTIN_FOLDER)]
    rows += [_row(name, locate.user_folder()) for name in locate.names(locate.user_folder())]
    if as_json:
        keys = ("name", "from", "description")
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
    else:
        _table(("NAME", "FROM", "WHAT FOR"), [tuple(printable(cell) for cell in row) for row in rows])


@profile.command(epilog="\b\nExamples:\n  jailpy profile show grade\n  jailpy profile show ./my.toml --json\n")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Print a profile with all that it extends, complete, as TOML that can be loaded again."""
    _warn(name)
    document = document_of(name)
    click.echo(json.dumps(to_plain(document), indent=2) if as_json else to_toml(document), nl=as_json)


@profile.command(epilog="\b\nExamples:\n  jailpy profile check my.toml\n  jailpy profile check profiles/*.toml\n")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.pass_context
def check(context: click.Context, files: tuple[str, ...]) -> None:
    """Check profile files, with all that they extend. Every problem is named; status 1 where there is one."""
    problems = [problem for file in files for problem in _problems(file)]
    for problem in problems:
        click.echo(problem, err=True)
    context.exit(1 if problems else 0)


@profile.command(epilog="\b\nExample:\n  jailpy profile schema > profile.schema.json\n")
def schema() -> None:
    """Print the JSON Schema (draft 2020-12) of profiles, for editors."""
    click.echo(json.dumps(build(), indent=2))


@profile.command(epilog="\b\nExamples:\n  jailpy profile diff strict build\n  jailpy profile diff strict ./my.toml\n")
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def diff(context: click.Context, a: str, b: str, as_json: bool) -> None:
    """Say what is looser and what is tighter in B than in A. Status 0 where they confine alike, else 1."""
    for name in (a, b):
        _warn(name)
    found = differences(effective(document_of(a)), effective(document_of(b)))
    if as_json:
        keys = ("way", "key", "what")
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in found], indent=2))
    elif found:
        _table((f"{printable(b)} is", "KEY", "WHAT"), found)
    else:
        click.echo(f"{printable(a)} and {printable(b)} confine alike")
    context.exit(1 if found else 0)


def _problems(file: str) -> tuple[str, ...]:
    """Return what is wrong with one file; a bare name is a file here, too."""
    try:
        document_of(file if locate.is_path(file) else f"./{file}")
    except ProfileError as error:
        return error.problems or (error.message,)
    click.echo(f"{printable(file)}: ok")
    return ()


def _row(name: str, folder: str) -> tuple[str, str, str]:
    origin = "built-in" if folder == locate.BUILTIN_FOLDER else folder
    try:
        return name, origin, str(document_of(name)["description"])
    except JailPyError as error:
        return name, origin, f"cannot be used: {error.message}"


def _warn(name: str) -> None:
    warning = locate.shadow_warning(name)
    if warning:
        click.echo(f"jailpy: warning: {warning}", err=True)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table: fitted to a terminal, one line a row for a pipe."""
    if sys.stdout.isatty():
        _fitted(head, rows)
        return
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _fitted(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD)
    for cell in head:
        table.add_column(Text(cell))
    for row in rows:
        table.add_row(*[Text(cell) for cell in row])
    Console().print(table)
