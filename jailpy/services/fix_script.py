"""The fixes of a diagnosis as one commented shell script for the administrator. Parent side; carries nothing out.

The script is POSIX sh (the tests let `sh -n` read it). What stands in it and was not written here is quoted, in comments
escaped: names of units and groups are chosen by those who may make them, and root runs this.
"""

from __future__ import annotations

from jailpy import __version__, escape
from jailpy.host import fixes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.host.fixes import Fix
    from jailpy.services.doctor import Diagnosis

_ROOTS = (fixes.ROOT, fixes.WRITE)
_CHECK = """set -eu
if [ "$(id -u)" -ne 0 ]; then
    echo 'run this as root: jailpy doctor --fix-script | sudo sh' >&2
    exit 1
fi"""


def script(found: Diagnosis) -> str:
    """Return the text of the script; where nothing is to be mended, one that says so and exits with 0."""
    host = dict(found.host)
    head = (
        "#!/bin/sh",
        f"# jailpy doctor {__version__} on {host['distribution']}, Linux {host['kernel']}, for uid {host['uid']}:",
        f"# {found.conclusion}",
    )
    gaps = found.gaps()
    lines = [escape.line(line) for line in head]
    if not any(fix for _, _, fix in gaps):
        return "\n".join([*lines, f"echo {fixes.quoted(_nothing(found))}", ""])
    lines += ["# Read it, then run it as root. Twice does no more than once.", _check(gaps)]
    done: set[Fix] = set()
    for where, cause, fix in gaps:
        lines += ["", f"# {escape.line(where)}: {escape.line(cause)}"]
        for step in fix:
            lines += [] if step in done else _lines(step, host["uid"])
            done.add(step)
    return "\n".join([*lines, ""])


def _check(gaps: list[tuple[str, str, tuple[Fix, ...]]]) -> str:
    """Ask for root only where the script does something."""
    return _CHECK if any(step.kind in _ROOTS for _, _, fix in gaps for step in fix) else "set -eu"


def _nothing(found: Diagnosis) -> str:
    return f"nothing to fix: {found.conclusion}" if found.starts else f"no fix is known: {found.conclusion}"


def _lines(step: Fix, uid: str) -> list[str]:
    """Return a fix's commands; what no script can do is a comment, and is told again when the script runs."""
    if step.kind == fixes.ADVICE:
        return _left(step.text)
    if step.kind == fixes.USER:
        return _left(f"as uid {uid}: {step.text}{f' ({step.then})' if step.then else ''}")
    lines = _written(step) if step.kind == fixes.WRITE else _command(step)
    if step.then.startswith("then"):
        return [*lines, *_left(step.then.removeprefix("then").lstrip(": "))]
    return [*lines, f"# {escape.line(step.then)}"] if step.then else lines


def _left(text: str) -> list[str]:
    """Name what is left to people, to those who read the script and to those who only run it; not what is an alternative."""
    if text.startswith("or "):
        return [f"# {escape.line(text)}"]
    return [f"# {escape.line(text)}", f"echo {fixes.quoted('still to do: ' + escape.line(text))}"]


def _command(step: Fix) -> list[str]:
    """Keep one command from reading the rest of the script, which comes over its standard input."""
    text = step.text if "\n" in step.text else f"{step.text} </dev/null"
    return [f"if {step.when}; then", f"    {text}", "fi"] if step.when else [text]


def _written(step: Fix) -> list[str]:
    folder, path = fixes.quoted(step.path.rpartition("/")[0]), fixes.quoted(step.path)
    text = " \\\n    ".join([" ".join(fixes.printed(step)[:2]), *fixes.printed(step)[2:], f">{path}"])
    return [f"mkdir -p {folder}", text, f"{step.load} </dev/null"]
