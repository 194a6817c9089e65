"""The system-call filter: a profile's names and groups become a policy, a policy becomes a BPF program. Parent side.

Whatever a policy does not allow is reported to the supervisor (SECCOMP_RET_USER_NOTIF), which refuses it, kills the run
or lets it pass. Three things are answered in the program itself: calls of foreign architectures kill the process, calls
that no table knows get ENOSYS, and the few that a group answers with a fixed errno, or with success, get that.

libseccomp writes the part that decides by name and argument. A short guard in front of it, written here, decides what
libseccomp cannot say: ranges of unknown numbers. Nothing in front of an allowed call without arguments reads memory, so
the kernel computes its answer once, when the filter is loaded, and afterwards looks it up in a bitmap.
"""

from __future__ import annotations

import itertools
import os
import resource
from errno import ENOSYS

from jailpy import cache
from jailpy.errors import HostError, ProfileError
from jailpy.frozen import Frozen
from jailpy.kernel import NUMBERS, files, seccomp
from jailpy.layers import syscall_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from jailpy.layers.syscall_table import Alternatives, Rule, Table

INIT_NEEDS = (  # beside close_range(2), which has the same number everywhere
    "close", "rt_sigtimedwait", "wait4", "kill", "write", "exit_group",
    "brk", "mmap", "munmap", "mremap", "madvise", "mprotect", "futex", "restart_syscall",
)  # fmt: skip
LAUNCH_NEEDS = ("read", "write", "close", "sendmsg", "execve", "exit_group", "mmap", "munmap", "brk")
_X32 = 0x40000000
_NOTIFY_API = 5
_BINARY_TREE = 2


class Decision(Frozen):
    """What happens to one call where `alternatives` fit: allowed (`errno` None), or answered with `errno`, 0 for success."""

    name: str
    number: int
    alternatives: Alternatives
    errno: int | None


class Policy(Frozen):
    """Every decision for one architecture; all else is reported. `record`: also what no table knows is reported."""

    arch: str
    decisions: tuple[Decision, ...]
    unknown: tuple[tuple[int, int], ...]
    record: bool


class Compiled(Frozen):
    """A program for `kernel.seccomp.load_filter`; `rules` is libseccomp's count, `note` names what made it."""

    program: bytes
    rules: int
    listener: bool
    note: str


_compiled: dict[str, Compiled] = {}


def compiled(
    allow: Iterable[str],
    deny: Iterable[str],
    violation: str = "errno",
    exec_mode: str = "system",
    arch: str = "",
    *,
    rw: bool = True,
    narrow: tuple[str, ...] = (),
) -> Compiled:
    """Return the program of a profile's lists: from memory, from the cache on disk, or made now and kept.

    On a hit neither the group files are parsed nor libseccomp is loaded. What was made by another libseccomp or
    pyseccomp than the one installed now is made again. `rw` and `narrow` as for `policy`. Raises ProfileError and HostError.
    """
    arch = arch or os.uname().machine
    lists = (sorted(set(allow)), sorted(set(deny)), violation == "record", exec_mode, arch, rw, narrow)
    key = cache.digest(repr((lists, syscall_table.signature())).encode())
    if key not in _compiled:
        _compiled[key] = _from_disk(key) or _make(key, policy(allow, deny, violation, exec_mode, arch, rw=rw, narrow=narrow))
    return _compiled[key]


def _from_disk(key: str) -> Compiled | None:
    found: Any = cache.load("filter", key)
    if found is None or any(cache.stamp(path) != stamp for path, stamp in found[0]):
        return None
    return Compiled(*found[1])


def _make(key: str, policy: Policy) -> Compiled:
    program = compile_policy(policy)
    libraries = _libraries()
    version = os.path.basename(libraries[-1]).removeprefix("libseccomp.so.")
    note = f"libseccomp {version}, {len(program) // 8} instructions{_done_nothing(policy)}"
    made = (program, rule_count(policy), True, note)
    cache.store("filter", key, ([(path, cache.stamp(path)) for path in libraries], made))
    return Compiled(*made)


def _done_nothing(policy: Policy) -> str:
    names = [decision.name for decision in policy.decisions if decision.errno == 0]
    return f"; answered with success, and not done: {', '.join(names)}" if names else ""


