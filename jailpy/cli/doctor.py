"""`jailpy doctor`: what this host can enforce, the one cause of each gap, its smallest fix."""

from __future__ import annotations

import json

import click

from jailpy import __version__, escape
from jailpy.host.fixes import ROOT, WRITE, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.services.doctor import Diagnosis, Finding

_COLOURS = {"enforced": "green", "degraded": "yellow", "absent": "red", "off": "white"}
_EXAMPLES = "\b\nExamples:\n  jailpy doctor\n  jailpy doctor -p ./my.toml\n  jailpy doctor --fix-script >fix.sh\n"


@click.command(epilog=_EXAMPLES)
@click.option("-p", "--profile", default="strict", metavar="NAME|PATH", help="The profile to try. Default: strict.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--fix-script", is_flag=True, help="Print the fixes as a shell script for the administrator; run nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Say what the kernel said of each layer, too.")
@click.pass_context
def doctor(context: click.Context, profile: str, as_json: bool, fix_script: bool, verbose: bool) -> None:
    """Try what this host can enforce, and name what is missing with its cause and fix.

    Everything is tried in throw-away children: nothing is changed, nothing is left. Status 0 where the profile starts.
    """
    from jailpy.services.doctor import diagnose

    if as_json and fix_script:
        raise click.UsageError("--json and --fix-script exclude each other")
    found = diagnose(profile)
    if fix_script:
        from jailpy.services.fix_script import script

        click.echo(script(found), nl=False)
    else:
        click.echo(json.dumps(found.report(), indent=2) if as_json else _text(found, verbose))
    context.exit(0 if found.starts else 1)


def _text(found: Diagnosis, verbose: bool) -> str:
    host = dict(found.host)
    inside = "" if host["inside"] == "no container" else f", inside {host['inside']}"
    head = (
        f"JailPy {__version__} on {host['distribution']}, Linux {host['kernel']}, {host['machine']}, uid {host['uid']}{inside}"
    )
    lines = [line for finding in found.findings for line in _lines(finding, found.profile, verbose)]
    if found.failure:
        lines += _entry("launch", click.style("failed   ", fg="red"), found.failure.cause, shown(found.failure.fix))
    colour = "green" if found.starts else "red"
    end = click.style(escape.line(found.conclusion), fg=colour, bold=True)
    return "\n".join([escape.line(head), *lines, *_offer(found), end])


def _lines(finding: Finding, profile: str, verbose: bool) -> list[str]:
    colour = _COLOURS[finding.state] if finding.required or finding.state == "enforced" else "white"
    idle = finding.state in ("absent", "degraded") and not finding.required
    notes = [finding.seen if verbose else "", f"{profile} does not require it" if idle else ""]
    what = "; ".join(part for part in (finding.what, *notes) if part)
    return _entry(finding.layer, click.style(f"{finding.state:9}", fg=colour), what, shown(finding.fix))


def _entry(name: str, state: str, what: str, fix: list[str]) -> list[str]:
    lines = [f"      {escape.line(text)}" for text in fix]
    return [f"  {name:13} {state} {escape.line(what)}", *(["    fix:"] if lines else []), *lines]


def _offer(found: Diagnosis) -> list[str]:
    """Name the script where there is something in it that root does."""
    steps = [step for _, _, fix in found.gaps() for step in fix if step.kind in (ROOT, WRITE)]
    return ["jailpy doctor --fix-script prints the fixes as one script for the administrator"] if steps else []
