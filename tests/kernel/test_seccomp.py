"""Filters in the live kernel: attacks in a forked child, each with the same call unfiltered as its positive control."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import select
import signal
import socket
import struct
import termios
import time

import pytest

from jailpy.kernel import libc, seccomp
from jailpy.layers import seccomp_filter
from tests.kernel.confined import ARCH, call, confined, number

X86_64 = pytest.mark.skipif(ARCH != "x86_64", reason="x86-64 only")
CLONE_NEWUSER = 0x10000000


def test_an_allowed_call_works_and_nothing_is_recorded():
    done = confined(lambda: [os.getppid() > 0, os.listdir("/") != [], os.cpu_count()])
    assert done.value[:2] == [True, True]
    assert (done.status, done.total, done.what) == (0, 0, [])


@pytest.mark.parametrize(("name", "args"), [
    ("ptrace", (0, 0, 0, 0)), ("process_vm_readv", (1, 0, 0, 0, 0, 0)), ("kcmp", (0, 0, 0, 0, 0)), ("pidfd_getfd", (0, 0, 0)),
    ("userfaultfd", (1,)), ("perf_event_open", (0, 0, 0, 0, 0)), ("bpf", (0, 0, 0)), ("keyctl", (0, -3, 0)),
    ("add_key", (0, 0, 0, 0, -3)), ("name_to_handle_at", (-100, 0, 0, 0, 0)), ("open_by_handle_at", (-100, 0, 0)),
    ("quotactl", (0, 0, 0, 0)), ("swapoff", (0,)), ("acct", (-1,)), ("settimeofday", (1, 1)), ("clock_settime", (77, 0)),
    ("adjtimex", (0,)), ("syslog", (10, 0, 0)), ("mount", (0, 0, 0, 0, 0)), ("unshare", (0,)), ("setns", (-1, 0)), ("chroot", (0,)),
    ("mincore", (0, 0, 0)), ("cachestat", (-1, 0, 0, 0)), ("io_setup", (0, 0)), ("inotify_init1", (0,)), ("msgget", (0, 0)),
    ("seccomp", (2, 0, 0)), ("vmsplice", (-1, 0, 0, 0)), ("sync", ()), ("socket", (38, 5, 0)), ("socket", (40, 1, 0)),
])  # fmt: skip
def test_a_denied_call_is_refused_recorded_and_harmless_otherwise(name, args):
    control = confined(lambda: call(name, *args), filtered=False)
    done = confined(lambda: call(name, *args))
    assert done.value == [-1, errno.EPERM]
    assert [entry["what"] for entry in done.report] == [name]
    assert done.report[0]["count"] == 1
    assert done.report[0]["args"][: len(args)] == [arg & 0xFFFFFFFFFFFFFFFF for arg in args[: len(done.report[0]["args"])]]
    assert control.value != [-1, errno.EPERM] or os.geteuid() != 0


@pytest.mark.parametrize(
    "name", ["io_uring_setup", "openat2", "statmount", "listmount", "clone3", "setxattrat", "open_tree_attr"]
)
def test_calls_that_look_absent(name):
    done = confined(lambda: call(name, 0, 0, 0, 0))
    assert done.value == [-1, errno.ENOSYS]
    assert done.what == []


def test_new_and_unknown_numbers_do_nothing():
    done = confined(lambda: [call(nr)[1] for nr in [*range(472, 512), 1023]])
    assert set(done.value) == {errno.ENOSYS}
    assert (done.status, done.total) == (0, 0)


def fork_with(flags):
    """clone(2) with no stack is a fork; the child ends at once."""
    result, error = call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0)
    if result == 0:
        os._exit(7)
    return [os.waitstatus_to_exitcode(os.waitpid(result, 0)[1]) if result > 0 else result, error]


def test_clone_makes_processes_but_no_user_namespace():
    assert confined(lambda: fork_with(0)).value == [7, 0]
    done = confined(lambda: fork_with(CLONE_NEWUSER))
    assert done.value == [-1, errno.EPERM]
    assert done.report[0]["what"] == "clone"


def test_clone3_makes_no_user_namespace():
    def attack():
        before = os.readlink("/proc/self/ns/user")
        args = (ctypes.c_uint64 * 11)(CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD)
        result, error = call("clone3", ctypes.byref(args), 88)
        if result == 0:
            os._exit(0)
        return [result, error, os.readlink("/proc/self/ns/user") == before]

    assert confined(attack).value == [-1, errno.ENOSYS, True]
    control = confined(attack, filtered=False).value
    assert control[0] > 0 or control[1] in (errno.EPERM, errno.ENOSPC, errno.EUSERS)


@pytest.mark.parametrize("request_", [0x5412, 0x5412 + (1 << 32), 0x5412 + (0x7FFFFFFF << 32), 0x541C, 0x541C + (1 << 32)])
def test_nothing_is_typed_into_the_terminal(request_):
    """TIOCSTI and TIOCLINUX: CVE-2017-5226, CVE-2019-10063, CVE-2023-28100."""
    master, slave = os.openpty()

    def attack():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        return call("ioctl", slave, request_, ctypes.c_char_p(b"\x03x"))

    try:
        done = confined(attack)
        assert done.value == [-1, errno.EPERM]
        assert done.what == ["ioctl"]
        assert done.report[0]["args"][1] == request_
        os.set_blocking(slave, False)
        with pytest.raises(BlockingIOError):
            os.read(slave, 1)
    finally:
        os.close(master)
        os.close(slave)


def test_ordinary_terminal_requests_work():
    master, slave = os.openpty()
    try:
        done = confined(lambda: [os.isatty(slave), fcntl.ioctl(slave, termios.TIOCGWINSZ, bytes(8)).hex()])
        assert done.value == [True, "0" * 16]
        assert done.what == []
        assert confined(lambda: call("ioctl", slave, 0x5401 + (1 << 32), ctypes.create_string_buffer(64))).value == [
            0,
            0,
        ]
    finally:
        os.close(master)
        os.close(slave)


@X86_64
def test_x32_kills_the_process():
    assert confined(lambda: call(0x40000000 + 39), filtered=False).status == 0
    assert confined(lambda: call(0x40000000 + 39)).status == -signal.SIGSYS


@X86_64
def test_the_32_bit_entry_kills_the_process():
    """`mov eax, 20; int 0x80; ret` is getpid of i386."""

    def attack():
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(b"\x53\xb8\x14\x00\x00\x00\xcd\x80\x5b\xc3")
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        return ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid()

    control = confined(attack, filtered=False)
    assert control.value is True or control.status == -signal.SIGSEGV  # a kernel without 32-bit entry faults
    assert confined(attack).status == -signal.SIGSYS


def test_minus_one_is_no_call():
    assert confined(lambda: call(-1)).value == [-1, errno.ENOSYS]


@pytest.mark.parametrize("work", [
    lambda path: os.chmod(path, 0o4755), lambda path: os.chmod(path, 0o2755),
    lambda path: os.close(os.open(path + "1", os.O_CREAT | os.O_WRONLY, 0o4755)),
    lambda path: os.mkdir(path + "2", 0o2755), lambda path: os.mknod(path + "3", 0o104755),
    lambda path: os.mknod(path + "4", 0o020666, os.makedev(1, 3)), lambda path: os.mknod(path + "5", 0o060666, os.makedev(7, 0)),
])  # fmt: skip
def test_no_set_user_id_files_and_no_devices(tmp_path, work):
    path = str(tmp_path / "file")
    (tmp_path / "file").write_text("")

    def attack():
        try:
            work(path)
        except OSError as error:
            return error.errno
        return 0

    assert confined(attack).value == errno.EPERM
    assert os.stat(path).st_mode & 0o6000 == 0
    assert sorted(os.listdir(tmp_path)) == ["file"]
    assert confined(attack, filtered=False).value == 0 or os.geteuid() != 0


def test_ordinary_modes_and_nodes_work(tmp_path):
    def use():
        os.chmod(tmp_path, 0o700)
        os.close(os.open(tmp_path / "a", os.O_CREAT | os.O_WRONLY, 0o755))
        call("openat", -100, ctypes.c_char_p(b"/dev/null"), os.O_RDONLY, 0o7777)
        os.mkfifo(tmp_path / "fifo")
        os.mkdir(tmp_path / "folder", 0o1777)
        return sorted(os.listdir(tmp_path))

    done = confined(use)
    assert done.value == ["a", "fifo", "folder"]
    assert done.what == []


@pytest.mark.parametrize("persona", [0x0400000, 0x0040000, 0x8000000])
def test_personality_stays_plain(persona):
    assert confined(lambda: call("personality", persona)).value == [-1, errno.EPERM]
    assert confined(lambda: call("personality", 0xFFFFFFFF)).value[1] == 0
    assert confined(lambda: call("personality", persona), filtered=False).value[1] == 0


@pytest.mark.parametrize("option", [35, 22, 53, 59, 62, 67])
def test_prctl_refuses_what_is_not_listed(option):
    assert confined(lambda: call("prctl", option, 0, 0, 0, 0)).value == [-1, errno.EPERM]


def test_prctl_allows_what_programs_use():
    assert (
        confined(lambda: [call("prctl", 15, ctypes.c_char_p(b"name"), 0, 0, 0), call("prctl", 4, 0, 0, 0, 0)]).value
        == [[0, 0]] * 2
    )


def test_a_memfd_cannot_be_executed_where_execution_is_restricted():
    def attack(flags):
        result, error = call("memfd_create", ctypes.c_char_p(b"x"), flags)
        return error or os.fstat(result).st_mode & 0o111

    assert confined(lambda: attack(0)).value == errno.EPERM
    assert confined(lambda: attack(0x10)).value == errno.EPERM
    assert confined(lambda: attack(8)).value in (0, errno.EINVAL)  # EINVAL before Linux 6.3
    assert confined(lambda: attack(0), exec_mode="any").value == 0o111


def families():
    opened = []
    for family in range(46):
        try:
            socket.socket(family, socket.SOCK_DGRAM if family != 38 else socket.SOCK_SEQPACKET).close()
            opened.append(family)
        except OSError:
            pass
    return opened


def test_no_socket_family_but_pairs():
    assert confined(families).value == []
    assert {1, 2} <= set(confined(families, filtered=False).value)
    assert confined(lambda: [end.close() for end in socket.socketpair()] == [None, None]).value is True


def test_groups_open_their_families_only():
    assert confined(families, "@default", "@unix").value == [1]
    assert set(confined(families, "@default", "@inet").value) <= {2, 10}


def test_a_datagram_pair_cannot_be_turned_to_another_socket(tmp_path):
    """A pair of datagram sockets may be sent to any socket in the file system that can be seen."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        server.setblocking(False)

        def attack():
            try:
                pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
                pair[0].sendto(b"out", path)
            except OSError as error:
                return error.errno
            return 0

        assert confined(attack).value == errno.EPERM
        with pytest.raises(BlockingIOError):
            server.recv(3)
        assert confined(attack, filtered=False).value == 0
        assert server.recv(3) == b"out"


