"""The numbers and groups under profiles/syscalls hold together and agree with the kernel headers installed here."""

from __future__ import annotations

import errno
import os
import re

import pytest

from jailpy.layers import syscall_table
from jailpy.supervisor import violations

HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}
OF_OTHER_ARCHITECTURES = (
    "syscalls", "arch_specific_syscall", "sync_file_range2", "clock_gettime64", "clock_settime64", "clock_adjtime64",
    "timer_gettime64", "timer_settime64", "timerfd_gettime64", "timerfd_settime64",
)  # fmt: skip


@pytest.mark.parametrize("arch", syscall_table.ARCHITECTURES)
def test_numbers_agree_with_the_headers(table, arch):
    found = next((path for path in HEADERS[arch] if os.path.exists(path)), None)
    if found is None:
        pytest.skip("no kernel headers for this architecture")
    with open(found, encoding="utf-8") as file:
        defined = dict(re.findall(r"#define __NR_(\w+)\s+(\d+)\b", file.read()))
    for skip in OF_OTHER_ARCHITECTURES:
        defined.pop(skip, None)
    wrong = {name for name, number in defined.items() if name in table.numbers and table.number(name, arch) != int(number)}
    unknown = {name for name in defined if name not in table.numbers and not name.endswith("time64")}
    assert len(defined) > 250
    assert not wrong
    assert not unknown


@pytest.mark.parametrize("arch", syscall_table.ARCHITECTURES)
def test_numbers_are_unique(table, arch):
    numbers = [table.number(name, arch) for name in table.numbers if table.number(name, arch) >= 0]
    assert len(numbers) == len(set(numbers))
    assert len(table.names(arch)) == len(numbers)


def test_calls_from_424_on_have_one_number(table):
    pairs = [pair for pair in table.numbers.values() if max(pair) >= 424]
    assert len(pairs) == 48
    assert all(x86_64 == aarch64 for x86_64, aarch64 in pairs)


def test_every_call_is_in_a_group_with_its_reason(table):
    rules = [rule for group in table.groups.values() for rule in group.rules]
    assert {rule.call for rule in rules} == set(table.numbers)
    assert [rule for rule in rules if not rule.reason.endswith(".") or len(rule.reason) < 5] == []
    assert all(group.purpose.endswith(".") for group in table.groups.values())


def test_includes_exist_and_nothing_plain_is_listed_twice(table):
    for group in table.groups.values():
        assert set(group.includes) <= set(table.groups), group.name
        plain = [(rule.call, rule.rw) for rule in group.rules if rule.alternatives == syscall_table.ANY_CALL]
        assert len(plain) == len(set(plain)), group.name
    default = [(rule.call, rule.rw) for rule in table.rules("default") if rule.alternatives == syscall_table.ANY_CALL]
    assert len(default) == len(set(default))


def test_tests_can_hold(table):
    for group in table.groups.values():
        for rule in group.rules:
            assert rule.answer in ("", syscall_table.SUCCESS) or hasattr(errno, rule.answer)
            assert set(rule.exec) <= {"any", "system", "none"}
            for tests in rule.alternatives:
                assert len({argument for argument, _, _ in tests}) == len(tests), f"{rule.call}: an argument twice"
                assert all(0 <= argument < 6 and value & mask == value for argument, mask, value in tests), rule.call


def test_the_supervisor_knows_the_numbers_of_exec(table):
    for arch, numbers in violations.EXEC_CALLS.items():
        assert numbers == (table.number("execve", arch), table.number("execveat", arch))


def test_a_changed_file_changes_the_signature(tmp_path, monkeypatch):
    (tmp_path / "a.toml").write_text("x = 1\n")
    monkeypatch.setattr(syscall_table, "FOLDER", str(tmp_path))
    before = syscall_table.signature()
    assert syscall_table.signature() == before
    (tmp_path / "a.toml").write_text("x = 12\n")
    assert syscall_table.signature() != before
