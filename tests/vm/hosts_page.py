"""The page of hosts, docs/reference/hosts.md, from what the lab measured: `python -m tests.vm.hosts_page >docs/reference/hosts.md`.

The figures are in tests/vm/results.json, which `python -m tests.vm --record` writes. What was not measured is here, and the
page says so.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from tests.vm.broken import BROKEN, WHOLE
from tests.vm.guests import load as load_guests

RESULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results.json")
MODES = ("user", "login", "root")
OUTCOMES = ("passed", "skipped", "failed")
INTRODUCTION = """# Hosts

What JailPy's default profile, `strict`, finds on which kernel and distribution. This page is made from what was measured
(`python -m tests.vm.hosts_page`); [the how-to](../how-to/run-the-virtual-machines.md) says how to measure again.

"yes" means: `strict` started with all its required layers, each read back from the kernel.
"""
WAYS_IN = """`user` is a delegated scope of the systemd user manager, `login` a login session (ssh, `su -`), `root` a system service. Attacks are those of
`jailpy selftest`, in the mode `user`: each was refused in the jail, and succeeded in its control outside of it.
"""
SUITE = """## The repository's tests

All that face the kernel (`tests/vm/guests.py` names the folders that do not), run in the guests. A skip has a reason that is listed in
`tests/vm/suite.toml`.
"""
SIMULATED = """## Broken on purpose

Guests of the table above, broken in one place each. `jailpy doctor` named the cause in one line, `jailpy exec` ended with 125 and the
same cause, and nothing was left. "script" means: root ran what `jailpy doctor --fix-script` printed, then `strict` started.
"advice" means: no command can do it here (a boot parameter, a package, a container's option), and doctor says what to do.
"""
NOT_MEASURED = """## Not measured

Expected from the documentation of each, and from the simulations above. But for the last row nobody has run JailPy there yet for this page.

| host | state | expected | why |
| --- | --- | --- | --- |
| Ubuntu 24.04 and later, ordinary user | not measured; simulated by an AppArmor profile without `userns` | starts after one step: the profile that `doctor` prints | `kernel.apparmor_restrict_unprivileged_userns = 1` takes the rights of a user namespace from programs without a profile; no Debian kernel has that switch |
| Ubuntu 22.04 with Python 3.11 | not measured | starts in a user session | kernel 5.15 has Landlock ABI 1: `strict` needs 2, so take the HWE kernel (6.8) |
| Fedora, Arch, openSUSE | not measured | starts in a user session | user namespaces and delegation are on by default; SELinux lets ordinary users make namespaces |
| RHEL 9 and 10 | not measured | 10 starts; 9 where its kernel has Landlock ABI 2 | kernel 5.14 with what Red Hat took over from later ones: `doctor` says which ABI it has |
| WSL 2 | not measured | starts, or after one step | some of its kernels have cgroup version 1 beside 2, which takes the folder that `doctor` names; Landlock acts where the kernel is built with it and `lsm=` names it (`.wslconfig`, `kernelCommandLine`) |
| GitHub Actions, hosted runner | not measured | starts with `sudo`; without it after the step of Ubuntu 24.04 | a virtual machine with Ubuntu; the runner is a service, so its user has no session of its own |
| Gradescope, and Docker with default options | not measured; simulated by a filter | `strict` is refused | Docker's filter forbids new namespaces and mounts, and `/proc` is masked; the weaker profiles are for this |
| Kubernetes pod, RuntimeDefault | not measured; simulated by a filter | `strict` is refused | as Docker; `hostUsers: false` with `procMount: Unmasked` is the way |
| aarch64, Debian 13, Linux 6.12 | not measured; tried by hand on 2026-11-29 in an emulated machine | starts as root and in a user session | `doctor` had all 13 layers; the 34 attacks of `selftest` and 73 of the 75 hostile programs (two attack x86-64 alone) were held; 391 tests of eleven files passed, of which 165 as uid 1000; 9 were skipped |
"""


def page(results: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    return "\n".join(
        [
            INTRODUCTION,
            "## Measured\n",
            *measured(results),
            "",
            WAYS_IN,
            SUITE,
            *suite(results),
            "",
            SIMULATED,
            *broken(results),
            "",
            *whole(),
            NOT_MEASURED,
        ]
    )


def measured(results: dict[str, Any]) -> list[str]:
    """Return the table of guests."""
    head = [
        "distribution",
        "kernel",
        "Landlock ABI",
        "systemd",
        "AppArmor",
        "Python",
        *(f"`{mode}`" for mode in MODES),
        "attacks",
        "measured",
    ]
    rows = [row(found) for _, found in sorted(results.items()) if any("facts" in found.get(mode, {}) for mode in MODES)]
    return table(head, rows)


def row(found: dict[str, Any]) -> list[str]:
    """Return the cells of one guest."""
    facts = next(found[mode]["facts"] for mode in MODES if "facts" in found.get(mode, {}))
    started = [starts(found.get(mode, {}).get("doctor")) for mode in MODES]
    attacks = found.get("user", {}).get("selftest")
    return [
        facts["distribution"],
        facts["kernel"],
        str(facts["landlock"]),
        str(facts["systemd"]),
        "on" if facts["apparmor"] else "off",
        facts["python"],
        *started,
        f"{attacks['attacks']} held" if attacks and attacks["held"] else "not measured",
        found.get("measured", ""),
    ]


def suite(results: dict[str, Any]) -> list[str]:
    """Return the table of the repository's own tests."""
    rows = [[name, f"`{mode}`", *outcomes(results.get(name, {}), mode)] for name in load_guests() for mode in ("user", "root")]
    return table(["guest", "as", "files of tests", *OUTCOMES], rows)


def outcomes(found: dict[str, Any], mode: str) -> list[str]:
    """Return the cells of one guest and account: how many of the files ran, outcomes, and the files with failures."""
    files = found.get(mode, {}).get("suite", {})
    if not files:
        return ["not measured", "", "", ""]
    counts = [str(sum(file[what] for file in files.values())) for what in OUTCOMES]
    failed = [f"`{name}`" for name, file in sorted(files.items()) if file["failed"]]
    return [f"{len(files)} of {found['files']}", *counts[:-1], " ".join([counts[-1], *failed])]


def starts(doctor: dict[str, Any] | None) -> str:
    """Say what doctor found of a way in."""
    if doctor is None:
        return "not measured"
    return "yes" if doctor["starts"] else doctor["conclusion"]


def broken(results: dict[str, Any]) -> list[str]:
    """Return the table of broken hosts. Those that nobody measured say so."""
    rows = []
    for case in BROKEN:
        on = [name for name, found in sorted(results.items()) if case.name in found.get("broken", {})]
        rows.append([case.name.replace("_", " "), case.cause, case.mend, ", ".join(on) or "not measured"])
    return table(["broken", "the cause that doctor names", "fix", "measured on"], rows)


def whole() -> list[str]:
    """Name the hosts that only look broken."""
    return [f"These do not keep `strict` from starting: {', '.join(sorted(WHOLE))}.", ""]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table as lines of Markdown."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def load() -> dict[str, Any]:
    """Read what was measured."""
    with open(RESULTS, encoding="utf-8") as file:
        return dict(json.load(file))


if __name__ == "__main__":
    sys.stdout.write(page(load()))
