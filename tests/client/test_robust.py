"""Somebody kills the server, a worker, the client; few descriptors, closed standard streams; nothing leaks, nothing is left."""

from __future__ import annotations

import os
import resource
import select
import signal
import threading
import time

import pytest

import jailpy
from jailpy.server import messages
from tests.client.conftest import servers
from tests.core import alive, eventually, groups_of, token

pytestmark = pytest.mark.usefixtures("nothing_left")
SLEEP = "import time; time.sleep(60)"


def sleeper():
    word = token()
    return ["/usr/bin/python3", "-c", SLEEP, word], word


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def workers_of(launcher):
    """List the workers of a launcher's server."""
    return children(launcher._server._process.pid)


@pytest.fixture
def own(no_server_left):
    """A launcher of the test's own, with its server running."""
    with jailpy.Launcher() as launcher:
        assert launcher.run(["true"]).verdict == "ok"
        yield launcher


def test_the_server_is_killed_while_idle(own):
    for starts in (2, 3):
        os.kill(own._server._process.pid, signal.SIGKILL)
        own._server._process.wait()
        assert own.run(["echo", "x"]).stdout == b"x\n"
        assert own.stats()["server_starts"] == starts


def test_the_server_is_killed_in_the_middle(own):
    command, word = sleeper()
    ends = []

    def work():
        try:
            own.run(command)
        except jailpy.JailPyError as error:
            ends.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert eventually(lambda: len(alive(word)) >= 3)
    os.kill(own._server._process.pid, signal.SIGKILL)
    for thread in threads:
        thread.join(20)
    assert [type(error) for error in ends] == [jailpy.InternalError] * 3
    assert "killed from outside" in str(ends[0])
    assert eventually(lambda: not alive(word))
    assert own.run(["echo", "x"]).stdout == b"x\n"
    assert own.stats()["failed"] == 3


def test_a_worker_is_killed(own):
    command, word = sleeper()
    with own.popen(command) as running:
        assert eventually(lambda: alive(word))
        (worker,) = workers_of(own)
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(jailpy.InternalError, match="killed from outside"):
            running.wait(20)
        with pytest.raises(jailpy.InternalError):
            running.poll()
    assert eventually(lambda: not alive(word))
    assert own.run(["true"]).verdict == "ok"  # removes the dead worker's cgroups
    assert groups_of(worker) == []
    assert own.stats()["server_starts"] == 1


def test_an_idle_worker_is_killed(own):
    (worker,) = workers_of(own)
    os.kill(worker, signal.SIGKILL)
    assert eventually(lambda: not workers_of(own))
    assert own.run(["echo", "x"]).stdout == b"x\n"


def test_passed_numbers_leave_the_launchers_own_alone(own):
    """A worker keeps descriptors of its templates from run to run; what a run passes may have their numbers."""
    (worker,) = workers_of(own)
    before = children(worker)
    free = [number for number in range(3, 40) if not os.path.exists(f"/proc/self/fd/{number}")]
    null = os.open("/dev/null", os.O_RDWR)
    for number in free:
        os.dup2(null, number)
    assert own.run(["true"], pass_fds=free).verdict == "ok"
    for number in {null, *free}:
        os.close(number)
    assert own.run(["echo", "x"]).stdout == b"x\n"
    assert (workers_of(own), children(worker)) == ([worker], before)


def test_garbage_instead_of_a_request(own):
    """A client that sends what is no message loses that connection, and nothing else."""
    server = own._server
    for junk in (b"\0\0\0\0\0", b"M\0\0\0\0", b"\xff" * 9, b"M\x02\0\0\0[]", b"M\x02\0\0\0{}", b"M\x05\0\0", b"KTK", b"KM"):
        connection = server._take()
        connection.send(junk)
        connection.shutdown(1)
        connection.settimeout(20)
        try:
            assert len(connection.recv(1 << 16)) < 1 << 16
        except ConnectionResetError:
            pass
        server.give_back(connection, usable=False)
        assert own.run(["true"]).verdict == "ok"
    assert own.stats()["server_starts"] == 1


CLIENT = """
    import sys, threading, jailpy
    launcher = jailpy.Launcher()
    command = ["/usr/bin/python3", "-c", "import time; time.sleep(60)", sys.argv[1]]
    threads = [threading.Thread(target=launcher.run, args=(command,), daemon=True) for _ in range(3)]
    for thread in threads: thread.start()
    running = launcher.popen(command)
    """


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_the_client_is_killed(script, number):
    word = token()
    process = script(CLIENT + "\n    running.wait()", word)
    assert eventually(lambda: len(alive(word)) >= 5, 20)
    process.send_signal(number)
    assert eventually(lambda: not alive(word))
    assert eventually(lambda: not servers(process.mark))


def test_the_client_is_killed_at_any_time(script):
    for tenths in range(1, 9):
        word = token()
        process = script(CLIENT + "\n    running.wait()", word)
        time.sleep(tenths / 10)
        process.kill()
        process.wait()
        assert eventually(lambda word=word: not alive(word), 20)
        assert eventually(lambda process=process: not servers(process.mark), 20)


def test_the_program_ends_with_runs_in_flight(script):
    word = token()
    process = script(CLIENT + "\n    import time; time.sleep(1); print('bye')", word)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "bye\n", "")
    assert eventually(lambda: not alive(word))


def test_control_c_in_the_middle_of_a_run(script):
    word = token()
    process = script(
        """
        import sys, jailpy
        with jailpy.Launcher() as launcher:
            try:
                launcher.run(["/usr/bin/python3", "-c", "import time; time.sleep(60)", sys.argv[1]], input=b"x" * 300000)
            except KeyboardInterrupt:
                print("interrupted", launcher.stats()["verdicts"])
            print(launcher.run(["echo", "next"], text=True).stdout, launcher.stats()["server_starts"])
        """,
        word,
    )
    assert eventually(lambda: alive(word) and len(servers(process.mark)) > 1, 20)
    eventually(lambda: len(alive(word)) > 1, 20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert out == "interrupted {'cancelled': 1}\nnext\n 1\n"
    assert not alive(word)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 1, 2)])
