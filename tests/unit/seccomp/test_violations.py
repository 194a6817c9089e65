"""The supervisor's record of denied calls: bounds, answers per mode, failing closed, hints. No kernel."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys

import pytest

from jailpy.kernel import seccomp
from jailpy.layers import syscall_table
from jailpy.supervisor import violations
from jailpy.supervisor.violations import MOST_NAMES, MOST_VARIANTS, Violations, allow_with

X86_64 = seccomp.AUDIT_ARCH["x86_64"]


class Kernel:
    """Stands in for the listener: hands out notifications, keeps the answers."""

    def __init__(self, monkeypatch):
        self.waiting, self.answers = [], []
        monkeypatch.setattr(seccomp, "receive", lambda _: self.waiting.pop(0))
        monkeypatch.setattr(seccomp, "respond", lambda _, cookie, error: self.answers.append((cookie, error)) or True)
        monkeypatch.setattr(seccomp, "let_through", lambda _, cookie: self.answers.append((cookie, 0)) or True)

    def ask(self, record, name, *args, arch=X86_64):
        number = name if isinstance(name, int) else syscall_table.load().number(name, "x86_64")
        args = (*args, 0, 0, 0, 0, 0, 0)[:6]
        self.waiting.append(seccomp.Notification(len(self.answers) + 1, 7, arch, number, args))
        return record.handle()


@pytest.fixture
def kernel(monkeypatch):
    return Kernel(monkeypatch)


def test_errno_refuses_and_counts(kernel):
    record = Violations(9, "errno")
    assert [kernel.ask(record, "ptrace", 16, 1), kernel.ask(record, "ptrace", 16, 1), kernel.ask(record, "mount")] == [
        False
    ] * 3
    assert [error for _, error in kernel.answers] == [errno.EPERM] * 3
    assert record.total == 3
    assert record.report()[0] == {
        "layer": "seccomp", "what": "ptrace", "args": [16, 1, 0], "count": 2, "allow_with": '[seccomp] allow = ["ptrace"]',
    }  # fmt: skip


def test_kill_gives_no_answer(kernel):
    record = Violations(9, "kill")
    assert kernel.ask(record, "ptrace") is True
    assert kernel.answers == []
    assert record.failure == ""
    assert record.report()[0]["what"] == "ptrace"


def test_record_lets_through(kernel):
    record = Violations(9, "record")
    assert kernel.ask(record, "ptrace") is False
    assert kernel.answers == [(1, 0)]
    assert record.total == 1


def test_an_unknown_mode_never_lets_through(kernel):
    assert kernel.ask(Violations(9, "surprise"), "ptrace") is True
    assert kernel.answers == []


def test_a_caller_that_died_is_nothing(kernel):
    record = Violations(9, "kill")
    kernel.waiting.append(None)
    assert record.handle() is False
    assert (record.total, record.report()) == (0, [])


@pytest.mark.parametrize("function", ["receive", "respond"])
def test_every_failure_ends_the_run(kernel, monkeypatch, function):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(seccomp, function, fail)
    record = Violations(9, "errno")
    assert kernel.ask(record, "ptrace") is True
    assert record.failure == "the supervisor could not answer a system call: Input/output error"


@pytest.mark.parametrize("mode", ["errno", "kill"])
def test_the_launchs_own_execve_passes_once(kernel, mode):
    record = Violations(9, mode, "none")
    assert kernel.ask(record, "execve") is False
    assert kernel.answers == [(1, 0)]
    assert record.total == 0
    assert kernel.ask(record, "execve") is (mode == "kill")
    assert (2, 0) not in kernel.answers
    assert record.report()[0]["allow_with"] == '[filesystem] exec = "system"'


def test_started_closes_the_door(kernel):
    record = Violations(9, "errno", "none", launches=5)
    kernel.ask(record, "execve")
    record.started()
    kernel.ask(record, "execve")
    assert [error for _, error in kernel.answers] == [0, errno.EPERM]


@pytest.mark.parametrize("end", [lambda other: other.close(), lambda other: other.send(b"F")])
def test_the_set_up_channel_closes_the_door_by_itself(kernel, end):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        record = Violations(9, "errno", "none", launches=5, channel=ours.fileno())
        kernel.ask(record, "execve")
        end(theirs)
        kernel.ask(record, "execve")
    assert [error for _, error in kernel.answers] == [0, errno.EPERM]


def test_without_exec_none_no_execve_passes_unrecorded(kernel):
    record = Violations(9, "errno", "system", deny=["execveat"])
    kernel.ask(record, "execveat")
    assert kernel.answers == [(1, errno.EPERM)]
    assert record.report()[0]["allow_with"] == '[seccomp] deny = ["!execveat"]'


def test_the_record_is_bounded_and_the_count_is_not(kernel):
    record = Violations(9, "errno")
    for number in range(400):
        for argument in range(20):
            kernel.ask(record, number, argument)
    assert record.total == 8000
    assert len(record._seen) == MOST_NAMES
    assert max(len(variants) for variants in record._seen.values()) == MOST_VARIANTS
    assert all(sum(variants.values()) == 20 for variants in record._seen.values())


def test_numbers_without_a_name_and_foreign_architectures_are_said_as_such(kernel):
    record = Violations(9, "record")
    kernel.ask(record, 1000)
    kernel.ask(record, 1, arch=0x12345678)
    assert {entry["what"]: entry["allow_with"] for entry in record.report()} == {
        "system call 1000": None,
        "system call 1": None,
    }


@pytest.mark.parametrize(("name", "args", "line"), [
    ("ptrace", [16], '[seccomp] allow = ["ptrace"]'),
    ("socket", [1, 0x80001, 0], '[seccomp] allow = ["@unix"]'),
    ("socket", [2, 1, 0], '[network] mode = "loopback"'),
    ("socket", [10, 0x80002, 0], '[network] mode = "loopback"'),
    ("socket", [40, 1, 0], '[seccomp] allow = ["socket"]'),
    ("socketpair", [1, 2, 0], '[seccomp] allow = ["@unix"]'),
    ("bind", [3, 0, 0], '[seccomp] allow = ["@unix"]'),
    ("inotify_init1", [0], '[seccomp] allow = ["@watch"]'),
    ("msgget", [0], '[seccomp] allow = ["@sysv-ipc"]'),
    ("seccomp", [1, 0], '[seccomp] allow = ["@sandbox"]'),
    ("seccomp", [1, 8], '[seccomp] allow = ["seccomp"]'),
    ("memfd_create", [0, 0], '[filesystem] exec = "any"'),
    ("openat", [0, 0, 0o101, 0o4755], '[seccomp] allow = ["openat"]'),
    ("execve", [0], '[filesystem] exec = "system"'),
    ("clone3", [0], None),
    ("io_uring_setup", [0], None),
    ("clone", [0x10000000], '[seccomp] allow = ["clone"]'),
])  # fmt: skip
def test_the_hint_names_what_would_allow_the_call(name, args, line):
    exec_mode = "none" if name == "execve" else "system"
    assert allow_with(syscall_table.load(), name, [*args, 0, 0, 0, 0, 0][:6], exec_mode, ()) == line


def test_arguments_shown_reach_as_far_as_the_rules_look(kernel):
    record = Violations(9, "errno")
    kernel.ask(record, "openat", 1, 2, 0o101, 0o4755, 5, 6)
    assert record.report()[0]["args"] == [1, 2, 0o101, 0o4755]


def test_denied_by_group_names_the_group():
    assert allow_with(syscall_table.load(), "ioctl", [0] * 6, "system", ["@terminal"]) == '[seccomp] deny = ["!@terminal"]'


def test_close_is_once_only():
    read, write = os.pipe()
    os.close(write)
    record = Violations(read, "errno")
    assert record.fileno() == read
    record.close()
    record.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(read)


def test_importing_it_loads_no_table():
    code = "import sys, jailpy.supervisor.violations; print('jailpy.layers.syscall_table' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=-1, check=True).stdout == b"False\n"
    assert violations.MOST_NAMES * violations.MOST_VARIANTS < 1024
