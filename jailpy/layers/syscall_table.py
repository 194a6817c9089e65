"""System call numbers and groups: what stands in profiles/syscalls/*.toml, as plain values. Parent side.

A rule's *alternatives* are tuples of tests `(argument, mask, value)`; the rule fits a call where all tests of one
alternative hold. A single empty alternative fits every call. Parsed once, then read back as marshal data.
"""

from __future__ import annotations

import os

from jailpy import cache
from jailpy.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Test = tuple[int, int, int]
    Alternatives = tuple[tuple[Test, ...], ...]

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "profiles", "syscalls")
ARCHITECTURES = ("x86_64", "aarch64")
ANY_CALL: Alternatives = ((),)
LOW_HALF = 0xFFFFFFFF
SUCCESS = "success"
_NUMBERS = "numbers.toml"


class Rule(Frozen):
    """One entry of a group: a call, why, and when. `answer` is the name of a fixed errno, "" for allowed.

    `answer` is `SUCCESS` for a call that returns 0 and does nothing. `exec` holds the values of [filesystem] exec that it
    applies to, () for every one. `rw`: it applies only where a host folder is writable (True), or where none is (False).
    `names` are the TOML file's words for the values of its list, in the order of `alternatives`, () where it has none.
    """

    call: str
    reason: str
    alternatives: Alternatives
    answer: str
    exec: tuple[str, ...]
    names: tuple[str, ...]
    rw: bool | None

    def fits(self, args: Sequence[int]) -> bool:
        """Tell whether the rule holds for a call with these (unsigned 64-bit) arguments."""
        return any(all(args[arg] & mask == value for arg, mask, value in tests) for tests in self.alternatives)


class Group(Frozen):
    """One file: rules of its own, and groups that it includes. `hint` is the profile line that stands for it."""

    name: str
    purpose: str
    hint: str
    includes: tuple[str, ...]
    rules: tuple[Rule, ...]


class Table(Frozen):
    """All numbers, by name in the order of `ARCHITECTURES` (-1: not there), and all groups."""

    numbers: dict[str, tuple[int, int]]
    groups: dict[str, Group]

    def number(self, name: str, arch: str) -> int:
        """Return a call's number, -1 where this architecture does not have it."""
        return self.numbers[name][ARCHITECTURES.index(arch)]

    def names(self, arch: str) -> dict[int, str]:
        """Return the names by number."""
        index = ARCHITECTURES.index(arch)
        return {pair[index]: name for name, pair in self.numbers.items() if pair[index] >= 0}

    def rules(self, group: str) -> tuple[Rule, ...]:
        """Return the rules of a group and of all that it includes. Raises KeyError for a group that does not exist."""
        found = self.groups[group]
        included = [rule for name in found.includes for rule in self.rules(name)]
        return (*found.rules, *included)


_loaded: list[tuple[str, Table]] = []


def load() -> Table:
    """Return the table, from memory, the cache on disk, or the TOML files. Raises OSError or ValueError for these."""
    key = signature()
    if not _loaded or _loaded[0][0] != key:
        found = cache.load("syscalls", key)
        if found is None:
            found = _parse()
            cache.store("syscalls", key, found)
        _loaded[:] = [(key, _table(found))]
    return _loaded[0][1]


def signature() -> str:
    """Return a digest that changes when any of the files does, or this module (name, size, time of change)."""
    own = os.stat(__file__)
    state = [("", own.st_size, own.st_mtime_ns)]
    with os.scandir(FOLDER) as entries:
        for entry in entries:
            if entry.name.endswith(".toml"):
                found = entry.stat()
                state.append((entry.name, found.st_size, found.st_mtime_ns))
    return cache.digest(repr(sorted(state)).encode())


def _table(plain: Any) -> Table:
    numbers, groups = plain
    return Table(
        {name: (x86_64, aarch64) for name, (x86_64, aarch64) in numbers.items()},
        {
            name: Group(name, purpose, hint, includes, tuple(Rule(*rule) for rule in rules))
            for name, (purpose, hint, includes, rules) in groups.items()
        },
    )


def _parse() -> tuple[dict[str, list[int]], dict[str, object]]:
    """Read every TOML file into marshal values."""
    import tomllib

    documents = {}
    for name in sorted(os.listdir(FOLDER)):
        if name.endswith(".toml"):
            with open(os.path.join(FOLDER, name), "rb") as file:
                documents[name] = tomllib.load(file)
    numbers = documents.pop(_NUMBERS)
    return numbers, {name.removesuffix(".toml"): _group(document) for name, document in documents.items()}


def _group(document: dict[str, Any]) -> tuple[object, ...]:
    plain = [(call, reason, ANY_CALL, "", (), (), None) for call, reason in document.get("calls", {}).items()]
    answers = [
        (call, reason, ANY_CALL, answer, (), (), None)
        for answer, calls in document.get("answers", {}).items()
        for call, reason in calls.items()
    ]
    rules = [_rule(rule) for rule in document.get("rules", [])]
    includes = tuple(document.get("includes", ()))
    return document["purpose"], document.get("hint", ""), includes, (*plain, *answers, *rules)


def _rule(rule: dict[str, Any]) -> tuple[object, ...]:
    alternatives: list[tuple[Test, ...]] = [()]
    names: tuple[str, ...] = ()
    for test in rule.get("where", ()):
        values = test.get("one_of") or {"": test["equals"]}
        names = names or tuple(test.get("one_of", ()))
        choices = [(test["arg"], test.get("mask", LOW_HALF), value) for value in values.values()]
        alternatives = [(*tests, choice) for tests in alternatives for choice in choices]
    modes = tuple(rule.get("exec", ()))
    return rule["call"], rule["reason"], tuple(alternatives), rule.get("answer", ""), modes, names, rule.get("rw")