def test_closed_standard_streams(script, tmp_path, closed):
    """What takes their numbers is none of JailPy's descriptors."""
    process = script(
        f"""
        import os, sys
        for number in {closed}: os.close(number)
        import jailpy, subprocess
        with jailpy.Launcher() as launcher:
            done = launcher.run(["cat"], input=b"data", stderr=subprocess.DEVNULL)
            with launcher.popen(["cat"], stdin=-1, stdout=-1) as running:
                taken = [number for number in {closed} if os.path.exists(f"/proc/self/fd/{{number}}")]
            with jailpy.JailExecutor() as executor:
                done.stdout += b"%d" % executor.submit(sum, [1, 2]).result()
            with open(sys.argv[1], "w") as file: print(done.stdout, taken, launcher.run(["false"]).verdict, file=file)
        """,
        tmp_path / "out",
    )
    process.wait(60)
    assert (tmp_path / "out").read_text() == "b'data3' [] nonzero_exit\n"
    assert process.returncode == 0


def test_few_descriptors(run_script):
    out = run_script(
        """
        import os, resource, jailpy
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        held = []
        with jailpy.Launcher() as launcher:
            reader, writer = os.pipe()
            print(launcher.run(["bash", "-c", f"echo x >&{writer}"], pass_fds=[writer]).verdict, os.read(reader, 9))
            try:
                launcher.run(["true"], pass_fds=[os.dup2(writer, 39)])
            except jailpy.LaunchError as error:
                print(error, error.errno)
            os.close(39)
            try:
                while True:
                    held.append(launcher.popen(["sleep", "60"], stdout=-1))
            except jailpy.LaunchError as error:
                print("many" if error.errno in (24, 109) else error, len(held) > 4)
            held.clear()
            print(launcher.run(["true"]).verdict)
        """
    )
    assert out.splitlines() == [
        "ok b'x\\n'",
        "the descriptors of the run do not fit into the launcher: Invalid argument (ulimit -n) 22",
        "many True",
        "ok",
    ]


def after_an_answer(transmit):
    """Return a `transmit` that gives the other end half a second to refuse and to close first."""

    def wait_and_transmit(connection, *rest):
        poll = select.poll()
        poll.register(connection, 0)  # POLLHUP alone, see poll(2)
        poll.poll(500)
        transmit(connection, *rest)

    return wait_and_transmit


@pytest.mark.parametrize("late", [False, True])
def test_no_process_can_be_forked(own, monkeypatch, late):
    """The server cannot fork a worker: an error in words, also where it comes before the request; the next run is one again."""
    if os.geteuid() == 0:
        pytest.skip("root is not bound by RLIMIT_NPROC")
    if late:
        monkeypatch.setattr(messages, "transmit", after_an_answer(messages.transmit))
    server = own._server._process.pid
    before = resource.prlimit(server, resource.RLIMIT_NPROC)
    held = own.popen(["sleep", "60"])
    resource.prlimit(server, resource.RLIMIT_NPROC, (1, before[1]))
    with pytest.raises(jailpy.LaunchError, match="cannot start a process"):
        own.run(["true"])
    resource.prlimit(server, resource.RLIMIT_NPROC, before)
    assert own.run(["true"]).verdict == "ok"
    held.kill()
    held.wait()


def test_no_interpreter(monkeypatch, tmp_path):
    import sys

    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    with jailpy.Launcher() as launcher, pytest.raises(jailpy.LaunchError, match=r"cannot be started: .*No such file"):
        launcher.run(["true"])


def test_a_program_that_embeds_python(monkeypatch):
    import sys

    monkeypatch.setattr(sys, "executable", "/usr/sbin/web-server")
    with jailpy.Launcher() as launcher:
        assert launcher.run(["true"]).verdict == "ok"


@pytest.mark.root
def test_a_server_does_not_keep_rights_that_its_client_gave_up(script, tmp_path):
    os.chmod(tmp_path, 0o755)
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    process = script(
        f"""
        import os, jailpy
        with jailpy.Launcher() as launcher:
            print(launcher.run(["cat", "{secret}"], ro="{secret}").stdout)
            os.setresuid(12345, 12345, 12345)
            try:
                print(launcher.run(["cat", "{secret}"], ro="{secret}").stdout)
            except jailpy.JailPyError as error:
                print(type(error).__name__)
            print(launcher.stats()["server_starts"])
        """
    )
    out, err = process.communicate(timeout=60)
    assert out.splitlines()[0] == "b'x'"
    assert out.splitlines()[-1] in ("1", "2"), err  # 1: this account could not even start one
    assert "b'x'" not in out.splitlines()[1:]


def test_nothing_leaks_over_many_runs(own, no_server_left):
    def look():
        (worker,) = workers_of(own)
        pids = (os.getpid(), own._server._process.pid, worker)
        with open(f"/proc/{worker}/cgroup") as file:
            return [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids], file.read()

    def some(count):
        for at in range(count):
            reader, writer = os.pipe()
            done = own.run(["cat"], input=b"x", pass_fds=[writer]) if at % 3 else own.run(["true"])
            os.close(reader)
            os.close(writer)
            assert done.verdict == "ok"
            if at % 10 == 0:
                with pytest.raises(jailpy.CommandError):
                    own.run(["no-such-program"])

    some(5)
    before = look()
    some(60)
    assert look() == before
    assert own.stats()["server_starts"] == 1
