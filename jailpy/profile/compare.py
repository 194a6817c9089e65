"""Which of two documents confines less, key by key. Parent side, pure."""

from __future__ import annotations

from jailpy.frozen import Frozen
from jailpy.profile.schema import KEYS
from jailpy.profile.values import format_duration, format_size, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.profile.merge import Merged, Trail
    from jailpy.profile.schema import Document, Key, Value

LOOSER, TIGHTER, DIFFERENT = "looser", "tighter", "different"
_DESCRIBES = ("schema", "name", "description", "extends")


class Change(Frozen):
    """One difference: `way` is looser, tighter or different; `entry` is the entry of a list, else ""."""

    key: str
    way: str
    before: str
    after: str
    entry: str = ""


def changes(before: Document, after: Document) -> list[Change]:
    """Return how `after` differs from `before`, in the order of the table."""
    found: list[Change] = []
    for name, key in KEYS.items():
        if name not in _DESCRIBES and before[name] != after[name]:
            found += _of_key(key, before[name], after[name])
    return found


def loosened(strict: Document, merged: Merged) -> tuple[str, ...]:
    """Name every key that is looser than strict's as "key: strict's value -> value (who says so)"."""
    return tuple(
        f"{each.key}: {each.before} -> {each.after}{_origin(merged.trail, each)}"
        for each in changes(strict, merged.document)
        if each.way == LOOSER
    )


def shown(key: Key, value: Value) -> str:
    """Write a value for people: "256M", "1m30s", "off"."""
    if value is None:
        return "off"
    if isinstance(value, int) and key.kind == "size":
        return format_size(value)
    if isinstance(value, float) and key.kind == "duration":
        return format_duration(value)
    return printable(str(value))


def _of_key(key: Key, before: Value, after: Value) -> list[Change]:
    if isinstance(before, list) and isinstance(after, list):
        return _of_list(key, before, after)
    if isinstance(before, dict) and isinstance(after, dict):
        return _of_table(key, before, after)
    return [Change(key.name, _way(key, before, after), shown(key, before), shown(key, after))]


def _of_list(key: Key, before: list[str], after: list[str]) -> list[Change]:
    """Compare as sets: an order of entries confines nothing."""
    found = []
    for entry in [each for each in before if each not in after]:
        way = {"removed": LOOSER, "added": TIGHTER}.get(key.looser, DIFFERENT)
        found.append(Change(key.name, way, printable(entry), "not there", entry))
    for entry in [each for each in after if each not in before]:
        way = {"added": LOOSER, "removed": TIGHTER}.get(key.looser, DIFFERENT)
        found.append(Change(key.name, way, "not there", printable(entry), entry))
    return found


def _of_table(key: Key, before: dict[str, str], after: dict[str, str]) -> list[Change]:
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [
        Change(f"{key.name}.{printable(name)}", DIFFERENT, _variable(before, name), _variable(after, name)) for name in names
    ]


def _variable(table: dict[str, str], name: str) -> str:
    return f'"{printable(table[name])}"' if name in table else "not set"


def _way(key: Key, before: Value, after: Value) -> str:
    if key.looser == "never":
        return DIFFERENT
    old, new = _looseness(key, before), _looseness(key, after)
    if new == old:
        return DIFFERENT
    return LOOSER if new > old else TIGHTER


def _looseness(key: Key, value: Value) -> float:
    """Return a number that grows with what is allowed. A folder as root may show anything: it counts as the loosest."""
    if key.looser == "later":
        return key.choices.index(value) if value in key.choices else _unlisted(key)
    return float("inf") if value is None else float(value) if isinstance(value, int | float) else 0.0


def _unlisted(key: Key) -> float:
    """Place a value that is no choice: a folder as root beyond the last, an AppArmor profile's name by the first."""
    return len(key.choices) if key.kind == "root" else 0


def _origin(trail: Trail, change: Change) -> str:
    """Say who loosened it, as far as the trail tells: for an entry taken out, who said "!entry"."""
    entry, key = change.entry, change.key
    names = [f"{key}={entry}", f"{key}=!{entry}"] if entry else [key]
    if entry and change.after == "not there":
        names.reverse()
    who = next((trail[name][0] for name in [*names, key] if name in trail), "")
    return f" ({printable(who)})" if who else ""
