"""Rulesets in the live kernel, each in a forked child: every right refused without a rule and granted with one."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import termios

import pytest

from jailpy.kernel import landlock, libc
from jailpy.layers import landlock_rights as rights

ABI, _ = landlock.abi()
needs = lambda abi: pytest.mark.skipif(abi > ABI, reason=f"this kernel has Landlock ABI {ABI}, not {abi}")
pytestmark = needs(2)


def restricted(work, paths=(), ports=(), handled=None, control=False):
    """Run work() in a child below a ruleset of (path, rights) and (port, rights): its value, or -errno."""
    handled = handled or rights.handled(ABI)
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if not control:
                restrict(handled, paths, ports)
            value = work()
        except OSError as error:
            value = -error.errno
        except BaseException as error:
            value = repr(error)
        os.write(into, json.dumps(value).encode())
        os._exit(0)
    os.close(into)
    with open(out, "rb") as file:
        data = file.read()
    os.waitpid(pid, 0)
    return json.loads(data)


def restrict(handled, paths, ports):
    ruleset = landlock.create_ruleset(handled.fs, handled.net, handled.scoped)
    for path, access in paths:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        landlock.add_path(ruleset, descriptor, access)
        os.close(descriptor)
    for port, access in ports:
        landlock.add_port(ruleset, port, access)
    libc.prctl(38, 1, 0, 0, 0)
    landlock.restrict_self(ruleset)
    os.close(ruleset)


@pytest.fixture
def tree(tmp_path):
    """A folder with a file, a program, a folder, in a parent that no rule names."""
    inside = tmp_path / "inside"
    (inside / "folder" / "empty").mkdir(parents=True)
    (inside / "file").write_text("content")
    (inside / "program").write_text("#!/bin/true\n")
    (inside / "program").chmod(0o755)
    return str(inside)


def execute(path):
    pid = os.fork()
    if pid == 0:
        try:
            os.execv(path, [path])
        except OSError as error:
            os._exit(error.errno)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status, os.strerror(status))
    return 0


def open_close(path, flags, mode=0o600):
    os.close(os.open(path, flags, mode))
    return 0


def bind_at(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
    return 0


READ = rights.read_only(ABI, True)
ALL = rights.writable(ABI, True)
OPERATIONS = {
    "read_file": lambda top: open_close(f"{top}/file", os.O_RDONLY),
    "read_dir": lambda top: len(os.listdir(f"{top}/folder")) * 0,
    "write_file": lambda top: open_close(f"{top}/file", os.O_WRONLY),
    "remove_dir": lambda top: os.rmdir(f"{top}/folder/empty") or 0,
    "remove_file": lambda top: os.unlink(f"{top}/file") or 0,
    "make_dir": lambda top: os.mkdir(f"{top}/new") or 0,
    "make_reg": lambda top: os.mknod(f"{top}/new") or 0,
    "make_sock": lambda top: bind_at(f"{top}/new"),
    "make_fifo": lambda top: os.mkfifo(f"{top}/new") or 0,
    "make_sym": lambda top: os.symlink("x", f"{top}/new") or 0,
    "execute": lambda top: execute(f"{top}/program"),
    "truncate": lambda top: os.truncate(f"{top}/file", 0) or 0,
    "refer": lambda top: os.rename(f"{top}/file", f"{top}/folder/file") or 0,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_right_is_refused_without_it_and_granted_with_it(tree, name):
    if not rights.handled(ABI).fs & rights.bits([name]):
        pytest.skip(f"ABI {ABI} has no {name}")
    operation = OPERATIONS[name]
    system = [(path, READ) for path in ("/usr", "/etc")]
    refused = -errno.EXDEV if name == "refer" else -errno.EACCES
    without = ALL & ~rights.bits([name])
    assert restricted(lambda: operation(tree), [*system, (tree, without)]) == refused
    assert restricted(lambda: operation(tree), [*system, (tree, ALL)]) == 0


def test_read_only_allows_no_change(tree):
    handled = {name for name in OPERATIONS if rights.handled(ABI).fs & rights.bits([name])}
    for name in handled - {"read_file", "read_dir", "execute"}:
        assert restricted(lambda name=name: OPERATIONS[name](tree), [(tree, READ)]) in (-errno.EACCES, -errno.EXDEV), name
    for name in ("read_file", "read_dir"):
        assert restricted(lambda name=name: OPERATIONS[name](tree), [(tree, READ)]) == 0


def test_the_systems_folders_may_be_read_and_executed_from_not_changed(tree):
    system = [("/usr", rights.system(ABI)), (tree, rights.system(ABI))]
    for name in ("read_file", "read_dir"):
        assert restricted(lambda name=name: OPERATIONS[name](tree), system) == 0
    for name in ("write_file", "remove_file", "make_reg", "make_dir", "make_sym"):
        assert restricted(lambda name=name: OPERATIONS[name](tree), system) == -errno.EACCES, name


def test_what_no_rule_names_is_refused(tree):
    assert restricted(lambda: os.listdir(os.path.dirname(tree)), [(tree, ALL)]) == -errno.EACCES
    assert restricted(lambda: open_close("/etc/passwd", os.O_RDONLY), [(tree, ALL)]) == -errno.EACCES
    assert restricted(lambda: open_close("/etc/passwd", os.O_RDONLY), control=True) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make device nodes, so there is nothing to see")
def test_device_nodes_are_refused_to_root_as_well(tree):
    make = lambda: os.mknod(f"{tree}/null", 0o020666, os.makedev(1, 3)) or 0
    assert restricted(make, [(tree, ALL)]) == -errno.EACCES
    assert restricted(make, control=True) == 0


def test_a_file_gets_file_rights_only(tree):
    path = f"{tree}/file"
    assert restricted(lambda: open_close(path, os.O_RDWR | os.O_TRUNC), [(path, rights.on_file(ALL))]) == 0
    assert restricted(lambda: open_close(f"{tree}/program", os.O_RDONLY), [(path, rights.on_file(ALL))]) == -errno.EACCES
    assert restricted(lambda: 0, [(path, ALL)]) == -errno.EINVAL


def test_a_device_can_be_written_truncated_and_asked():
    null = [("/dev/null", rights.device(ABI))]
    assert restricted(lambda: open_close("/dev/null", os.O_WRONLY | os.O_TRUNC | os.O_CREAT), null) == 0
    assert restricted(lambda: open_close("/dev/null", os.O_WRONLY)) == -errno.EACCES


@needs(5)
def test_ioctl_on_devices_needs_its_right():
    master, slave = os.openpty()
    path = os.ttyname(slave)

    def ask():
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
        return len(fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8)))

    try:
        assert restricted(ask, [(path, rights.device(ABI))]) == 8
        assert restricted(ask, [(path, rights.device(4))]) == -errno.EACCES
    finally:
        os.close(master)
        os.close(slave)


@needs(4)
def test_tcp_ports_are_refused_unless_named():
    bind_tcp, connect_tcp = rights._rights()["net"]["bind_tcp"][0], rights._rights()["net"]["connect_tcp"][0]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def connect():
            with socket.socket() as client:
                client.connect(("127.0.0.1", port))
            return 0

        def listen():
            with socket.socket() as other:
                other.bind(("127.0.0.1", 0))
            return 0

        assert restricted(connect) == -errno.EACCES
        assert restricted(connect, ports=[(port, connect_tcp)]) == 0
        assert restricted(connect, handled=rights.handled(ABI, network=False)) == 0
        assert restricted(listen) == -errno.EACCES
        assert restricted(listen, ports=[(0, bind_tcp)]) == 0


@needs(6)
def test_signals_do_not_leave_the_domain():
    sleeper = os.fork()
    if sleeper == 0:
        signal.pause()
        os._exit(0)
    try:
        assert restricted(lambda: os.kill(sleeper, 0) or 0) == -errno.EPERM
        assert restricted(lambda: os.kill(os.getpid(), 0) or 0) == 0
        assert restricted(lambda: os.kill(sleeper, 0) or 0, control=True) == 0
    finally:
        os.kill(sleeper, signal.SIGKILL)
        os.waitpid(sleeper, 0)


@needs(6)
def test_abstract_sockets_do_not_leave_the_domain():
    name = f"\0landlock-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()

        def connect():
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(name)
            return 0

        assert restricted(connect) == -errno.EPERM
        assert restricted(connect, control=True) == 0


def test_pathname_sockets_from_abi_9_on(tree):
    """Before, connect() is stopped by nothing here: `missing` says which layers do."""
    path = f"{tree}/server"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def connect():
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
            return 0

        said = "resolve_unix" in dict(rights.covering_layers(ABI))
        assert restricted(connect, [(tree, ALL)]) == (0 if said else -errno.EACCES)
        assert said == (ABI < 9)


def test_the_child_keeps_it_after_execve(tree):
    command = ["/bin/sh", "-c", f"cat {tree}/file /etc/hostname 2>/dev/null; echo $?"]

    def run():
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(into, 1)
            os.execv(command[0], command)
        os.close(into)
        os.waitpid(pid, 0)
        return os.read(out, 1000).decode()

    system = [(path, READ) for path in ("/usr", "/bin", "/lib", "/lib64") if os.path.exists(path)]
    shown = restricted(
        run, [*system, ("/etc/ld.so.cache", rights.on_file(READ)), ("/dev/null", rights.device(ABI)), (tree, READ)]
    )
    assert shown.endswith("content1\n")


def test_unknown_bits_are_refused_by_the_kernel():
    with pytest.raises(OSError, match="Invalid argument"):
        landlock.create_ruleset(1 << 40)
    os.close(landlock.create_ruleset(rights.handled(ABI).fs))


def test_without_no_new_privs_it_is_refused():
    if os.geteuid() == 0:
        pytest.skip("root may restrict itself without it")

    def attack():
        ruleset = landlock.create_ruleset(rights.handled(ABI).fs)
        landlock.restrict_self(ruleset)
        return 0

    assert restricted(attack, control=True) == -errno.EPERM


def test_more_than_sixteen_nested_rulesets_are_refused():
    def nest():
        for _ in range(17):
            restrict(rights.handled(ABI), (), ())
        return 0

    assert restricted(nest, control=True) == -errno.E2BIG


def test_an_absent_landlock_is_version_0_with_its_reason(monkeypatch):
    def absent(*_, **__):
        raise OSError(errno.EOPNOTSUPP, "off at boot")

    monkeypatch.setattr(landlock, "syscall", absent)
    assert landlock.abi() == (0, errno.EOPNOTSUPP)
