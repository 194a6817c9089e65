"""What the cache keeps of a profile: its merged document, who said what, and the stamps of its files. Parent side."""

from __future__ import annotations

import os

from jailpy import cache
from jailpy.profile import combine, locate
from jailpy.profile.compare import loosened
from jailpy.profile.convert import to_fields
from jailpy.profile.document import read_chain, read_file
from jailpy.profile.merge import merge
from jailpy.profile.schema import NOT_SETTINGS
from jailpy.profile.values import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jailpy.profile.document import File
    from jailpy.profile.locate import Stamp
    from jailpy.profile.merge import Merged
    from jailpy.profile.schema import Document

STRICT = "strict"
_READERS = ("check", "combine", "compare", "convert", "document", "merge", "schema", "values")


def resolve(name: str, path: str) -> dict[str, Any]:
    """Read, merge and check a profile, and keep the answer. Raises ProfileError with every problem."""
    merged, files = _merged(name)
    strict, strict_files = (merged, []) if path == locate.builtin_path(STRICT) else _merged(STRICT)
    kept: dict[str, Any] = {
        "document": merged.document,
        "trail": merged.trail,
        "strict": strict.document,
        "origin": os.path.abspath(path),
        "fields": to_fields(merged.document, os.path.abspath(path), loosened(strict.document, merged)),
        "stamps": [file.stamp for file in (*files, *strict_files)] + code_stamps(),
    }
    if all(locate.is_settled(stamp) for stamp in kept["stamps"]):
        cache.store("profile", os.path.abspath(path), kept)
    return kept


def document_of(name_or_path: str) -> Document:
    """Return the merged document of a profile, straight from its files. Raises ProfileError with every problem."""
    return _merged(name_or_path)[0].document


def _merged(name: str) -> tuple[Merged, list[File]]:
    problems: list[str] = []
    files = read_chain(name, problems)
    combine.refuse(problems, name)
    merged = merge([file.part for file in files])
    _name(merged, files[-1], problems)
    problems += merged.problems + combine.problems(merged)
    combine.refuse(problems, name)
    return merged, files


def _name(merged: Merged, file: File, problems: list[str]) -> None:
    """Set the keys that are not inherited. A user's profile answers to its own name, and never to a built-in one's."""
    stem = os.path.basename(file.path).removesuffix(locate.SUFFIX)
    values = file.part.values
    name = values.get("name", stem)
    if not isinstance(name, str) or not locate.is_name(name):
        problems.append(f"{printable(file.path)}: name: expected a name, for the file's own name cannot be one")
    if os.path.dirname(file.path) in (locate.user_folder(), locate.BUILTIN_FOLDER) and name != stem:
        problems.append(f'{file.part.place("name")}: name: expected "{printable(stem)}", as the file is named')
    if os.path.dirname(file.path) == locate.user_folder() and os.path.isfile(locate.builtin_path(stem)):
        problems.append(f"{printable(file.path)}: expected another file name: {stem} is a built-in profile")
    merged.document.update(name=name, description=values.get("description", ""))


def code_stamps() -> list[Stamp]:
    """Stamp the modules that read profiles: what an older version of them made of a file is not an answer."""
    folder = os.path.dirname(os.path.abspath(__file__))
    files = [f"{folder}/{name}.py" for name in _READERS]
    return [locate.stamp_of(file, os.stat(file)) for file in files]


def resolve_fragment(path: str) -> dict[str, Any]:
    """Read a runtime preset, and keep the answer. Raises ProfileError."""
    problems: list[str] = []
    file = read_file(path, problems, "runtime")
    combine.refuse(problems, path)
    assert file is not None
    values = {key: value for key, value in file.part.values.items() if key not in NOT_SETTINGS}
    stamps = [file.stamp, *code_stamps()]
    kept: dict[str, Any] = {"values": values, "where": file.part.where, "stamps": stamps}
    if all(locate.is_settled(stamp) for stamp in stamps):
        cache.store("runtime", path, kept)
    return kept
