"""docs/reference/syscalls.md is what the group files say."""

from __future__ import annotations

import os

from jailpy.layers import syscall_reference, syscall_table

PAGE = os.path.join(os.path.dirname(__file__), "../../../docs/reference/syscalls.md")


def test_the_page_is_up_to_date(table):
    with open(PAGE, encoding="utf-8") as file:
        assert file.read() == syscall_reference.page(table), "run: python -m jailpy.layers.syscall_reference"


def test_every_call_and_group_is_on_the_page(table):
    page = syscall_reference.page(table)
    assert all(f"`{name}`" in page for name in table.numbers)
    assert all(f" @{name}\n" in page for name in table.groups)


def test_conditions_are_said_in_words(table):
    words = {(rule.call, syscall_reference._when(rule)) for group in table.groups.values() for rule in group.rules}
    assert ("read", "always") in words
    assert ("clone3", "always answered ENOSYS") in words
    assert ("clone", "argument 0 & 0x7e020000 = 0") in words
    assert ("chmod", "argument 1 & 06000 = 0") in words
    assert ("openat", "no host folder is writable") in words
    assert ("fsync", "a host folder is writable") in words
    assert ("fsync", "answered success; no host folder is writable") in words
    assert ("memfd_create", "`filesystem.exec` is any; argument 1 & 4 = 0") in words
    assert ("prlimit64", "argument 0 = 0; argument 2 & 0xffffffffffffffff = 0") in words
    assert ("personality", "argument 0 of PER_LINUX, read") in words


def test_lists_of_values_have_a_name_each(table):
    for group in table.groups.values():
        for rule in group.rules:
            assert not rule.names or len(rule.names) == len(rule.alternatives), rule.call
            assert rule.alternatives != syscall_table.ANY_CALL or not rule.names