def test_urgent_bytes_are_refused_and_others_pass():
    def attack():
        one, other = socket.socketpair()
        with one, other:
            try:
                one.send(b"x", socket.MSG_OOB)
            except OSError as error:
                return [error.errno, one.send(b"y", socket.MSG_NOSIGNAL), other.recv(9).decode()]
            return [0, 1, "y"]

    assert confined(attack).value == [errno.EPERM, 1, "y"]
    assert confined(attack, filtered=False).value == [0, 1, "y"]


def test_limits_of_init_cannot_be_lowered():
    parent = os.getpid()
    limits = struct.pack("QQ", 10**9, 10**9)
    assert confined(lambda: call("prlimit64", parent, 0, ctypes.c_char_p(limits), None)).value == [-1, errno.EPERM]
    assert confined(lambda: call("prlimit64", 0, 0, ctypes.c_char_p(limits), None)).value == [0, 0]


def test_leases_and_folder_watches_are_refused(tmp_path):
    (tmp_path / "file").write_text("")

    def attack(command, argument):
        descriptor = os.open(tmp_path / "file" if command == 1024 else tmp_path, os.O_RDONLY)
        return call("fcntl", descriptor, command, argument)

    for command, argument in ((1024, fcntl.F_RDLCK), (1026, 2)):
        assert confined(lambda command=command, argument=argument: attack(command, argument)).value == [-1, errno.EPERM]
        assert confined(lambda command=command, argument=argument: attack(command, argument), filtered=False).value[1] == 0


