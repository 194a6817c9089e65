"""Compiled programs, simulated: they decide as the policy says, for every number, on both architectures."""

from __future__ import annotations

import json
import os
import resource
import sys

import pytest

from jailpy import kernel
from jailpy.errors import HostError, ProfileError
from jailpy.kernel import files
from jailpy.layers import seccomp_filter, syscall_table
from tests.unit.seccomp import bpf

ARCHITECTURES = syscall_table.ARCHITECTURES
OPT_IN = ("@unix", "@inet", "@sandbox", "@debug", "@namespaces")
HOT = (
    "read", "write", "pread64", "pwrite64", "readv", "writev", "lseek", "close", "fstat", "newfstatat", "stat", "statx",
    "mmap", "munmap", "brk", "futex", "getpid", "getppid", "gettid", "clock_gettime", "sched_yield",
    "rt_sigprocmask", "rt_sigaction", "rt_sigreturn", "epoll_wait", "epoll_pwait", "poll", "wait4", "pipe2", "dup2", "getdents64", "access", "readlink", "unlink", "getrandom",
)  # fmt: skip


def compiled(*allow, deny=(), violation="errno", exec_mode="system", arch="x86_64"):
    policy = seccomp_filter.policy(allow or ("@default",), deny, violation, exec_mode, arch)
    return bpf.decode(seccomp_filter.compile_policy(policy))


def expected(policy, number, args):
    """Say by the policy alone what a call meets."""
    if policy.arch == "x86_64" and number >= 0x40000000 and number != 0xFFFFFFFF:
        return bpf.KILL
    if any(low <= number <= high for low, high in policy.unknown):
        return bpf.ENOSYS
    for decision in policy.decisions:
        if decision.number == number and any(
            all(args[argument] & mask == value for argument, mask, value in tests) for tests in decision.alternatives
        ):
            return bpf.ALLOW if decision.errno is None else bpf.ERRNO | decision.errno
    return bpf.NOTIFY


def matching(tests, filler=0):
    """Return arguments for which the tests hold; every bit that no test looks at comes from `filler`."""
    args = [filler] * 6
    for argument, mask, value in tests:
        args[argument] = (filler & ~mask | value) & 0xFFFFFFFFFFFFFFFF
    return args


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_numbers_of_calls_that_are_made_here(arch):
    table = syscall_table.load()
    assert dict(zip(kernel._NAMES, kernel._BY_ARCH[arch], strict=True)) == {
        name: table.number(name, arch) for name in kernel._NAMES
    }
    assert table.number("close_range", arch) == files.CLOSE_RANGE


def test_init_is_left_what_it_needs_and_killed_for_all_else():
    own, (foreign,) = kernel.ARCH, {*ARCHITECTURES} - {kernel.ARCH}
    program = bpf.decode(seccomp_filter.init_program(own))
    needs = {kernel.NUMBERS[name] for name in seccomp_filter.INIT_NEEDS} | {files.CLOSE_RANGE}
    numbers = [*range(1024), 0xFFFFFFFF, *(number | 0x40000000 for number in needs)]
    assert {number for number in numbers if bpf.run(program, own, number) == bpf.ALLOW} == needs
    assert {bpf.run(program, own, number) for number in numbers if number not in needs} == {bpf.KILL}
    assert {bpf.run(program, foreign, number) for number in numbers} == {bpf.KILL}
    assert all(bpf.in_bitmap(program, own, number) for number in needs)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("filler", [0, 0xFFFFFFFFFFFFFFFF, 0xDEADBEEF00000000])
