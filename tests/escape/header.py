"""The headers of the hostile programs: a block of comment lines at the top, TOML behind the comment signs.

    row         of rows.toml
    boundary    what must not be crossed
    ending      the verdict of the run that the jail must reach
    layers      what must stop it; with more than one, each alone is taken away in turn and the others must do
    control     where it must succeed: "outside" (no jail), "nobody" (the same, without root's rights), "namespaces" (root of
                namespaces of its own), "without" (in the jail, without `layers`), "loose" (in the jail, with `loose` options)

and, where needed: `options` of the run, `evidence` and `violations` that the report must have, `phases` (the program runs
once for each, in its order, with that word), `grade` (attempts that the profile of that name grants, with the reason),
`unproven` (attempts that the control does not get through on each host, with the reason), `backstop` (layers whose
absence the others do not make up for, with the reason), `root_only` (attempts whose control needs real root), `env`, and
`root` (the whole program needs it).
"""

from __future__ import annotations

import os
import tomllib
import types

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
NEEDED = {"row": str, "boundary": str, "ending": str, "layers": list, "control": str}
OPTIONAL = {
    "options": {}, "loose": {}, "evidence": "", "violations": [], "phases": ["attack"], "grade": {}, "unproven": {},
    "root_only": [], "backstop": {}, "env": {}, "root": False,
}  # fmt: skip
CONTROLS = ("outside", "nobody", "namespaces", "without", "loose")


def parse(text, sign):
    """Return the values of a header. Raises ValueError for what is no header."""
    lines = []
    for line in text.splitlines():
        if not line.startswith(sign):
            break
        lines.append(line.removeprefix(sign).removeprefix(" "))
    found = tomllib.loads("\n".join(lines))
    wrong = [key for key in found if key not in NEEDED and key not in OPTIONAL]
    wrong += [key for key, kind in NEEDED.items() if not isinstance(found.get(key), kind)]
    if wrong or found["control"] not in CONTROLS:
        raise ValueError(f"the header is wrong: {wrong or found['control']}")
    return types.SimpleNamespace(**{**OPTIONAL, **found})


def programs():
    """Return the headers of all programs, by file name."""
    found = {}
    for name in sorted(os.listdir(PROGRAMS)):
        if name not in ("attack.py", "attack.h", "__pycache__"):
            with open(os.path.join(PROGRAMS, name), encoding="utf-8") as file:
                found[name] = parse(file.read(), "#" if name.endswith(".py") else "//")
    return found
