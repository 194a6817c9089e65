"""Where each key of a TOML text stands. Parent side, pure; never on the way of a cached start.

`tomllib` gives values without places. This scan finds the line of every key and of every entry of a list. It decides
nothing: a text that is not TOML gives places that nobody asks for, and `tomllib` refuses it.
"""

from __future__ import annotations

MOST_PARTS = 16
_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_QUOTES = ('"""', "'''", '"', "'")


class TooDeepError(ValueError):
    """A dotted key has more parts than any key of a profile; parsers take quadratic time over it."""

    def __init__(self, line: int) -> None:
        super().__init__(f"expected at most {MOST_PARTS} parts in a key")
        self.line = line


def find_lines(text: str) -> dict[str, int]:
    """Map "limits.wall" and "filesystem.ro[2]" to the line (from 1) where they stand. Raises TooDeepError."""
    scan = _Scan(text)
    scan.run()
    return scan.found


class _Scan:
    """One pass over a text. `at` is the offset of the next character, `table` the parts of the last header."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.table: list[str] = []
        self.found: dict[str, int] = {}

    def run(self) -> None:
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t\r\n":
                self._step(1)
            elif char == "#":
                self._to_end_of_line()
            elif char == "[":
                self._header()
            else:
                self._pair()

    def _step(self, count: int) -> None:
        self.line += self.text.count("\n", self.at, self.at + count)
        self.at += count

    def _to_end_of_line(self) -> None:
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def _header(self) -> None:
        self._step(2 if self.text.startswith("[[", self.at) else 1)
        self.table = self._key()
        self.found.setdefault(".".join(self.table), self.line)
        self._to_end_of_line()

    def _pair(self) -> None:
        """Note one key, and step over its value."""
        start = self.at
        name = ".".join(self.table + self._key())
        self.found.setdefault(name, self.line)
        if self.text.startswith("=", self.at):
            self._step(1)
            self._value(name)
        elif self.at == start:
            self._to_end_of_line()

    def _key(self) -> list[str]:
        """Read the parts of a dotted key; ends at the first character that belongs to none."""
        parts: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in "\"'":
                parts.append(self._string())
            elif char in _BARE:
                parts.append(self._bare())
            elif char in " \t.":
                self._step(1)
            else:
                break
            if len(parts) > MOST_PARTS:
                raise TooDeepError(self.line)
        return parts

    def _bare(self) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] in _BARE:
            self.at += 1
        return self.text[start : self.at]

    def _string(self) -> str:
        """Step over a string of any of the four kinds and return what is between its quotes, escapes as they stand."""
        quote = next(mark for mark in _QUOTES if self.text.startswith(mark, self.at))
        end = self.at + len(quote)
        while end < len(self.text) and not self.text.startswith(quote, end):
            if len(quote) == 1 and self.text[end] == "\n":
                break
            end += 2 if quote[0] == '"' and self.text[end] == "\\" else 1
        inner = self.text[self.at + len(quote) : end]
        self._step(min(end + len(quote), len(self.text)) - self.at)
        return inner

    def _value(self, name: str) -> None:
        """Step over a value to the end of its last line, noting where the entries of a list start."""
        depth, entry, fresh = 0, 0, True
        while self.at < len(self.text):
            char = self.text[self.at]
            if depth == 1 and fresh and char not in " \t\r\n#]":
                self.found.setdefault(f"{name}[{entry}]", self.line)
                fresh = False
            if char in "\"'":
                self._string()
                continue
            if char == "\n" and depth <= 0:
                return
            if char == "#":
                self._to_end_of_line()
                continue
            depth += (char in "[{") - (char in "]}")
            if char == "," and depth == 1:
                entry, fresh = entry + 1, True
            self._step(1)