def _libraries() -> list[str]:
    """Return the files that make programs: this one, pyseccomp, and the libseccomp that this process has mapped."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        mapped = {line.split(maxsplit=5)[5].rstrip("\n") for line in maps if "/libseccomp.so" in line}
    return [__file__, str(_library().__file__), *sorted(mapped)]


def policy(
    allow: Iterable[str],
    deny: Iterable[str],
    violation: str = "errno",
    exec_mode: str = "system",
    arch: str = "",
    *,
    rw: bool = True,
    narrow: tuple[str, ...] = (),
) -> Policy:
    """Resolve names and @groups. `deny` beats `allow`, a plain name beats a group's answer with an errno.

    `rw` says that the payload may write to something of the host's: what it leaves there outlives the jail. `narrow` names
    groups whose rules replace those of the same calls, as far as these are allowed at all. Beside all this a process may
    lower its own limit of open files: the launch does it behind the filter.
    Raises ProfileError with every problem: unknown names (with near ones) and calls that the launch itself needs.
    """
    table = syscall_table.load()
    arch = arch or os.uname().machine
    allow, deny = tuple(allow), tuple(deny)
    problems = [*_unknown_names(table, "allow", allow), *_unknown_names(table, "deny", deny)]
    if problems:
        raise ProfileError("the profile's system calls cannot be used", problems)
    rules = [*_narrowed(table, _selected(table, allow, deny, exec_mode, rw=rw), narrow), own_limit()]
    missing = [name for name in LAUNCH_NEEDS if not any(rule.call == name and not rule.answer for rule in rules)]
    if missing and not (missing == ["execve"] and exec_mode == "none"):
        problem = f"seccomp.allow: the launch itself needs {', '.join(missing)}"
        raise ProfileError("the profile's system calls cannot be used", [problem])
    record = violation == "record"
    return Policy(arch, _decisions(table, rules, arch, record), () if record else _gaps(table, arch), record)


def _unknown_names(table: Table, key: str, names: Iterable[str]) -> list[str]:
    known = [*table.numbers, *("@" + group for group in table.groups)]
    unknown = [name for name in names if name not in known]
    return [f"seccomp.{key}: {name!r} is no system call or @group{_near(name, known)}" for name in unknown]


def _near(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, 3) or difflib.get_close_matches("@" + name, known, 1)
    return f"; near: {', '.join(near)}" if near else ""


def _selected(table: Table, allow: tuple[str, ...], deny: tuple[str, ...], exec_mode: str, *, rw: bool) -> list[Rule]:
    """Return the rules that a profile's lists select, without what `deny`, `exec_mode` or `rw` takes away."""
    named = [name for name in allow if not name.startswith("@")]
    groups = [name[1:] for name in allow if name.startswith("@")]
    denied = {name for name in deny if not name.startswith("@")}
    denied.update(rule.call for name in deny if name.startswith("@") for rule in table.rules(name[1:]))
    rules = [syscall_table.Rule(name, "named by the profile", syscall_table.ANY_CALL, "", (), (), None) for name in named]
    rules += [rule for group in groups for rule in table.rules(group)]
    rules = [rule for rule in rules if rule.rw in (None, rw)]
    return [rule for rule in rules if rule.call not in denied and (not rule.exec or exec_mode in rule.exec)]


def own_limit() -> Rule:
    """Return the rule that every policy has."""
    itself = ((0, syscall_table.LOW_HALF, 0), (1, syscall_table.LOW_HALF, resource.RLIMIT_NOFILE))
    return syscall_table.Rule("prlimit64", "of the launch itself", (itself,), "", (), (), None)


def _narrowed(table: Table, rules: list[Rule], groups: tuple[str, ...]) -> list[Rule]:
    """Replace the rules of each call that a group of `groups` speaks of."""
    for group in groups:
        instead = table.rules(group)
        calls, spoken_of = {rule.call for rule in rules}, {rule.call for rule in instead}
        rules = [rule for rule in rules if rule.call not in spoken_of] + [rule for rule in instead if rule.call in calls]
    return rules


def _decisions(table: Table, rules: list[Rule], arch: str, record: bool) -> tuple[Decision, ...]:
    """Merge the rules of each call: one decision for what is allowed, one for each errno."""
    merged: dict[tuple[str, str], list[tuple[syscall_table.Test, ...]]] = {}
    for rule in rules:
        answer = "" if record and rule.answer == syscall_table.SUCCESS else rule.answer
        if (answer and record) or table.number(rule.call, arch) < 0:
            continue
        merged.setdefault((rule.call, answer), []).extend(rule.alternatives)
    for (call, answer), alternatives in merged.items():
        allowed = merged.get((call, ""), ()) if answer else ()
        alternatives[:] = [tests for tests in alternatives if not any(_covers(wider, tests) for wider in allowed)]
    return tuple(
        Decision(call, table.number(call, arch), _without_repeats(alternatives), _errno(answer))
        for (call, answer), alternatives in sorted(merged.items())
        if alternatives
    )


def _covers(wider: tuple[syscall_table.Test, ...], narrower: tuple[syscall_table.Test, ...]) -> bool:
    """Tell whether every call that fits `narrower` also fits `wider`."""
    return all(
        any(arg == other and mask & bits == mask and held & mask == value for other, bits, held in narrower)
        for arg, mask, value in wider
    )


def _without_repeats(alternatives: list[tuple[syscall_table.Test, ...]]) -> Alternatives:
    """Drop alternatives that another one covers: libseccomp refuses a rule that says nothing new."""
    kept: list[tuple[syscall_table.Test, ...]] = []
    for tests in sorted(set(alternatives), key=lambda tests: (len(tests), tests)):
        if not any(_covers(other, tests) for other in kept):
            kept.append(tests)
    return tuple(kept)


def _errno(answer: str) -> int | None:
    import errno

    return None if not answer else 0 if answer == syscall_table.SUCCESS else int(getattr(errno, answer))


