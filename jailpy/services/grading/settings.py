"""YAML files of a problem, key by key: every value is checked, and what is wrong is told with its file and line."""

from __future__ import annotations

import os
import sys
from typing import Any

import yaml

from jailpy.errors import ProblemError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

_LARGEST = 1 << 20
# What a run's limits can be made from: a run gets a little more than these (runs.py), and profiles have bounds of their own.
SECONDS = (0.001, 8_640_000)
SECONDS_WORDS = "seconds from {:g} to {}".format(*SECONDS)
MOST_BYTES = 1 << 50


class Settings:
    """The keys of one map. `take` each that is known, then `refuse_rest`; problems go to a list that files share."""

    def __init__(self, path: str, problems: list[str], node: yaml.MappingNode | None = None, prefix: str = "") -> None:
        self.path, self.problems, self._prefix = path, problems, prefix
        self._nodes: dict[str, tuple[yaml.Node, int]] = {}
        for key, value in node.value if node else ():
            name = str(key.value)
            if name in self._nodes:
                self._say(key, f"{prefix}{name}: given twice")
            self._nodes[name] = (value, key.start_mark.line + 1)

    @classmethod
    def read(cls, path: str, problems: list[str]) -> Settings:
        """Read a file; one that is missing or empty has no keys."""
        return cls(path, problems, _map_of(path, problems))

    def has(self, key: str) -> bool:
        """Tell whether a key is there and was not taken yet."""
        return key in self._nodes

    def line(self, key: str) -> int:
        """Return the line of a key that was not taken yet."""
        return self._nodes[key][1]

    def take(self, key: str, check: Callable[[Any], T], default: T) -> T:
        """Return a value, checked; the default where it is missing or wrong. `check` raises ValueError with what it expects."""
        if key not in self._nodes:
            return default
        node, line = self._nodes.pop(key)
        try:
            return check(_value(node))
        except ValueError as error:
            self.problem(f"{self._prefix}{key}: {error}", line)
            return default

    def section(self, key: str) -> Settings:
        """Return the map that a key holds, an empty one where it is missing."""
        if key not in self._nodes:
            return Settings(self.path, self.problems)
        node, line = self._nodes.pop(key)
        if not isinstance(node, yaml.MappingNode):
            self.problem(f"{self._prefix}{key}: expected a map", line)
            return Settings(self.path, self.problems)
        return Settings(self.path, self.problems, node, f"{self._prefix}{key}.")

    def items(self, key: str) -> list[Settings]:
        """Return the maps of a list, an empty one where it is missing."""
        if key not in self._nodes:
            return []
        node, line = self._nodes.pop(key)
        if not isinstance(node, yaml.SequenceNode) or not all(isinstance(each, yaml.MappingNode) for each in node.value):
            self.problem(f"{self._prefix}{key}: expected a list of maps", line)
            return []
        return [
            Settings(self.path, self.problems, each, f"{self._prefix}{key}[{at}].") for at, each in enumerate(node.value, 1)
        ]

    def is_map(self, key: str) -> bool:
        """Tell whether a key that was not taken yet holds a map."""
        return key in self._nodes and isinstance(self._nodes[key][0], yaml.MappingNode)

    def first_line(self) -> int:
        """Return the line of the first key that was not taken yet; 1 where there is none."""
        return min((line for _, line in self._nodes.values()), default=1)

    def sections(self) -> dict[str, Settings]:
        """Take every key, as a map each."""
        return {key: self.section(key) for key in list(self._nodes)}

    def skip(self, *keys: str) -> None:
        """Take keys that do not matter here."""
        for key in keys:
            self._nodes.pop(key, None)

    def refuse_rest(self) -> None:
        """Say of every key that was not taken that it is unknown."""
        for key, (_, line) in self._nodes.items():
            self.problem(f"{self._prefix}{key}: unknown key", line)

    def problem(self, text: str, line: int = 1) -> None:
        """Note something that is wrong."""
        self.problems.append(f"{self.path}:{line}: {text}")

    def _say(self, node: yaml.Node, text: str) -> None:
        self.problem(text, node.start_mark.line + 1)


