"""The headers of the hostile programs: a block of comment lines at the top, TOML behind the comment signs.

    row         the attack on record that it makes (tests/escape/rows.toml)
    boundary    what must not be crossed
    ending      the verdict of the run that the jail must reach
    layers      what must stop it; with more than one, each alone is taken away in turn and the others must do
    control     where it must succeed: "outside" (no jail), "nobody" (the same, without root's rights), "namespaces" (root of
                namespaces of its own), "without" (in the jail, without `layers`), "loose" (in the jail, with `loose` options)

and, where needed: `options` of the run, `evidence` and `violations` that the report must have, `phases` (the program runs
once for each, in its order, with that word), `grade` (attempts that the profile of that name grants, with the reason),
`unproven` (attempts that the control does not get through on each host, with the reason), `backstop` (layers whose
absence the others do not make up for, with the reason), `root_only` (attempts whose control needs real root), and `machines`
(the architectures that have what is attacked; all where it is not given).
"""

from __future__ import annotations

import os
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
SHARED = ("attack.py", "attack.h")
CONTROLS = ("outside", "nobody", "namespaces", "without", "loose")
_NEEDED = {"row": str, "boundary": str, "ending": str, "layers": list, "control": str}
_OPTIONAL: dict[str, Any] = {
    "options": {}, "loose": {}, "evidence": "", "violations": [], "phases": ["attack"], "grade": {}, "unproven": {},
    "root_only": [], "backstop": {}, "machines": [],
}  # fmt: skip


def parse(text: str, sign: str) -> Any:
    """Return the values of a header. Raises ValueError for what is no header."""
    import tomllib

    lines = []
    for line in text.splitlines():
        if not line.startswith(sign):
            break
        lines.append(line.removeprefix(sign).removeprefix(" "))
    found = tomllib.loads("\n".join(lines))
    wrong = [key for key in found if key not in _NEEDED and key not in _OPTIONAL]
    wrong += [key for key, kind in _NEEDED.items() if not isinstance(found.get(key), kind)]
    if wrong or found["control"] not in CONTROLS:
        raise ValueError(f"the header is wrong: {wrong or found['control']}")
    return types.SimpleNamespace(**{**_OPTIONAL, **found})


def programs(machine: str = "") -> dict[str, Any]:
    """Return the headers of all programs by file name, or of those that attack what this architecture has."""
    found = {}
    for name in sorted(os.listdir(PROGRAMS)):
        if name.endswith((".py", ".c")) and name not in SHARED:
            with open(os.path.join(PROGRAMS, name), encoding="utf-8") as file:
                found[name] = parse(file.read(), "#" if name.endswith(".py") else "//")
    return {name: header for name, header in found.items() if not machine or machine in (header.machines or [machine])}