@pytest.mark.parametrize("rw", [True, False])
def test_every_number_meets_what_the_policy_says(arch, filler, rw):
    policy = seccomp_filter.policy(["@default"], [], arch=arch, rw=rw)
    program = bpf.decode(seccomp_filter.compile_policy(policy))
    answers = {number: bpf.run(program, arch, number, [filler] * 6) for number in range(1024)}
    assert answers == {number: expected(policy, number, [filler] * 6) for number in range(1024)}
    assert {bpf.ALLOW, bpf.NOTIFY, bpf.ENOSYS} <= set(answers.values())


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_rule_of_every_group_allows_its_call_and_not_an_altered_one(table, arch):
    checked = 0
    for group in table.groups.values():
        policy = seccomp_filter.policy(
            ["@io", "@execution", "@memory", "@socketpairs", "@processes", f"@{group.name}"], [], arch=arch
        )
        program = bpf.decode(seccomp_filter.compile_policy(policy))
        for rule in table.rules(group.name):
            number = table.number(rule.call, arch)
            if number < 0 or (rule.exec and "system" not in rule.exec):
                continue
            for tests in rule.alternatives:
                for filler in (0, 0xFFFFFFFFFFFFFFFF):
                    args = matching(tests, filler)
                    assert bpf.run(program, arch, number, args) == expected(policy, number, args), (rule.call, args)
                for argument, mask, _ in tests:
                    altered = matching(tests)
                    altered[argument] ^= mask & -mask
                    assert bpf.run(program, arch, number, altered) == expected(policy, number, altered), rule.call
                    checked += 1
    assert checked > 300


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("rw", [True, False])
def test_a_conditional_rule_is_more_than_words(table, arch, rw):
    """Of every syscall with conditions in @default, some call passes and some other does not."""
    policy = seccomp_filter.policy(["@default"], [], arch=arch, rw=rw)
    program = bpf.decode(seccomp_filter.compile_policy(policy))
    conditional = [decision for decision in policy.decisions if decision.alternatives != syscall_table.ANY_CALL]
    for decision in conditional:
        altered = [
            [arg ^ mask if position == argument else arg for position, arg in enumerate(matching(tests))]
            for tests in decision.alternatives
            for argument, mask, _ in tests
        ]
        altered += [[0xFFFFFFFFFFFFFFFF] * 6, [0x5555555555555555] * 6]
        answers = {bpf.run(program, arch, decision.number, args) for args in altered}
        wanted = bpf.ALLOW if decision.errno is None else bpf.ERRNO | decision.errno
        assert answers - {wanted}, decision.name
        assert bpf.run(program, arch, decision.number, matching(decision.alternatives[0])) == wanted, decision.name
    assert len(conditional) > 15


@pytest.mark.parametrize(("name", "args"), [
    ("ioctl", [0, 0x5412]), ("ioctl", [0, 0x5412 + (1 << 32)]), ("ioctl", [0, 0x541C]), ("ioctl", [0, 0x541C + (1 << 40)]),
    ("clone", [0x10000000]), ("clone", [0x02000000 | 17]), ("clone", [0x40000000 | 0x7D0F00]),
    ("personality", [0x0400000]), ("personality", [0x0040000]), ("prctl", [35]), ("prctl", [22]), ("seccomp", [1, 8]),
    ("socket", [1, 0x80001, 0]), ("socket", [2, 1, 0]), ("socket", [38, 5, 0]), ("socket", [40, 1, 0]), ("socket", [16, 3, 0]),
    ("socket", [1 | 1 << 32, 0x80001, 0]), ("socketpair", [1, 2]), ("socketpair", [30, 1]), ("memfd_create", [0, 0]),
    ("chmod", [0, 0o4755]), ("fchmod", [3, 0o2755]), ("fchmodat", [0, 0, 0o6755]), ("fchmodat2", [0, 0, 0o4000, 0]),
    ("openat", [0, 0, 0o101, 0o4755]), ("open", [0, 0o101, 0o2644]), ("openat", [0, 0, 0o20200000, 0o4755]),
    ("creat", [0, 0o4755]), ("mkdir", [0, 0o2755]), ("mkdirat", [0, 0, 0o2755]), ("mknod", [0, 0o020666]),
    ("mknodat", [0, 0, 0o060666]), ("mknodat", [0, 0, 0o104644]), ("fcntl", [0, 1024]), ("fcntl", [0, 1026]),
    ("prlimit64", [1, 0]), ("prlimit64", [0, 4, 1]), ("prlimit64", [0, 4, 1 << 32]), ("setrlimit", [4, 1]), ("setsockopt", [0, 1, 26]), ("setsockopt", [0, 6, 31]),
    ("ptrace", [16, 1]), ("process_vm_writev", []), ("pidfd_getfd", []), ("kcmp", []), ("userfaultfd", []),
    ("perf_event_open", []), ("bpf", []), ("keyctl", []), ("add_key", []), ("request_key", []), ("mount", []), ("umount2", []),
    ("unshare", [0x10000000]), ("setns", []), ("pivot_root", []), ("chroot", []), ("open_by_handle_at", []),
    ("name_to_handle_at", []), ("quotactl", []), ("swapon", []), ("acct", []), ("reboot", []), ("kexec_load", []),
    ("init_module", []), ("finit_module", []), ("settimeofday", []), ("clock_settime", []), ("adjtimex", []),
    ("sethostname", []), ("syslog", []), ("iopl", []), ("ioperm", []), ("modify_ldt", []), ("mincore", []), ("cachestat", []),
    ("io_setup", []), ("msgget", []), ("shmget", []), ("semget", []), ("mq_open", []), ("inotify_init1", []), ("sync", []),
    ("sendto", [0, 0, 0, 0x4001]), ("sendmsg", [0, 0, 1]),
    ("recvfrom", [0, 0, 0, 1]), ("recvmsg", [0, 0, 1]), ("sendmmsg", [0, 0, 0, 1]), ("recvmmsg", [0, 0, 0, 1]), ("connect", []), ("bind", []), ("vmsplice", []), ("memfd_secret", []),
])  # fmt: skip
def test_strict_reports(table, name, args):
    for arch in ARCHITECTURES:
        number = table.number(name, arch)
        if number >= 0:
            assert bpf.run(compiled(arch=arch), arch, number, args) == bpf.NOTIFY