def return_notify(name):
    """A program that answers one call with RET_USER_NOTIF and allows all else."""
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, number(name)), (0x06, 0, 0, 0x7FC00000), (0x06, 0, 0, 0x7FFF0000)]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def test_the_payload_gets_no_listener_of_its_own():
    """Its owner could answer "go on" to what the jail's filter reports; the newest filter is asked first."""

    def attack():
        try:
            return seccomp.load_filter(return_notify("ptrace"), True)
        except OSError as error:
            return -error.errno

    assert confined(attack).value == -errno.EPERM
    assert confined(attack, "@default", "@sandbox").value == -errno.EPERM
    assert confined(attack, "@default", "seccomp").value == -errno.EBUSY
    libc_control = confined(lambda: libc.prctl(38, 1, 0, 0, 0) or attack(), filtered=False)
    assert libc_control.value > 0


def test_a_filter_of_its_own_only_tightens():
    def attack():
        seccomp.load_filter(return_notify("ptrace"), False)
        return [call("ptrace", 0, 0, 0, 0), call("getppid")[1], call("keyctl", 0, -3, 0)]

    assert confined(attack, "@default", "@sandbox").value == [[-1, errno.ENOSYS], 0, [-1, errno.EPERM]]


def test_kill_stops_the_payload_before_the_call_returns(tmp_path):
    def attack():
        call("ptrace", 0, 0, 0, 0)
        (tmp_path / "went on").write_text("")
        return 0

    done = confined(attack, violation="kill")
    assert done.killed
    assert done.status == -signal.SIGKILL
    assert done.what == ["ptrace"]
    assert not os.listdir(tmp_path)
    assert confined(attack).value == 0
    assert os.listdir(tmp_path) == ["went on"]


