"""Write docs/reference/profile.md from the table: `python -m jailpy.profile.reference > docs/reference/profile.md`."""

from __future__ import annotations

import os
import sys

from jailpy.profile import locate
from jailpy.profile.check import expected
from jailpy.profile.compare import LOOSER
from jailpy.profile.diff import differences
from jailpy.profile.document import read_file
from jailpy.profile.resolve import document_of
from jailpy.profile.runtimes import PLACEHOLDERS
from jailpy.profile.schema import KEYS, RUNTIMES, TABLES
from jailpy.profile.written import to_toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jailpy.profile.schema import Key

_INTRO = """# Profiles

A profile says what a jail shows, allows and bounds. It is a TOML file; `jailpy exec -p NAME` takes a built-in one or
one of `$XDG_CONFIG_HOME/jailpy/profiles` (`~/.config/jailpy/profiles`) by name, `-p ./my.toml` any file by its path. A
built-in profile is never replaced by a file of the same name, and a file of the current directory is never picked up by
bare name.

This page is generated from the table that checks profiles: `python -m jailpy.profile.reference`.

```toml
extends = ["strict"]            # start from strict, and say what differs

[limits]
memory = "1G"
```

`jailpy profile check my.toml` names every problem with file, line and key; `jailpy profile diff strict my.toml` says
what is looser and what is tighter; `jailpy profile schema` prints a JSON Schema for editors.

## Merging

The same for `extends`, for `runtime`, for options and for `--set`, in this order:

* A single value: the later one wins.
* A list: entries are appended to those before. `"!x"` takes x out, and is an error where there is no x to take out.
* What is shown at a place, or a size given for it, replaces an earlier part's private folder there: `--rw .:/work`,
  `--tmpfs /tmp:16M`.
* `environment.set`: name by name. A variable is passed on or set; the later entry says which.
* A key that no file says has its default, which is `strict`'s value. `name` and `description` are not inherited.
* `extends`: parents first, in their order, and each file once, however many paths lead to it.

What an option or a profile loosens is listed in the report under `loosened`, with who said so.

## Values

* **size**: `"64M"`, `"1GiB"`, `"512"` or a number of bytes; K, M, G and T are powers of 1024.
* **duration**: `"500ms"`, `"2s"`, `"1m30s"`, `"1h"` or a number of seconds.
* `"off"` lifts a limit, where the table says so.
* `"SRC"` or `"SRC:DST"`: SRC may be relative to the caller's directory; DST is absolute. Without DST a relative SRC
  appears as WORKDIR/basename, an absolute one at the same path. Nothing can be shown over `/`, `/proc` or `/dev`.
"""

_PRESETS = """`runtime = ["java"]` or `--runtime java`. A preset is merged after the profile and before the options. Its
limits are floors: they raise a lower one, never lower a higher one. What it loosens is listed too.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([_INTRO, *_top(), *_tables(), *_profiles(), *_runtimes()]) + "\n"


def _top() -> Iterator[str]:
    yield "## The file itself\n"
    yield from _rows([key for key in KEYS.values() if "." not in key.name])


def _tables() -> Iterator[str]:
    for table, doc in TABLES.items():
        yield f"## [{table}]\n\n{doc}\n"
        yield from _rows([key for key in KEYS.values() if key.name.startswith(table + ".")])


def _rows(keys: list[Key]) -> Iterator[str]:
    yield "| key | value | default | option | meaning |\n|---|---|---|---|---|"
    for key in keys:
        option = f"`{key.option}`" if key.option else ""
        cells = (f"`{key.name}`", _kind(key), _default(key), option, key.doc)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _kind(key: Key) -> str:
    if key.kind in ("size", "duration"):
        return key.kind + (' or `"off"`' if key.off else "")
    if key.item and key.choices:
        return f"{expected(key)}: {', '.join(f'`{choice}`' for choice in key.choices)}"
    if key.kind in ("integer", "number"):
        return f"{expected(key)}, {key.low} to {key.high}"
    return expected(key)


def _default(key: Key) -> str:
    lines = to_toml(_DEFAULTS).splitlines()
    table, _, name = key.name.rpartition(".")
    start = lines.index(f"[{table}]") if table else 0
    line = next(line for line in lines[start:] if line.startswith(f"{name} = "))
    return f"`{line.partition(' = ')[2]}`" if key.name not in ("name", "description") else ""


_DEFAULTS = document_of("strict")


def _profiles() -> Iterator[str]:
    yield "## Built-in profiles\n"
    for name in locate.names(locate.BUILTIN_FOLDER):
        document = document_of(name)
        yield f"### {name}\n\n{document['description']}\n"
        looser = [f"* `{key}`: {words}" for way, key, words in differences(_DEFAULTS, document) if way == LOOSER]
        tighter = [f"* `{key}`: {words}" for way, key, words in differences(_DEFAULTS, document) if way != LOOSER]
        yield from ["Looser than `strict`:\n", *looser, ""] if looser else []
        yield from ["Tighter than `strict`, or different:\n", *tighter, ""] if tighter else []


def _runtimes() -> Iterator[str]:
    yield "## Runtime presets\n"
    yield _PRESETS
    for name in RUNTIMES:
        path = f"{locate.RUNTIME_FOLDER}/{name}{locate.SUFFIX}"
        with open(path, encoding="utf-8") as file:
            text = file.read().rstrip()
        yield f"### {name}\n\n{_description(path)}\n\n```toml\n{text}\n```\n"
    yield "In their texts a placeholder stands for what the run will have, options included:\n"
    yield from [f"* `{{{name}}}`: {meaning}" for name, meaning in PLACEHOLDERS.items()]


def _description(path: str) -> str:
    problems: list[str] = []
    file = read_file(path, problems, os.path.basename(path))
    assert file is not None, problems
    return str(file.part.values["description"])


if __name__ == "__main__":
    sys.stdout.write(page())