@pytest.mark.parametrize("name", ["clone3", "openat2", "io_uring_setup", "io_uring_enter", "io_uring_register", "statmount",
                                  "listmount", "setxattrat", "file_setattr", "open_tree_attr", "listns"])  # fmt: skip
def test_strict_answers_enosys(table, name):
    for arch in ARCHITECTURES:
        assert bpf.run(compiled(arch=arch), arch, table.number(name, arch), [1] * 6) == bpf.ENOSYS


@pytest.mark.parametrize(("name", "args"), [
    ("ioctl", [0, 0x5401]), ("ioctl", [0, 0x5413]), ("ioctl", [0, 0x5401 + (1 << 32)]), ("clone", [0x1200011]),
    ("clone", [0x3D0F00]), ("personality", [0xFFFFFFFF]), ("personality", [0xFFFFFFFFFFFFFFFF]), ("prctl", [15]),
    ("socketpair", [1, 0x80801]), ("socketpair", [1, 5]), ("memfd_create", [0, 9]), ("openat", [0, 0, 0o101, 0o666]),
    ("openat", [0, 0, 0o2000000, 0xFFFFFFFFFFFFFFFF]), ("open", [0, 0, 0o7777]), ("mknodat", [0, 0, 0o010644]),
    ("fcntl", [0, 3]), ("fcntl", [0, 1030]), ("fcntl", [0, 37]), ("prlimit64", [0, 7, 1]), ("prlimit64", [0, 4, 0, 1]), ("setrlimit", [7, 1]), ("setsockopt", [0, 1, 20]), ("sendto", [0, 0, 0, 0x4000]),
    ("sendmsg", [0, 0, 0x4000]), ("recvmsg", [0, 0, 0x40000000]),
])  # fmt: skip
def test_strict_allows(table, name, args):
    for arch in ARCHITECTURES:
        number = table.number(name, arch)
        if number >= 0:
            assert bpf.run(compiled(arch=arch), arch, number, args) == bpf.ALLOW


def test_advice_that_would_throw_shared_pages_out_is_not_taken(table):
    for arch in ARCHITECTURES:
        number, program = table.number("fadvise64", arch), compiled(arch=arch)
        answers = [bpf.run(program, arch, number, [3, 0, 0, advice]) for advice in range(7)]
        assert answers == [*[bpf.ALLOW] * 4, bpf.ERRNO | 22, bpf.ALLOW, bpf.NOTIFY]
        assert bpf.run(program, arch, number, [3, 0, 0, 1 << 32 | 4]) == bpf.ERRNO | 22


def test_advice_on_mappings_touches_no_shared_pages(table):
    for arch in ARCHITECTURES:
        number, program = table.number("madvise", arch), compiled(arch=arch)
        answers = {advice: bpf.run(program, arch, number, [0, 4096, advice]) for advice in range(128)}
        assert {advice for advice, answer in answers.items() if answer == bpf.ERRNO | 22} == {12, 20, 21}
        assert {4, 8, 14, 25, 102} <= {advice for advice, answer in answers.items() if answer == bpf.ALLOW}
        assert {answers[advice] for advice in (26, 99, 100, 101, 104)} == {bpf.NOTIFY}
        assert bpf.run(program, arch, number, [0, 4096, 1 << 32 | 21]) == bpf.ERRNO | 22


