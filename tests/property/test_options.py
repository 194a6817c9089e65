"""The parser of `exec` agrees with click, which knows the same table of options and reads it on its own."""

from __future__ import annotations

import click
from hypothesis import given, settings
from hypothesis import strategies as st

from jailpy.cli import options
from jailpy.errors import UsageError

FLAGS = sorted(options.BY_FLAG)
WORDS = st.one_of(
    st.sampled_from(FLAGS),
    st.sampled_from(FLAGS).map(lambda flag: f"{flag}=value"),
    st.sampled_from(
        ["-pgrade", "-vq", "-qv", "-qp", "-vpgrade", "-qx", "-q-", "-z", "-=", "--nosuch", "--no=1", "---", "-p=x"]
    ),
    st.sampled_from(["--", "-", "", "value", "cat", "=x", "-1", "a=b"]),
    st.text(max_size=4),
)


def _option(option):
    names = [*option.flags, option.name]
    return click.Option(names, multiple=True) if option.metavar else click.Option(names, is_flag=True)


COMMAND = click.Command(
    "exec",
    params=[*map(_option, options.OPTIONS), click.Argument(["command"], nargs=-1, type=click.UNPROCESSED)],
    context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]},
)


def by_click(words):
    try:
        context = COMMAND.make_context("exec", list(words))
    except click.exceptions.Exit:
        return "help"
    except click.UsageError:
        return "refused"
    return context.params


def by_us(words):
    try:
        parsed = options.parse(words)
    except UsageError:
        return "refused"
    return "help" if parsed is None else parsed


@settings(max_examples=600, deadline=None)
@given(st.lists(WORDS, max_size=7))
def test_both_parsers_agree(words):
    theirs, ours = by_click(words), by_us(words)
    if isinstance(theirs, str) or isinstance(ours, str):
        assert theirs == ours or {str(theirs), str(ours)} == {"help", "refused"}  # click reads the whole line before it helps
        return
    assert list(theirs["command"]) == list(ours.command)
    for option in options.OPTIONS:
        if option.metavar:
            assert tuple(theirs[option.name]) == ours.all(option.name), option.name
        else:
            assert bool(theirs[option.name]) == ours.has(option.name), option.name


@given(st.lists(st.text(max_size=5), max_size=5))
def test_everything_after_two_dashes_is_the_command(words):
    parsed = options.parse(["-q", "--", *words])
    assert parsed is not None
    assert list(parsed.command) == words


@given(st.sampled_from([option for option in options.OPTIONS if option.metavar]), st.text(max_size=5), st.booleans())
def test_values_are_kept_as_given(option, value, joined):
    flag = option.flags[-1]
    parsed = options.parse([f"{flag}={value}"] if joined else [flag, value])
    assert parsed is not None
    assert parsed.given == ((option.name, value, f"{flag} {value}".rstrip()),)
    assert parsed.last(option.name) == value


CONTRACT = (
    "-p", "--profile", "--ro", "--rw", "--cow", "--put", "--get", "--tmpfs", "--workdir", "--env", "--wall", "--cpu", "--idle",
    "--memory", "--disk", "--output", "--file-size", "--processes", "--open-files", "--cpus", "--stack", "--runtime", "--net",
    "--stdin", "--stdout", "--stderr", "--tty", "--report", "--set", "--allow-missing", "-v", "-q",
)  # fmt: skip


def test_every_option_of_the_contract_is_there():
    assert set(CONTRACT) <= set(FLAGS)
