"""Denied system calls: answers each notification of a jail's filter and keeps a bounded record. The supervisor's side.

It looks at numbers and registers only, never at the payload's memory: a pointer's target can change after the look.
Every failure here ends the run. When this descriptor is closed, the kernel itself answers ENOSYS.
"""

from __future__ import annotations

import errno
import os
import select

from jailpy.kernel import seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jailpy.kernel.seccomp import Notification
    from jailpy.layers.syscall_table import Table

EXEC_CALLS = {"x86_64": (59, 322), "aarch64": (221, 281)}  # execve, execveat
MOST_NAMES = 128
MOST_VARIANTS = 4
_SHOWN_ARGUMENTS = 3


class Violations:
    """Answers and records the calls that a filter reports; owns the listener's descriptor until `close`.

    `mode` is the profile's `seccomp.violation`: "errno" (EPERM), "kill" (no answer: the run dies first) or "record"
    (the call is let through). With `exec_mode` "none", the first `launches` calls of execve are the launch's own and pass
    until `started` is called, or the set-up channel (a descriptor) has something to say: the kernel ends it within a
    successful execve, before the payload's first instruction, so no second one can be taken for the launch's own.
    """

    def __init__(
        self,
        descriptor: int,
        mode: str,
        exec_mode: str = "system",
        deny: Iterable[str] = (),
        launches: int = 1,
        channel: int = -1,
    ) -> None:
        self.descriptor = descriptor
        self.total = 0
        self.failure = ""
        self.by_name: tuple[str, ...] = ()
        self._mode = mode
        self._exec_mode = exec_mode
        self._deny = tuple(deny)
        self._launches = launches if exec_mode == "none" else 0
        self._channel = channel
        self._seen: dict[tuple[str, int], dict[tuple[int, ...], int]] = {}

    def fileno(self) -> int:
        """Return the listener's descriptor, for poll(2): readable where a call waits, hung up with the jail gone."""
        return self.descriptor

    def started(self) -> None:
        """Let no further execve pass as part of the launch. Call it before the set-up channel's descriptor is closed."""
        self._launches = 0

    def handle(self) -> bool:
        """Answer one waiting call. True where the run must be killed now, for a violation or for `failure`."""
        try:
            notification = seccomp.receive(self.descriptor)
            return notification is not None and self._answer(notification)
        except OSError as error:
            self.failure = f"the supervisor could not answer a system call: {error.strerror}"
            return True

    def close(self) -> None:
        """Close the listener; a call that still waits is answered ENOSYS by the kernel."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def report(self) -> list[dict[str, object]]:
        """Return the denied calls for the JSON report, the most frequent first. Only here are names looked up."""
        if not self._seen:
            return []
        from jailpy.layers import syscall_table

        table = syscall_table.load()
        merged: dict[tuple[str, str | None], tuple[list[int], int]] = {}
        for (arch, number), variants in self._seen.items():
            name = table.names(arch).get(number, "") if arch in EXEC_CALLS else ""
            for args, count in variants.items():
                hint = allow_with(table, name, args, self._exec_mode, self._deny, self.by_name)
                key = name or f"system call {number}", hint
                first, before = merged.get(key, (list(args[: _arguments(table, name)]), 0))
                merged[key] = first, before + count
        ordered = sorted(merged.items(), key=lambda item: -item[1][1])
        return [
            {"layer": "seccomp", "what": what, "args": args, "count": count, "allow_with": hint}
            for (what, hint), (args, count) in ordered
        ]

    def _answer(self, notification: Notification) -> bool:
        arch = seccomp.ARCH_NAMES.get(notification.arch, hex(notification.arch))
        if self._launching() and notification.number in EXEC_CALLS.get(arch, ()):
            self._launches -= 1
            seccomp.let_through(self.descriptor, notification.id)
            return False
        self._record(arch, notification)
        if self._mode == "record":
            seccomp.let_through(self.descriptor, notification.id)
        elif self._mode == "errno":
            seccomp.respond(self.descriptor, notification.id, errno.EPERM)
        return self._mode not in ("record", "errno")

    def _launching(self) -> bool:
        """Tell whether an execve can still be the launch's own. Asked once the notification is in hand, not before."""
        if not self._launches or self._channel < 0:
            return self._launches > 0
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        return not poll.poll(0)

    def _record(self, arch: str, notification: Notification) -> None:
        """Count a call: `MOST_NAMES` calls with `MOST_VARIANTS` sets of arguments each, the rest in `total`."""
        self.total += 1
        key = arch, notification.number
        if key not in self._seen and len(self._seen) >= MOST_NAMES:
            return
        variants = self._seen.setdefault(key, {})
        args = notification.args
        if args not in variants and len(variants) >= MOST_VARIANTS:
            args = next(iter(variants))
        variants[args] = variants.get(args, 0) + 1


def allow_with(
    table: Table, name: str, args: Sequence[int], exec_mode: str, deny: Sequence[str], by_name: Sequence[str] = ()
) -> str | None:
    """Return the line of a profile that would allow a denied call; None where no line should.

    That is so for numbers without a name, and for calls that programs do without because the filter says ENOSYS.
    `by_name` are calls that this run denies unless the profile names them.
    """
    if name in by_name:
        return f'[seccomp] allow = ["{name}"]'
    if not name or any(rule.call == name and rule.answer == "ENOSYS" for rule in table.rules("default")):
        return None
    denied = [entry for entry in deny if entry == name or (entry[:1] == "@" and _has(table, entry[1:], name))]
    if denied:
        return f'[seccomp] deny = ["!{denied[0]}"]'
    fitting = [
        (group, rule)
        for group in sorted(table.groups.values(), key=lambda group: len(group.rules))
        for rule in group.rules
        if rule.call == name and not rule.answer and rule.rw is not False and rule.fits(args)
    ]
    for group, rule in fitting:
        if rule.exec and exec_mode not in rule.exec:
            return f'[filesystem] exec = "{rule.exec[-1]}"'
        if group.hint:
            return group.hint
    return f'[seccomp] allow = ["{name}"]'


def _has(table: Table, group: str, name: str) -> bool:
    return any(rule.call == name for rule in table.rules(group))


def _arguments(table: Table, name: str) -> int:
    """Return how many arguments are worth showing: those that a rule looks at, and three at least."""
    rules = [rule for group in table.groups.values() for rule in group.rules if rule.call == name]
    tested = [argument + 1 for rule in rules for tests in rule.alternatives for argument, _, _ in tests]
    return max([_SHOWN_ARGUMENTS, *tested])