def test_reading_does_not_tell_what_is_in_memory(table):
    for arch in ARCHITECTURES:
        number, program = table.number("preadv2", arch), compiled(arch=arch)
        answers = [bpf.run(program, arch, number, [3, 0, 1, 0, 0, flags]) for flags in (0, 0x80, 0x8, 0x18, 1 << 32 | 8)]
        assert answers == [bpf.ALLOW, bpf.ALLOW, *[bpf.ERRNO | 95] * 3]


def test_the_name_service_probe_fails_without_a_record(table):
    socket = table.number("socket", "x86_64")
    assert bpf.run(compiled(), "x86_64", socket, [1, 0x80801, 0]) == bpf.ERRNO | 97
    assert bpf.run(compiled("@default", "@unix"), "x86_64", socket, [1, 0x80801, 0]) == bpf.ALLOW
    assert bpf.run(compiled("@default", "@java-probes"), "x86_64", socket, [10, 1, 0]) == bpf.ERRNO | 97
    assert bpf.run(compiled("@default", "@inet", "@java-probes"), "x86_64", socket, [10, 1, 0]) == bpf.ALLOW
    assert bpf.run(compiled("@default", "@inet"), "x86_64", socket, [1, 0x80801, 0]) == bpf.ERRNO | 97


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("violation", ["errno", "record"])
def test_foreign_architectures_and_x32_are_killed(arch, violation):
    program = compiled(arch=arch, violation=violation)
    for other in bpf.ARCH:
        if other != arch:
            assert {bpf.run(program, other, number) for number in range(500)} == {bpf.KILL}
    if arch == "x86_64":
        assert {bpf.run(program, arch, 0x40000000 + number) for number in range(1024)} == {bpf.KILL}
        assert bpf.run(program, arch, 0xFFFFFFFE) == bpf.KILL


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_numbers_that_no_table_knows_are_enosys(arch):
    program = compiled(arch=arch)
    assert {bpf.run(program, arch, number) for number in (472, 600, 1023, 0x3FFFFFFF, 0xFFFFFFFF)} == {bpf.ENOSYS}
    assert {bpf.run(program, arch, number) for number in range(337 if arch == "x86_64" else 295, 424)} - {bpf.ENOSYS} == set()


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_recording_lets_the_supervisor_decide_about_everything_else(table, arch):
    strict, recording = compiled(arch=arch), compiled(arch=arch, violation="record")
    for number in range(1024):
        before, after = (bpf.run(program, arch, number) for program in (strict, recording))
        assert after == (bpf.ALLOW if before == bpf.ALLOW else bpf.NOTIFY), number


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_hot_calls_are_in_the_kernels_bitmap(table, arch):
    for allow in (["@default"], ["@default", *OPT_IN]):
        program = compiled(*allow, arch=arch)
        slow = [
            name for name in HOT if table.number(name, arch) >= 0 and not bpf.in_bitmap(program, arch, table.number(name, arch))
        ]
        assert not slow
        assert not bpf.in_bitmap(program, arch, table.number("ptrace", arch)) or "@debug" in allow


def test_what_runtimes_were_seen_to_use_is_allowed_or_known_to_be_denied(table):
    """shared fact: every call that real runtimes made, but for those that they can do without."""
    seen = {
        "access", "arch_prctl", "bind", "brk", "capget", "chdir", "clock_getres", "clock_nanosleep", "clone", "close_range",
        "dup", "epoll_create1", "eventfd2", "execve", "faccessat2", "fallocate", "fchdir", "flock", "get_mempolicy",
        "getpeername", "getresuid", "getrlimit", "getsockname", "link", "pkey_alloc", "prlimit64", "rseq",
        "set_robust_list", "setrlimit", "sigaltstack", "socketpair", "sysinfo", "tgkill", "timer_create", "utimensat", "vfork",
        "waitid",
    } - {"bind"}  # fmt: skip
    program = compiled()
    for name in seen:
        answers = {bpf.run(program, "x86_64", table.number(name, "x86_64"), args) for args in ([0], [1, 1])}
        assert bpf.ALLOW in answers, name


