"""Writes docs/reference/syscalls.md from profiles/syscalls: `python -m jailpy.layers.syscall_reference > FILE`."""

from __future__ import annotations

import sys

from jailpy.layers import syscall_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jailpy.layers.syscall_table import Group, Rule, Table, Test

_HEAD = """# System calls

Generated from `jailpy/profiles/syscalls/` by `python -m jailpy.layers.syscall_reference`; do not edit.

`[seccomp] allow` and `deny` of a profile take names of system calls and of the groups below, as `"@name"`. `deny` beats
`allow`. A plain name allows the call with every argument; a group may look at them. What is not allowed fails with EPERM
and is recorded (or ends the run with `violation = "kill"`); what no table knows fails with ENOSYS; calls of other
architectures and of x32 kill the process. A call that is answered `success` returns 0, and the kernel never sees it.

A host folder is writable where `filesystem.rw` shows one, or where a descriptor was passed on (`pass_fds`) by which files of
the host can be written: one of a file that is not open for reading only.

Arguments count from 0. `argument 1 of A, B` means that argument 1 is one of these; `argument 2 & 06000 = 0` that none of
these bits is set. Compared are the low 32 bits, which are all that the kernel looks at.
"""


def page(table: Table) -> str:
    """Return the page: what `@default` includes, then the groups that a profile has to name."""
    included = table.groups["default"].includes
    others = sorted(name for name in table.groups if name not in included and name != "default")
    parts = [_HEAD, f"## @default\n\n{table.groups['default'].purpose}\n"]
    parts += [_section(table.groups[name], "###") for name in included]
    parts.append("## Groups outside @default\n")
    parts += [_section(table.groups[name], "###") for name in others]
    return "\n".join(parts)


def _section(group: Group, level: str) -> str:
    rows = "".join(f"| `{rule.call}` | {_when(rule)} | {rule.reason} |\n" for rule in group.rules)
    return f"{level} @{group.name}\n\n{group.purpose}\n\n| call | when | why |\n|---|---|---|\n{rows}"


def _when(rule: Rule) -> str:
    always = "always " if not rule.alternatives[0] and rule.rw is None else ""
    words = [f"{always}answered {rule.answer}"] if rule.answer else []
    words += [] if rule.rw is None else ["a host folder is writable" if rule.rw else "no host folder is writable"]
    words += [f"`filesystem.exec` is {' or '.join(rule.exec)}"] if rule.exec else []
    words += _tests(rule)
    return "; ".join(words) or "always"


def _tests(rule: Rule) -> list[str]:
    """Say each argument's test once; where a list of values was given, by the names of the values."""
    words = []
    for position, (argument, mask, _) in enumerate(rule.alternatives[0]):
        values = list(dict.fromkeys(tests[position][2] for tests in rule.alternatives))
        if len(values) > 1:
            words.append(f"argument {argument}{_mask(mask)} of {', '.join(rule.names)}")
        else:
            words.append(_single(rule.alternatives[0][position]))
    return words


def _single(test: Test) -> str:
    argument, mask, value = test
    return f"argument {argument}{_mask(mask)} = {_number(value)}"


def _mask(mask: int) -> str:
    return "" if mask == syscall_table.LOW_HALF else f" & {_number(mask)}"


def _number(value: int) -> str:
    """Write bits of modes in octal, as chmod(1) does, other bits in hexadecimal, small numbers in decimal."""
    if value in (0o6000, 0o176000):
        return f"0{value:o}"
    return str(value) if value < 64 else hex(value)


if __name__ == "__main__":
    sys.stdout.write(page(syscall_table.load()))
