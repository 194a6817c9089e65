"""What is laid over a profile's files: runtime presets, then options and `--set`. Parent side, without a TOML parser.

The same table checks them as the files.
"""

from __future__ import annotations

from jailpy.errors import ProfileError
from jailpy.profile import combine, runtimes
from jailpy.profile.check import EntryError, convert
from jailpy.profile.compare import loosened
from jailpy.profile.convert import to_fields
from jailpy.profile.merge import Merged, Override, Part, add
from jailpy.profile.schema import KEYS, NOT_SETTINGS
from jailpy.profile.values import is_word, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from jailpy.profile.schema import Document

_LONGEST_INTEGER = 20
__all__ = ["Override", "apply", "effective", "from_text", "parse_set"]


def apply(kept: dict[str, Any], overrides: Sequence[Override]) -> dict[str, Any]:
    """Return the fields of a profile with presets and overrides merged. Raises ProfileError with every problem."""
    problems: list[str] = []
    parts = [part for part in (_part(override, problems) for override in overrides) if part]
    merged = Merged(dict(kept["document"]), dict(kept["trail"]), problems)
    _add_runtimes(merged, parts)
    for part in parts:
        add(merged, part)
    problems += [] if problems else combine.problems(merged)
    combine.refuse(problems, kept["document"]["name"])
    return to_fields(merged.document, kept["origin"], loosened(kept["strict"], merged))


def effective(document: Document) -> Document:
    """Return a document with the presets that it names merged in. Raises ProfileError."""
    merged = Merged(dict(document), {}, [])
    _add_runtimes(merged, [])
    combine.refuse(merged.problems, str(document["name"]))
    return merged.document


def from_text(key: str, text: str, spelling: str) -> Override:
    """Make the override of an option whose value came as text. Raises ProfileError.

    An entry of a list becomes a list of one; a number is read as one; NAME=VALUE sets a variable.
    """
    kind = KEYS[key].kind
    if kind == "list" and key == "environment.pass" and "=" in text:
        name, _, value = text.partition("=")
        return Override("environment.set", {name: value}, spelling)
    if kind == "list":
        return Override(key, [text], spelling)
    if kind in ("integer", "number"):
        return Override(key, _number(text), spelling)
    return Override(key, text, spelling)


def parse_set(text: str) -> Override:
    """Read KEY=VALUE: a TOML value, or a bare word as a text. Raises ProfileError."""
    name, equals, written = text.partition("=")
    name, spelling = name.strip(), f"--set {text}"
    if not equals:
        raise ProfileError(f"{printable(spelling)}: expected KEY=VALUE")
    value = _toml_value(written.strip())
    variable = name.removeprefix("environment.set.")
    if variable != name:
        return Override("environment.set", {variable: value}, spelling)
    if name in KEYS and KEYS[name].kind == "list" and isinstance(value, str):
        return Override(name, [value], spelling)
    return Override(name, value, spelling)


def _part(override: Override, problems: list[str]) -> Part | None:
    where, name = printable(override.spelling), override.key
    if name not in KEYS or name in NOT_SETTINGS:
        problems.append(f"{where}: {printable(name)}: {_not_a_key(name)}")
        return None
    try:
        return Part(override.spelling, {name: convert(KEYS[name], override.value)}, {name: where})
    except EntryError as error:
        problems += [f"{where}: {name}: {words}" for _, words in error.wrong]
    except ValueError as error:
        problems.append(f"{where}: {name}: {error}")
    return None


def _not_a_key(name: str) -> str:
    from jailpy.profile.locate import nearest

    if name in NOT_SETTINGS:
        return "expected a setting; this key describes a file"
    if any(key.startswith(name + ".") for key in KEYS):
        return "expected a key of this table, such as " + next(key for key in KEYS if key.startswith(name + "."))
    near = nearest(name, list(KEYS))
    return "unknown key" + (f": did you mean {near}?" if near else "")


def _add_runtimes(merged: Merged, parts: list[Part]) -> None:
    """Merge the presets that profile and options name. What an option sets is seen by their placeholders already."""
    names = [*combine.entries(merged.document, "runtime")]
    for part in parts:
        value = part.values.get("runtime")
        names += value if isinstance(value, list) else []
    wanted = [name for name in dict.fromkeys(names) if not name.startswith("!") and f"!{name}" not in names]
    if not wanted:
        return
    preview = Merged(dict(merged.document), {}, [])
    for part in parts:
        add(preview, part)
    for name in wanted:
        add(merged, runtimes.part(name, merged.document, preview.document))


def _number(text: str) -> object:
    """Read an option's number; what is none stays a text, which the table then refuses in words."""
    try:
        return int(text) if is_word(text.lstrip("-")) and len(text) < _LONGEST_INTEGER else float(text)
    except ValueError:
        return text


def _toml_value(written: str) -> object:
    """Read a TOML value; words that TOML would refuse are texts, so that --set limits.wall=2s works in a shell."""
    if _is_plain(written):
        return int(written) if written.isdigit() else written
    import tomllib

    try:
        return tomllib.loads(f"value = {written}")["value"] if "\n" not in written else written
    except (ValueError, RecursionError):
        if written[:1] in ("[", "{", '"', "'"):
            raise ProfileError(f"--set: expected a TOML value, got {printable(written[:80])}") from None
        return written


def _is_plain(written: str) -> bool:
    """Tell whether a value is no TOML but a plain integer, so that the parser need not be imported for it."""
    if written.isdigit():
        return written.isascii() and len(written) < _LONGEST_INTEGER and (written[0] != "0" or written == "0")
    looks = is_word(written, "@/.-") and written not in ("true", "false", "inf", "nan")
    return looks and (written[0].isalpha() or written[:1] in "@/" or (is_word(written) and written[-1] in "KMGTsmhB"))