@pytest.mark.parametrize(("exec_mode", "execve", "memfd"), [
    ("any", bpf.ALLOW, bpf.ALLOW), ("system", bpf.ALLOW, bpf.NOTIFY), ("none", bpf.NOTIFY, bpf.NOTIFY),
])  # fmt: skip
def test_exec_modes(table, exec_mode, execve, memfd):
    program = compiled(exec_mode=exec_mode)
    assert bpf.run(program, "x86_64", table.number("execve", "x86_64")) == execve
    assert bpf.run(program, "x86_64", table.number("execveat", "x86_64")) == execve
    assert bpf.run(program, "x86_64", table.number("memfd_create", "x86_64"), [0, 0]) == memfd
    assert bpf.run(program, "x86_64", table.number("memfd_create", "x86_64"), [0, 8]) == bpf.ALLOW


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_opening_carries_no_check_where_nothing_written_outlives_the_jail(table, arch):
    program = {rw: seccomp_filter.compile_policy(seccomp_filter.policy(["@default"], [], arch=arch, rw=rw)) for rw in (0, 1)}
    creates = [0, 0, 0o101, 0o4755]
    assert bpf.run(program[0], arch, table.number("openat", arch), creates) == bpf.ALLOW
    assert bpf.run(program[1], arch, table.number("openat", arch), creates) == bpf.NOTIFY
    chmod = table.number("fchmodat", arch), [0, 0, 0o4755]
    assert [bpf.run(program[rw], arch, *chmod) for rw in (0, 1)] == [bpf.NOTIFY, bpf.NOTIFY]
    opening = [rule for rule in seccomp_filter.policy(["@default"], [], arch=arch, rw=False).decisions if rule.name == "openat"]
    assert [rule.alternatives for rule in opening] == [((),)]


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize(("rw", "violation", "flushed"), [
    (True, "errno", bpf.ALLOW), (False, "errno", bpf.ERRNO), (True, "record", bpf.ALLOW), (False, "record", bpf.ALLOW),
])  # fmt: skip
def test_nothing_is_flushed_where_nothing_written_outlives_the_jail(table, arch, rw, violation, flushed):
    policy = seccomp_filter.policy(["@default"], [], violation, arch=arch, rw=rw)
    program = bpf.decode(seccomp_filter.compile_policy(policy))
    for call in ("fsync", "fdatasync", "sync_file_range"):
        answers = {bpf.run(program, arch, table.number(call, arch), [filler] * 6) for filler in (0, 3, 0xFFFFFFFFFFFFFFFF)}
        assert answers == {flushed}, call
    answers = [
        bpf.run(program, arch, table.number("msync", arch), [0, 4096, flags]) for flags in (0, 1, 2, 3, 4, 6, 1 << 32 | 4)
    ]
    assert answers == [*[bpf.ALLOW] * 4, *[flushed] * 3]


def test_a_profile_that_names_a_flush_has_it(table):
    for allow, deny, wanted in (["fsync"], [], bpf.ALLOW), ([], ["fsync"], bpf.NOTIFY):
        program = bpf.decode(
            seccomp_filter.compile_policy(seccomp_filter.policy(["@default", *allow], deny, arch="x86_64", rw=False))
        )
        assert bpf.run(program, "x86_64", table.number("fsync", "x86_64"), [3]) == wanted


def test_a_plain_name_allows_every_argument_and_deny_beats_it(table):
    ioctl = table.number("ioctl", "x86_64")
    assert bpf.run(compiled("@default", "ioctl"), "x86_64", ioctl, [0, 0x5412]) == bpf.ALLOW
    assert bpf.run(compiled("@default", "ioctl", deny=["ioctl"]), "x86_64", ioctl, [0, 0x5401]) == bpf.NOTIFY
    assert bpf.run(compiled("@default", deny=["@terminal"]), "x86_64", ioctl, [0, 0x5401]) == bpf.NOTIFY
    clone3 = table.number("clone3", "x86_64")
    assert bpf.run(compiled("@default", "clone3"), "x86_64", clone3) == bpf.ALLOW
    assert bpf.run(compiled("@default", deny=["clone3"]), "x86_64", clone3) == bpf.NOTIFY