def _gaps(table: Table, arch: str) -> tuple[tuple[int, int], ...]:
    """Return the ranges of numbers, both ends included, that no name has; the last one has no end."""
    known = sorted(table.names(arch))
    inner = [(low + 1, high - 1) for low, high in itertools.pairwise(known) if high - low > 1]
    return (*inner, (known[-1] + 1, 0xFFFFFFFF))


def compile_policy(policy: Policy) -> bytes:
    """Return the BPF program of a policy. Raises HostError where pyseccomp or libseccomp is missing or too old."""
    return _guard(policy) + _export(policy)


def rule_count(policy: Policy) -> int:
    """Return how many rules libseccomp gets: one for each alternative of each decision."""
    return sum(len(decision.alternatives) for decision in policy.decisions)


def _guard(policy: Policy) -> bytes:
    """Return the instructions in front: architecture, x32, numbers that nothing is known about. See seccomp(2)."""
    load, equal, at_least, above, answer = 0x20, 0x15, 0x35, 0x25, 0x06
    enosys = (answer, 0, 0, seccomp.RET_ERRNO | ENOSYS)
    kill = (answer, 0, 0, seccomp.RET_KILL_PROCESS)
    code = [(load, 0, 0, 4), (equal, 1, 0, seccomp.AUDIT_ARCH[policy.arch]), kill, (load, 0, 0, 0)]
    if policy.arch == "x86_64":
        # -1 is what syscall(-1) and a tracer's "skip this call" look like; every other number up here is x32.
        code += [(at_least, 0, 2, _X32), (equal, 1, 0, 0xFFFFFFFF), kill]
    for low, high in policy.unknown:
        code += [(at_least, 0, 2, low), (above, 1, 0, high), enosys]
    return b"".join(_instruction(*parts) for parts in code)


def init_program(arch: str) -> bytes:
    """Return the program that leaves init what it needs once the payload is there, and kills it for anything else.

    It is the same for every profile, and is written here: loading libseccomp for it alone would nearly double a cold launch.
    """
    load, equal, answer = 0x20, 0x15, 0x06
    kill, allow = (answer, 0, 0, seccomp.RET_KILL_PROCESS), (answer, 0, 0, seccomp.RET_ALLOW)
    numbers = [files.CLOSE_RANGE, *(NUMBERS[name] for name in INIT_NEEDS)]
    code = [(load, 0, 0, 4), (equal, 1, 0, seccomp.AUDIT_ARCH[arch]), kill, (load, 0, 0, 0)]
    code += [(equal, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    return b"".join(_instruction(*parts) for parts in (*code, kill, allow))


def _instruction(code: int, true: int, false: int, value: int) -> bytes:
    import sys

    return code.to_bytes(2, sys.byteorder) + bytes((true, false)) + value.to_bytes(4, sys.byteorder)


def _export(policy: Policy) -> bytes:
    """Let libseccomp write the part that decides by name and argument."""
    pyseccomp = _library()
    try:
        pyseccomp.set_api(_NOTIFY_API)
        native = pyseccomp.system_arch()
        building = pyseccomp.SyscallFilter(seccomp.RET_USER_NOTIF)
        building.set_attr(pyseccomp.Attr.ACT_BADARCH, seccomp.RET_KILL_PROCESS)
        building.set_attr(pyseccomp.Attr.CTL_OPTIMIZE, _BINARY_TREE)
        for decision in policy.decisions:
            _add(pyseccomp, building, decision)
        return _for_architecture(_exported(building), native, seccomp.AUDIT_ARCH[policy.arch])
    except (OSError, NotImplementedError) as error:
        hints = ["libseccomp 2.5.0 or newer is needed"]
        raise HostError(f"libseccomp cannot make the filter: {error}", hints=hints) from error


def _library() -> Any:
    try:
        import pyseccomp
    except ImportError as error:
        raise HostError("pyseccomp is missing: no filter can be made", hints=["pip install pyseccomp"]) from error
    except RuntimeError as error:
        hints = ["install libseccomp: apt install libseccomp2, dnf install libseccomp, apk add libseccomp"]
        raise HostError("libseccomp.so.2 is missing: no filter can be made", hints=hints) from error
    return pyseccomp


def _add(pyseccomp: Any, building: Any, decision: Decision) -> None:
    action = seccomp.RET_ALLOW if decision.errno is None else seccomp.RET_ERRNO | decision.errno
    for tests in decision.alternatives:
        args = [pyseccomp.Arg(arg, pyseccomp.MASKED_EQ, mask, value) for arg, mask, value in tests]
        building.add_rule_exactly(action, decision.number, *args)


def _exported(building: Any) -> bytes:
    with open(os.memfd_create("filter", os.MFD_CLOEXEC), "r+b") as file:
        building.export_bpf(file)
        file.seek(0)
        return file.read()


def _for_architecture(program: bytes, native: int, wanted: int) -> bytes:
    """Make a program compare with another architecture; the numbers in it are that one's already."""
    if native == wanted:
        return program
    return program.replace(_instruction(0x15, 0, 0, native)[4:], _instruction(0x15, 0, 0, wanted)[4:], 1)
