"""`jailpy selftest`: attack a live jail, layer by layer; progress on standard error, the table on standard output."""

from __future__ import annotations

import json
import sys

import click

from jailpy import __version__, escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.table import Table

    from jailpy.services.escapes.all import Answer
    from jailpy.services.selftest import Result, Selftest

_EXAMPLES = "\b\nExamples:\n  jailpy selftest\n  jailpy selftest -p grade\n  jailpy selftest --all\n  jailpy selftest --json\n"
_WIDE = 150
_WORDS = {True: ("held", "green"), False: ("BROKE", "bold red"), None: ("not applicable", "dim")}


@click.command(epilog=_EXAMPLES)
@click.option("-p", "--profile", default="strict", metavar="NAME|PATH", help="The profile to attack. Default: strict.")
@click.option(
    "--all", "everything", is_flag=True, help="Run every hostile program of the test suite, up to the first that gets out."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def selftest(context: click.Context, profile: str, everything: bool, as_json: bool) -> None:
    """Attack a live jail and say which layers held. Status 0 only if every layer in force did.

    Each attack has a positive control: the same attack, where nothing stops it, must succeed.
    """
    if everything:
        context.exit(0 if _all(profile, as_json) else 1)
    from jailpy.services import selftest as service

    found = _with_progress(profile) if sys.stderr.isatty() else service.selftest(profile, lambda _: None)
    click.echo(json.dumps(found.report(), indent=2)) if as_json else _show(found)
    context.exit(0 if found.held else 1)


def _all(profile: str, as_json: bool) -> bool:
    """Run hostile programs and print a line for each as it ends; stop at the first that got out."""
    from jailpy.services.escapes.all import answers

    found = []
    for answer in answers(profile):
        found.append(answer)
        if not as_json:
            click.echo(escape.line(f"{answer.row:4} {answer.program:32} {_word(answer):26} {answer.boundary}"))
        if not answer.held:
            break
    held = all(answer.held for answer in found)
    proven = sum(answer.proven for answer in found)
    if as_json:
        report = {"schema": 1, "jailpy": __version__, "profile": profile, "held": held}
        click.echo(json.dumps({**report, "programs": [answer.report() for answer in found]}, indent=2))
    else:
        counts = f"{sum(answer.held for answer in found)} of {len(found)} programs held, {proven} with a control that got out"
        words = f"{profile}: {counts}"
        click.echo(click.style(escape.line(words), fg="green" if held else "red", bold=True))
    return held


def _word(answer: Answer) -> str:
    if answer.out:
        return f"GOT OUT: {', '.join(answer.out)}"
    if not answer.held:
        return f"{answer.verdict}, not {answer.expected}"
    return "held" if answer.proven else "held, control as well"


def _with_progress(profile: str) -> Selftest:
    """Show a bar meanwhile, redrawn at each stage only: a thread that redraws would make forking unsafe."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from jailpy.services import selftest as service

    columns = (BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=service.STAGES)

        def tell(stage: str) -> None:
            progress.update(task, advance=1, description=stage, refresh=True)

        return service.selftest(profile, tell)


def _show(found: Selftest) -> None:
    from rich.console import Console

    console = Console(soft_wrap=False, highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(_table(found))
    for result in found.results:
        if result.held is False:
            click.echo(escape.line(f"{result.attack.layer}: {result.attack.what}: {_details(result)}"))
    click.echo(click.style(escape.line(_conclusion(found)), fg="green" if found.held else "red", bold=True))


def _table(found: Selftest) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("layer", "attack", "in the jail", "the layer alone", "", box=None, pad_edge=False)
    for result in found.results:
        word, style = _WORDS[result.held]
        cells = (result.attack.layer, result.attack.what, result.jail or result.reason, result.alone)
        table.add_row(*(Text(escape.line(cell)) for cell in cells), Text(word, style=style))
    for name, state, held in found.layers:
        if held is None and not any(result.attack.layer == name for result in found.results):
            table.add_row(name, "", "", "", Text(state, style="dim"))
    return table


def _details(result: Result) -> str:
    return f"{result.reason}; jail: {result.jail}; alone: {result.alone or '-'}; control: {result.control or '-'}"


def _conclusion(found: Selftest) -> str:
    held = [name for name, _, held in found.layers if held]
    broke = [name for name, _, held in found.layers if held is False]
    words = [f"{found.profile}: {len(held)} layers held"]
    words += [f"not held: {', '.join(broke)}"] if broke else []
    words += [f"required and missing here: {', '.join(found.missing)} (jailpy doctor)"] if found.missing else []
    return "; ".join(words)