def test_recording_lets_through_and_writes_down():
    done = confined(
        lambda: [call("kcmp", os.getpid(), os.getpid(), 0, 0, 0)[0], socket.socket(socket.AF_UNIX).close()],
        violation="record",
    )
    assert done.value[1] is None
    assert done.value[0] == confined(lambda: call("kcmp", os.getpid(), os.getpid(), 0, 0, 0)[0], filtered=False).value
    assert sorted(done.what) == ["kcmp", "socket"]


def test_exec_none_lets_the_launch_through_and_nothing_after_it():
    done = confined(["/bin/sh", "-c", "echo one; /bin/echo two; echo $?"], exec_mode="none")
    assert done.output.startswith(b"one\n")
    assert b"two" not in done.output
    assert done.output.endswith(b"126\n")
    assert done.report[0]["what"] == "execve"
    assert done.report[0]["allow_with"] == '[filesystem] exec = "system"'
    assert confined(["/bin/sh", "-c", "echo one; /bin/echo two"], exec_mode="system").output == b"one\ntwo\n"


def test_a_flood_is_counted_and_bounded():
    def flood():
        for index in range(3000):
            libc.ptrace(index, index, index, index)
        return 0

    done = confined(flood)
    assert done.total == 3000
    assert sum(entry["count"] for entry in done.report) == 3000
    assert len(done.report) == 1


