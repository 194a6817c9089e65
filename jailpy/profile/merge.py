"""How parts of a profile become one document: files, runtime presets, options. Parent side, pure.

Scalars: the later part wins. Lists: entries are appended, "!x" removes x. `environment.set`: name by name. A variable
is passed on or set, not both: the later part says which.
"""

from __future__ import annotations

from jailpy.frozen import Frozen
from jailpy.profile.schema import KEYS, NOT_SETTINGS, defaults
from jailpy.profile.values import clean_path, printable, split_show, split_tmpfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from jailpy.profile.schema import Document

    Trail: TypeAlias = dict[str, tuple[str, str]]


class Part(Frozen):
    """What one file, preset or option says: converted values by dotted key.

    `label` names it in `loosened` ("profile grade", "--memory 1G"); `where` gives "file:line" or the option for a key
    or for an entry of a list ("filesystem.ro[2]").
    """

    label: str
    values: Document
    where: dict[str, str]

    def place(self, key: str) -> str:
        """Return where this part says a key; the part's own label where that was not kept."""
        return self.where.get(key) or self.where.get(key.partition("[")[0], self.label)


class Override(Frozen):
    """One key set from outside the files. `value` is a TOML value; lists append. `spelling` is what the user wrote."""

    key: str
    value: object
    spelling: str


class Merged(Frozen):
    """The document of several parts, who said each key (label and place), and every problem on the way."""

    document: Document
    trail: Trail
    problems: list[str]


def merge(parts: list[Part]) -> Merged:
    """Merge parts in order and fill in the defaults of keys that none of them says."""
    merged = Merged({}, {}, [])
    for part in parts:
        add(merged, part)
    return Merged(_with_defaults(merged.document), merged.trail, merged.problems)


def add(merged: Merged, part: Part) -> None:
    """Merge one more part into `merged`, in place."""
    for key, value in part.values.items():
        if isinstance(value, list):
            _add_entries(merged, part, key, value)
        elif isinstance(value, dict):
            _add_variables(merged, part, key, value)
        elif key not in NOT_SETTINGS:
            merged.document[key] = value
            merged.trail[key] = (part.label, part.place(key))
    _settle_variables(merged, part)
    _settle_private(merged.document, part.values)


def _add_entries(merged: Merged, part: Part, key: str, entries: list[str]) -> None:
    if key in NOT_SETTINGS:
        return
    before = merged.document.get(key)
    now = list(before) if isinstance(before, list) else []
    for index, entry in enumerate(entries):
        where = part.place(f"{key}[{index}]")
        if not entry.startswith("!"):
            now += [] if entry in now else [entry]
            merged.trail[f"{key}={entry}"] = (part.label, where)
        elif not _remove(key, now, entry[1:], known=before is not None):
            merged.problems.append(f"{where}: {key}: {_not_removed(key, entry)}")
        else:
            merged.trail[f"{key}={entry}"] = (part.label, where)
    merged.document[key] = list(now)
    merged.trail[key] = (part.label, part.place(key))


def _remove(key: str, entries: list[str], what: str, known: bool) -> bool:
    """Take an entry out; False where it cannot be meant: nothing of that name, in a list whose names are not fixed.

    A folder of its own size is removed by its path alone.
    """
    found = [entry for entry in entries if entry == what]
    if key == "filesystem.tmpfs":
        found = [entry for entry in entries if entry == what or entry.startswith(what + ":")]
    for entry in found:
        entries.remove(entry)
    return bool(found) or (known and bool(KEYS[key].choices))


def _not_removed(key: str, entry: str) -> str:
    words = f'expected an entry "{printable(entry[1:])}" before "{printable(entry)}" removes it'
    if key == "seccomp.allow":
        words += "; what a group allows is denied by seccomp.deny"
    return words


def _add_variables(merged: Merged, part: Part, key: str, variables: dict[str, str]) -> None:
    before = merged.document.get(key)
    merged.document[key] = {**before, **variables} if isinstance(before, dict) else dict(variables)
    for name in variables:
        merged.trail[f"{key}.{name}"] = (part.label, part.place(f"{key}.{name}"))
    merged.trail[key] = (part.label, part.place(key))


def _with_defaults(said: Document) -> Document:
    """Fill in what no part says. A default gives way to a variable, and to a place, that a part names."""
    document = {**defaults(), **said}
    passed, given = document["environment.pass"], document["environment.set"]
    if isinstance(passed, list) and isinstance(given, dict):
        if "environment.set" in said:
            document["environment.pass"] = [name for name in passed if name not in given]
        else:
            document["environment.set"] = {name: value for name, value in given.items() if name not in passed}
    if "filesystem.tmpfs" not in said:
        _settle_private(document, said)
    return document


def _settle_variables(merged: Merged, part: Part) -> None:
    """Let the later of `pass` and `set` win for a variable that both name; in one part, `set` does."""
    passed, given = part.values.get("environment.pass"), part.values.get("environment.set")
    names_set = set(given) if isinstance(given, dict) else set()
    names_passed = set(passed) - names_set if isinstance(passed, list) else set()
    for key, gone in (("environment.set", names_passed), ("environment.pass", names_set)):
        held = merged.document.get(key)
        if isinstance(held, dict) and not gone.isdisjoint(held):
            merged.document[key] = {name: value for name, value in held.items() if name not in gone}
        elif isinstance(held, list) and not gone.isdisjoint(held):
            merged.document[key] = [name for name in held if name not in gone]


def _settle_private(document: Document, said: Document) -> None:
    """Let what a part shows at a place, or a size that it gives, replace the private folder that was there before."""
    own = _private(said)
    taken = {*_shown(said), *own.values()}
    held = document.get("filesystem.tmpfs")
    if isinstance(held, list) and taken:
        document["filesystem.tmpfs"] = [entry for entry in held if entry in own or _private_place(entry) not in taken]


def _private(said: Document) -> dict[str, str]:
    """Return the private folders that a part asks for: entry to destination."""
    entries = said.get("filesystem.tmpfs")
    asked = [entry for entry in entries if not entry.startswith("!")] if isinstance(entries, list) else []
    return {entry: _private_place(entry) for entry in asked}


def _private_place(entry: str) -> str:
    return clean_path(split_tmpfs(entry)[0])


def _shown(said: Document) -> list[str]:
    """Return the destinations that a part spells out for what it shows of the host."""
    lists = [said.get(key) for key in ("filesystem.ro", "filesystem.rw", "filesystem.cow")]
    entries = [entry for each in lists if isinstance(each, list) for entry in each if not entry.startswith("!")]
    places = [destination or source for source, destination in map(split_show, entries)]
    return [clean_path(place) for place in places if place.startswith("/")]
