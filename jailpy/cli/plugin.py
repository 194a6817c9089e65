"""`jailpy plugin check | show | diff`: what plugins ask for, what they get, and what a new version asks on top."""

from __future__ import annotations

import os
import tomllib

import click

from jailpy.client.profile import Profile
from jailpy.errors import ManifestError
from jailpy.profile.values import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jailpy.services.plugins.manifest import Manifest

_EXAMPLES = """\b
Examples:
  jailpy plugin check ./titles
  jailpy plugin show ./titles --grants grants.toml
  jailpy plugin diff ./titles-1.0 ./titles-1.1

\b
Exit status: 0; 1 a manifest or the grants are wrong, or the new version asks for more; 2 a wrong option.
"""


@click.group(epilog=_EXAMPLES)
def plugin() -> None:
    """Look at plugins: a folder with jailpy-plugin.toml, or such a file. Nothing of a plugin is executed."""


@plugin.command(epilog="\b\nExamples:\n  jailpy plugin check ./titles\n")
@click.argument("plugins", nargs=-1, required=True, metavar="PLUGIN...")
@click.pass_context
def check(context: click.Context, plugins: tuple[str, ...]) -> None:
    """Check manifests; name everything that is wrong, with its line."""
    lines = [line for path in plugins for line in _problems(path)]
    for line in lines:
        click.echo(printable(line))
    context.exit(1 if lines else 0)


@plugin.command(epilog="\b\nExamples:\n  jailpy plugin show ./titles\n  jailpy plugin show ./titles --grants grants.toml\n")
@click.argument("path", metavar="PLUGIN")
@click.option("--grants", metavar="FILE", help="TOML with what a host grants: the keys of [asks], host as a list of names.")
@click.option("-p", "--profile", default="plugin", show_default=True, help="The profile that the plugin runs under.")
def show(path: str, grants: str | None, profile: str) -> None:
    """Say in plain words what a plugin asks for and what it gets."""
    from jailpy.services.plugins import access, words

    manifest = _load(path)
    found = access.of(manifest, _granted(grants), Profile.load(profile))
    click.echo(printable(f"{words.title(manifest)}: {words.offers(manifest)}"))
    if manifest.description:
        click.echo(printable(manifest.description))
    _section("It asks to", [line for _, line in words.asks(manifest.asks)] or ["do nothing beyond its own jail"])
    _section("It", words.gets(found))
    if found.missing:
        _section("It does not get", [f"{key}: {line}" for key, line in found.missing])


@plugin.command(epilog="\b\nExamples:\n  jailpy plugin diff ./titles-1.0 ./titles-1.1\n")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.pass_context
def diff(context: click.Context, old: str, new: str) -> None:
    """Say what a new version asks on top of an old one; exit with 1 where it asks for anything."""
    from jailpy.services.plugins import words

    before, after = _load(old), _load(new)
    more, less = words.more(before, after), words.less(before, after)
    if more:
        _section(f"{words.title(after)} asks, on top of {words.title(before)}, to", more)
    if less:
        _section(f"{words.title(after)} no longer asks to", less)
    if not more and not less:
        click.echo(printable(f"{words.title(after)} asks for no more and no less than {words.title(before)}"))
    context.exit(1 if more else 0)


def _section(head: str, lines: list[str]) -> None:
    click.echo(printable(f"{head}:"))
    for line in lines:
        click.echo(printable(f"  {line}"))


def _load(path: str) -> Manifest:
    from jailpy.services.plugins import manifest

    return manifest.load(path)


def _problems(path: str) -> tuple[str, ...]:
    try:
        _load(path)
    except ManifestError as error:
        return error.problems
    click.echo(f"{printable(path)}: ok")
    return ()


def _granted(path: str | None) -> dict[str, Any] | None:
    """Read a file of grants. Raises ManifestError."""
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        words = os.strerror(error.errno or 0)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        words = str(error)
    raise ManifestError(f"{path}: {words}", [f"{path}: {words}"])
