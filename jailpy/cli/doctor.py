"""`jailpy doctor`: what this host can enforce, the one cause of each gap, its smallest fix."""

from __future__ import annotations

import json

import click

from jailpy import __version__, escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.services.doctor import Diagnosis, Finding

_COLOURS = {"enforced": "green", "degraded": "yellow", "absent": "red", "off": "white"}
_EXAMPLES = "\b\nExamples:\n  jailpy doctor\n  jailpy doctor -p ./my.toml\n  jailpy doctor --json\n"


@click.command(epilog=_EXAMPLES)
@click.option("-p", "--profile", default="strict", metavar="NAME|PATH", help="The profile to try. Default: strict.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(context: click.Context, profile: str, as_json: bool) -> None:
    """Try what this host can enforce, and name what is missing with its cause and fix.

    Everything is tried in throw-away children: nothing is changed, nothing is left. Status 0 where the profile starts.
    """
    from jailpy.services.doctor import diagnose

    found = diagnose(profile)
    click.echo(json.dumps(found.report(), indent=2) if as_json else _text(found))
    context.exit(0 if found.starts else 1)


def _text(found: Diagnosis) -> str:
    host = dict(found.host)
    head = f"JailPy {__version__} on {host['distribution']}, Linux {host['kernel']}, {host['machine']}, uid {host['uid']}"
    lines = [line for finding in found.findings for line in _lines(finding)]
    colour = "green" if found.starts else "red"
    return "\n".join([escape.line(head), *lines, click.style(escape.line(found.conclusion), fg=colour, bold=True)])


def _lines(finding: Finding) -> list[str]:
    state = finding.state if finding.required or finding.state != "absent" else "absent"
    colour = _COLOURS[state] if finding.required or state == "enforced" else "white"
    line = f"  {finding.layer:13} {click.style(f'{state:9}', fg=colour)} {escape.line(finding.what)}"
    fixes = [f"      {escape.line(text)}" for step in finding.fix for text in step.shown()]
    return [line, *(["    fix:"] if fixes else []), *fixes]