def _map_of(path: str, problems: list[str]) -> yaml.MappingNode | None:
    if not os.path.lexists(path):
        return None
    try:
        node = yaml.compose(_read(path), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problems.append(f"{path}:{line}: {error.problem}")
        return None
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        problems.append(f"{path}:1: {getattr(error, 'strerror', None) or error}")
        return None
    if node is None or isinstance(node, yaml.MappingNode):
        return node
    problems.append(f"{path}:{node.start_mark.line + 1}: expected a map of keys")
    return None


def _read(path: str) -> str:
    with open(path, "rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"over {_LARGEST} bytes")
    return content.decode()


def _value(node: yaml.Node) -> Any:
    """Return a node's value. Raises ValueError for what is none."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"cannot be read: {getattr(error, 'problem', None) or error}") from error
    finally:
        loader.dispose()


def refuse(folder: str, problems: list[str]) -> None:
    """Raise ProblemError where there are problems, with all of them in the order of files and lines."""
    if problems:
        ordered = sorted(problems, key=_place)
        raise ProblemError(f"{folder}: {len(problems)} thing{'s are' if len(problems) > 1 else ' is'} wrong", ordered)


def _place(problem: str) -> tuple[str, int]:
    path, _, rest = problem.partition(":")
    number = rest.partition(":")[0]
    return path, int(number) if number.isdecimal() else 0


def text(value: Any) -> str:
    """Check a text."""
    if not isinstance(value, str):
        raise _expected("a text", value)
    return value


def texts(value: Any) -> tuple[str, ...]:
    """Check a list of texts, or one text."""
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise _expected("a list of texts", value)
    return tuple(entries)


def words(value: Any) -> tuple[str, ...]:
    """Check a text, and split it at spaces; a list of texts, or of numbers, is taken as it is."""
    if isinstance(value, list) and all(isinstance(entry, str | int | float) for entry in value):
        return tuple(str(entry) for entry in value)
    return tuple(text(value).split())


def flag(value: Any) -> bool:
    """Check a boolean."""
    if not isinstance(value, bool):
        raise _expected("true or false", value)
    return value


def number(value: Any) -> float:
    """Check a number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise _expected("a number", value)
    return float(value)


def positive(value: Any) -> float:
    """Check a number above 0."""
    if number(value) <= 0:
        raise ValueError(f"expected a number above 0, got {value}")
    return float(value)


def at_least(least: float) -> Callable[[Any], float]:
    """Return a check of a number that is not below a bound."""

    def check(value: Any) -> float:
        if number(value) < least:
            raise ValueError(f"expected a number of at least {least:g}, got {value}")
        return float(value)

    return check


def whole(value: Any) -> int:
    """Check a whole number above 0."""
    if positive(value) != int(value):
        raise ValueError(f"expected a whole number, got {value}")
    return int(value)


def seconds(value: Any) -> float:
    """Check a time that a limit can be made from."""
    if not SECONDS[0] <= positive(value) <= SECONDS[1]:
        raise ValueError(f"expected {SECONDS_WORDS}, got {value}")
    return float(value)


def units_of(size: int) -> Callable[[Any], int]:
    """Return a check of a whole number of units that a limit can be made from; it gives bytes."""

    def check(value: Any) -> int:
        if whole(value) * size > MOST_BYTES:
            raise ValueError(f"expected at most {MOST_BYTES // size}, got {value}")
        return int(value) * size

    return check


def one_of(*choices: str) -> Callable[[Any], str]:
    """Return a check of a text that is one of some."""

    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}, got {value!r}")
        return str(value)

    return check


def _expected(what: str, value: Any) -> ValueError:
    return ValueError(f"expected {what}, got {value!r:.60}")
