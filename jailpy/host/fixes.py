"""What mends a gap, as data: files and commands for root, commands for this account, advice for a person. Parent side, pure.

doctor shows a fix to the person who asks, or puts it into a script for the administrator (jailpy/services/fix_script.py).
Nothing here is ever carried out. Whatever stands in a command and was not written here goes through `quoted`.
"""

from __future__ import annotations

from jailpy.frozen import Frozen
from jailpy.host import surroundings

ROOT = "root"
WRITE = "write"
USER = "user"
ADVICE = "advice"
_COMPOUND = frozenset("\n|;&<>$")


class Fix(Frozen):
    """One step of a remedy, of one of four kinds.

    ROOT: `text` is a command for root's shell; a script runs it only where the command `when`, if any, succeeds. WRITE:
    `text` are the lines of the file `path`, and the command `load` puts it into force. USER: a command for this account.
    ADVICE: a sentence. `then` is a remark; one that begins with "then" is what a person still does afterwards.
    """

    kind: str
    text: str
    path: str = ""
    load: str = ""
    then: str = ""
    when: str = ""

    def shown(self) -> list[str]:
        """Return the lines that this account pastes into its shell, or the sentence."""
        lines = {ROOT: _as_root, WRITE: _written}.get(self.kind, _as_it_is)(self)
        return [*lines[:-1], f"{lines[-1]}   # {self.then}"] if self.then else lines


class Remedy(Frozen):
    """`cause` is one clause. `fix` are the steps that mend it; none where only another cause's fix helps."""

    cause: str
    fix: tuple[Fix, ...] = ()

    def lines(self) -> list[str]:
        """Return the fix as lines to paste."""
        return shown(self.fix)

    def hints(self) -> list[str]:
        """Return the fix in at most one line, as an error has room for."""
        lines = self.lines()
        return ["jailpy doctor prints the lines that mend it"] if len(lines) > 1 else lines


def shown(fix: tuple[Fix, ...]) -> list[str]:
    """Return the lines of a fix as this account pastes them."""
    return [line for step in fix for line in step.shown()]


def run(text: str, then: str = "", when: str = "") -> Fix:
    """Make a command for root's shell."""
    return Fix(ROOT, text, then=then, when=when)


def write(path: str, lines: tuple[str, ...], load: str, then: str = "") -> Fix:
    """Make a file that root writes, and the command that puts it into force."""
    return Fix(WRITE, "\n".join(lines), path, load, then)


def by_user(text: str, then: str = "") -> Fix:
    """Make a command that this account runs itself."""
    return Fix(USER, text, then=then)


def advice(text: str) -> Fix:
    """Make a sentence: what no command on this host can do."""
    return Fix(ADVICE, text)


def sysctl(name: str, value: int) -> Fix:
    """Set a sysctl now and for every boot. The file's name sorts after those that people and distributions give."""
    path = f"/etc/sysctl.d/zz-jailpy-{name.rpartition('.')[2]}.conf"
    return write(path, (f"{name} = {value}",), f"sysctl -p {path}")


def quoted(text: str) -> str:
    """Return a text as one word of a shell."""
    import shlex

    return shlex.quote(text)


def printed(fix: Fix) -> list[str]:
    """Return the words of the printf(1) that prints a WRITE's lines: each line as one word."""
    return ["printf", r"'%s\n'", *(quoted(line) for line in fix.text.split("\n"))]


def _as_it_is(fix: Fix) -> list[str]:
    return [fix.text]


def _as_root(fix: Fix) -> list[str]:
    sudo = surroundings.sudo()
    if not sudo:
        return fix.text.split("\n")
    command = f"sh -c {quoted(fix.text)}" if _COMPOUND & set(fix.text) else fix.text
    return f"{sudo}{command}".split("\n")


def _written(fix: Fix) -> list[str]:
    sudo, path, folder = surroundings.sudo(), quoted(fix.path), fix.path.rpartition("/")[0]
    made = [] if surroundings.exists(folder) else [f"{sudo}mkdir -p {quoted(folder)}"]
    simple = fix.text[:1].isalpha() and not {"\n", "\\"} & set(fix.text)  # what echo(1) prints as it is
    text = f"echo {quoted(fix.text)}" if simple else " ".join(printed(fix))
    return [*made, f"{text} | {sudo}tee {path} && {sudo}{fix.load}"]
