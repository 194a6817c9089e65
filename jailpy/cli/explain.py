"""`jailpy explain`: the plan in words or as JSON. Applies nothing."""

from __future__ import annotations

import json
import sys

import click

from jailpy import api, escape
from jailpy.cli import options
from jailpy.cli.console import complain
from jailpy.cli.request import request
from jailpy.errors import JailPyError, UsageError
from jailpy.plan import tiers
from jailpy.plan.codec import to_json
from jailpy.plan.order import ORDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jailpy.cli.options import Parsed
    from jailpy.plan.compile import Plan

_JSON = options.Option(("--json",), "", "", "The whole plan as JSON.")


@click.command("explain", options_metavar="[-p PROFILE] [OPTIONS] [--json] [--]")
@click.option("--json", is_flag=True, help=_JSON.help)
@click.argument("command", nargs=-1, metavar="COMMAND [ARG...]")
def explain(**_: object) -> None:
    """Show every step that `exec` would take, in order, with its layer. Applies nothing.

    \b
    Examples:
      jailpy explain --ro a.py -- python3 a.py
      jailpy explain --profile grade --put prog --memory 64M --json -- ./prog
    """
    raise AssertionError("explain is parsed by jailpy/cli/options.py")


def main(arguments: Sequence[str]) -> int | None:
    """Run `explain` and return its exit status, None where its help text was asked for."""
    try:
        parsed = options.parse(arguments, (_JSON,))
        if parsed is None:
            return None
        plan = api.plan(request(parsed, "explain"))
    except JailPyError as error:
        complain(error)
        return 2 if isinstance(error, UsageError) else 125
    sys.stdout.write(json.dumps(to_json(plan), indent=2) + "\n" if parsed.has("json") else words_of(plan, parsed))
    return 0


def words_of(plan: Plan, parsed: Parsed) -> str:
    """Return the plan as text: the layers, what was overridden, then every step in order."""
    profile = plan.profile
    lines = [f"profile {profile.name} ({profile.digest[:19]}...): {profile.description}", ""]
    lines += _layer_lines(plan)
    overridden = [spelling for name, _, spelling in parsed.given if name in _overriding()]
    lines += ["", "overridden: " + ", ".join(overridden)] if overridden else []
    lines += [f"loosened: {item}" for item in profile.loosened]
    lines += [
        f"unbounded: {source.path} (a folder of the host, bounded by file_size only)"
        for source in plan.command.sources
        if source.mode == "rw"
    ]
    lines += [tiers.words(tier) for tier in plan.tiers]
    lines += [f"note: {note}" for layer in plan.layers for note in layer.notes]
    lines += ["", *_step_lines(plan)]
    return "\n".join(escape.line(line) for line in lines) + "\n"


def _overriding() -> set[str]:
    return {option.name for option in options.OPTIONS if option.key} | {"set"}


def _layer_lines(plan: Plan) -> list[str]:
    required = plan.profile.require.layers
    wish = {**dict.fromkeys(plan.profile.require.prefer, "preferred"), **dict.fromkeys(required, "required")}
    return [f"{layer.name:13} {layer.state:9} {wish.get(layer.name, ''):9} {layer.mechanism}" for layer in plan.layers]


def _step_lines(plan: Plan) -> list[str]:
    reasons = dict(ORDER)
    lines, phase = [], ""
    for position, step in enumerate(plan.steps):
        if plan.phase(position) != phase:
            phase = plan.phase(position)
            lines.append(f"{phase}: {reasons[phase]}")
        lines.append(f"{position + 1:4}  {step.side.removesuffix('-after-fork'):8} {step.layer:13} {step.describe()}")
    return lines