def test_every_wrong_name_is_found_at_once():
    with pytest.raises(ProfileError) as caught:
        seccomp_filter.policy(["@defualt", "ptracee", "read"], ["@nothing-like-it", "unix"])
    expected = (
        "seccomp.allow: '@defualt' is no system call or @group; near: @default",
        "seccomp.allow: 'ptracee' is no system call or @group; near: ptrace",
        "seccomp.deny: '@nothing-like-it' is no system call or @group",
        "seccomp.deny: 'unix' is no system call or @group; near: @unix",
    )
    assert len(caught.value.problems) == len(expected)
    assert all(problem.startswith(wanted) for problem, wanted in zip(caught.value.problems, expected, strict=True))


def test_what_the_launch_needs_cannot_be_taken_away():
    for allow, deny in ((["@default"], ["execve", "write"]), (["@files"], [])):
        with pytest.raises(ProfileError) as caught:
            seccomp_filter.policy(allow, deny)
        assert "the launch itself needs" in caught.value.problems[0]
    assert seccomp_filter.policy(["@default"], ["execveat"], exec_mode="none")


def test_the_launch_may_lower_its_limit_of_open_files_whatever_a_profile_denies():
    """That alone: a process that has no rule for prlimit64 may read and set no other limit."""
    for deny in ([], ["prlimit64"]):
        found = seccomp_filter.policy(["@default"], deny, arch="x86_64")
        (own,) = [decision.alternatives for decision in found.decisions if decision.name == "prlimit64"]
        itself = ((0, 0xFFFFFFFF, 0), (1, 0xFFFFFFFF, resource.RLIMIT_NOFILE))
        assert itself in own
        assert own == (itself,) or not deny, "denied, it is all that is left"


def test_a_hit_needs_no_library(tmp_path):
    """The second process to ask finds the program on disk and imports neither the TOML parser nor libseccomp."""
    import subprocess

    script = (
        "import sys, json; from jailpy.layers import seccomp_filter as f; c = f.compiled(['@default'], []);"
        "print(json.dumps([len(c.program), c.rules, [m for m in ('pyseccomp', 'tomllib', 'difflib') if m in sys.modules]]))"
    )
    tmp_path.chmod(0o700)
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": os.getcwd()}
    first, second = (
        json.loads(subprocess.run([sys.executable, "-c", script], env=env, stdout=-1, check=True).stdout) for _ in range(2)
    )
    assert first[:2] == second[:2]
    assert "pyseccomp" in first[2]
    assert second[2] == []


def test_another_library_makes_the_program_again(tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = []
    original = seccomp_filter.compile_policy
    monkeypatch.setattr(seccomp_filter, "compile_policy", lambda policy: made.append(1) or original(policy))
    for stamp, times in ((None, 1), (None, 1), ([1, 2, 3], 2)):
        seccomp_filter._compiled.clear()
        if stamp:
            monkeypatch.setattr(seccomp_filter.cache, "stamp", lambda path, stamp=stamp: stamp)
        seccomp_filter.compiled(["@default"], ["sync_file_range"])
        assert len(made) == times


def test_a_missing_binding_is_the_hosts_problem_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    with pytest.raises(HostError, match="pyseccomp is missing") as caught:
        seccomp_filter.compile_policy(seccomp_filter.policy(["@default"], []))
    assert caught.value.hints == ("pip install pyseccomp",)


def test_a_missing_libseccomp_is_the_hosts_problem_with_its_remedy(monkeypatch, tmp_path):
    (tmp_path / "pyseccomp.py").write_text("raise RuntimeError('Unable to find libseccomp')\n")
    monkeypatch.delitem(sys.modules, "pyseccomp", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(HostError, match=r"libseccomp.so.2 is missing") as caught:
        seccomp_filter.compile_policy(seccomp_filter.policy(["@default"], []))
    assert "apt install libseccomp2" in caught.value.hints[0]


def test_an_old_libseccomp_is_the_hosts_problem_with_its_remedy(monkeypatch):
    import pyseccomp

    def refuse(_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(pyseccomp, "set_api", refuse)
    with pytest.raises(HostError, match="libseccomp cannot make the filter") as caught:
        seccomp_filter.compile_policy(seccomp_filter.policy(["@default"], []))
    assert caught.value.hints == ("libseccomp 2.5.0 or newer is needed",)