def test_a_closed_listener_fails_closed():
    """Without a supervisor the kernel answers ENOSYS; the denied call is never made."""
    ours, theirs = os.pipe()
    program = seccomp_filter.compiled(["@default"], []).program
    pid = os.fork()
    if pid == 0:
        libc.prctl(38, 1, 0, 0, 0)
        os.close(seccomp.load_filter(program, True))
        result = call("unshare", CLONE_NEWUSER)
        os.write(theirs, repr(result).encode())
        os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as file:
        assert file.read() == repr((-1, errno.ENOSYS)).encode()
    os.waitpid(pid, 0)


def test_a_silent_supervisor_lets_nothing_pass():
    """A14: while nobody answers, the call waits."""
    channel, theirs = socket.socketpair()
    program = seccomp_filter.compiled(["@default"], []).program
    pid = os.fork()
    if pid == 0:
        libc.prctl(38, 1, 0, 0, 0)
        listener = seccomp.load_filter(program, True)
        socket.send_fds(theirs, [b"x"], [listener])
        os.close(listener)
        call("ptrace", 0, 0, 0, 0)
        theirs.sendall(b"returned")
        os._exit(0)
    _, (listener,), _, _ = socket.recv_fds(channel, 1, 1)
    channel.settimeout(0.5)
    with pytest.raises(TimeoutError):
        channel.recv(8)
    waiting = seccomp.receive(listener)
    assert (waiting.number, waiting.arch) == (number("ptrace"), seccomp.AUDIT_ARCH[ARCH])
    assert waiting.pid == pid
    assert seccomp.id_valid(listener, waiting.id)
    assert seccomp.respond(listener, waiting.id, errno.EPERM)
    channel.settimeout(30)
    assert channel.recv(8) == b"returned"
    os.waitpid(pid, 0)
    assert not seccomp.id_valid(listener, waiting.id)
    assert not seccomp.respond(listener, waiting.id, errno.EPERM)
    assert not seccomp.let_through(listener, waiting.id)
    # Nothing is left to be received. Before Linux 6.11 asking for it would wait for ever, once nobody is under the filter.
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    assert poll.poll(0) == [(listener, select.POLLHUP)]
    os.close(listener)
    channel.close()
    theirs.close()


def test_signals_do_not_multiply_records():
    """A payload that is hit by a timer while its call is answered asks once: WAIT_KILLABLE_RECV, Linux 5.19."""

    def attack():
        hits = []
        signal.signal(signal.SIGALRM, lambda *_: hits.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        errors = [call("ptrace", 0, 0, 0, 0)[1] for _ in range(300)]
        signal.setitimer(signal.ITIMER_REAL, 0)
        return [len(hits), errors.count(errno.EPERM), errors.count(errno.EINTR)]

    done = confined(attack)
    hits, refused, interrupted = done.value
    assert hits > 0
    assert refused + interrupted == 300
    release = tuple(int(part) for part in platform.release().split(".")[:2])
    assert done.total == refused or (done.total > refused and release < (6, 17))


def test_structures_have_the_kernels_sizes():
    assert seccomp.notification_sizes() == (80, 24)
    assert seccomp.action_available(seccomp.RET_USER_NOTIF)
    assert not seccomp.action_available(0x12340000)


def test_a_broken_program_is_refused():
    with pytest.raises(ValueError, match="errno above 0"):
        seccomp.respond(0, 0, 0)

    def attack():
        libc.prctl(38, 1, 0, 0, 0)
        try:
            seccomp.load_filter(b"\0" * 7, False)
        except OSError as error:
            return error.errno
        return 0

    assert confined(attack, filtered=False).value == errno.EINVAL


def test_the_answer_costs_what_a_round_trip_costs():
    def measure():
        begin = time.perf_counter()
        for _ in range(200):
            libc.ptrace(0, 0, 0, 0)
        return time.perf_counter() - begin

    assert confined(measure).value < 2
