"""Any policy, any call: the compiled program decides as the policy's words say. See tests/unit/seccomp/bpf.py."""

from __future__ import annotations

import functools

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jailpy.layers import seccomp_filter, syscall_table
from tests.unit.seccomp import bpf
from tests.unit.seccomp.test_filter import expected

ARCHITECTURES = syscall_table.ARCHITECTURES
GROUPS = sorted("@" + name for name in syscall_table.load().groups)
NAMES = sorted(syscall_table.load().numbers)
WORDS = st.integers(0, 0xFFFFFFFFFFFFFFFF)


def values():
    """Return the values that rules compare with: what random numbers alone would hardly ever hit."""
    table = syscall_table.load()
    rules = [rule for group in table.groups.values() for rule in group.rules]
    return sorted({value for rule in rules for tests in rule.alternatives for _, _, value in tests})


NEAR = st.builds(
    lambda value, high, bit: (value ^ bit) | high << 32,
    st.sampled_from(values()),
    st.sampled_from([0, 1, 0xFFFFFFFF]),
    st.sampled_from([0, 0, 0, 1, 2, 0o4000, 0x80000, 0x10000000]),
)
ARGS = st.lists(st.one_of(NEAR, WORDS), min_size=6, max_size=6)


@functools.cache
def made(allow, deny, violation, exec_mode, arch, rw):
    policy = seccomp_filter.policy(allow, deny, violation, exec_mode, arch, rw=rw)
    return policy, bpf.decode(seccomp_filter.compile_policy(policy))


@settings(max_examples=400, deadline=None, database=None)
@given(
    arch=st.sampled_from(ARCHITECTURES),
    profile=st.sampled_from([(), ("@unix",), ("@unix", "@inet"), ("@sandbox", "@debug"), ("ioctl", "clone3")]),
    violation=st.sampled_from(["errno", "record"]),
    exec_mode=st.sampled_from(["any", "system", "none"]),
    rw=st.booleans(),
    number=st.one_of(st.integers(0, 1023), st.integers(0, 0xFFFFFFFF)),
    args=ARGS,
)
def test_any_call_meets_what_the_policy_says(arch, profile, violation, exec_mode, rw, number, args):
    # made on x86-64 for another architecture, a program keeps libseccomp's check for x32
    assume(arch == "x86_64" or number < 0x40000000)
    policy, program = made(("@default", *profile), (), violation, exec_mode, arch, rw)
    assert bpf.run(program, arch, number, args) == expected(policy, number, args)


@settings(max_examples=400, deadline=None, database=None)
@given(
    arch=st.sampled_from(ARCHITECTURES),
    profile=st.sampled_from([(), ("@unix",), ("@unix", "@inet"), ("@sandbox", "@debug")]),
    name=st.sampled_from(sorted({
        rule.call for group in syscall_table.load().groups.values() for rule in group.rules if rule.alternatives != ((),)
    })),
    rw=st.booleans(),
    args=ARGS,
)  # fmt: skip
def test_calls_with_argument_rules_meet_what_the_policy_says(arch, profile, name, rw, args):
    policy, program = made(("@default", *profile), (), "errno", "system", arch, rw)
    number = syscall_table.load().number(name, arch)
    if number >= 0:
        assert bpf.run(program, arch, number, args) == expected(policy, number, args)


@settings(max_examples=25, deadline=None, database=None)
@given(
    allow=st.lists(st.sampled_from(GROUPS + NAMES), max_size=6),
    deny=st.lists(st.sampled_from([name for name in NAMES if name not in seccomp_filter.LAUNCH_NEEDS]), max_size=4),
    arch=st.sampled_from(ARCHITECTURES),
    args=ARGS,
)
def test_any_lists_compile_and_deny_beats_allow(allow, deny, arch, args):
    policy = seccomp_filter.policy(["@default", *allow], deny, arch=arch)
    program = bpf.decode(seccomp_filter.compile_policy(policy))
    table = syscall_table.load()
    for number in range(480):
        assert bpf.run(program, arch, number, args) == expected(policy, number, args)
    for name in deny:
        if table.number(name, arch) >= 0 and not (name == "prlimit64" and seccomp_filter.own_limit().fits(args)):
            assert bpf.run(program, arch, table.number(name, arch), args) == bpf.NOTIFY
