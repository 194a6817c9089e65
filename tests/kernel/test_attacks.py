"""Attacks on live jails that go round the layers: through pipes, terminals, planted files, the launcher's own folders.

Each one stands beside a positive control: the same attack where nothing guards against it, or what the guard leaves.
"""

from __future__ import annotations

import json
import os
import pty
import resource
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

import jailpy as package
from jailpy.supervisor.streams import Input, Output
from tests.core import KERNEL, PATIENCE, PYTHON, alive, eventually, execute, python, start, token

# Takes bytes out of its own output between the supervisor's poll and its read. It knows that it won, and falls silent, once
# a denied call is answered no more.
STEALER = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static sem_t ask, answer;
static void *prober(void *unused) { for (;;) { sem_wait(&ask); syscall(SYS_ptrace, 16, 1, 0, 0); sem_post(&answer); } }
int main(void) {
  int mine = open("/dev/stdout", O_RDONLY | O_NONBLOCK); char byte; pthread_t thread; struct timespec until;
  if (mine < 0) return 9;
  sem_init(&ask, 0, 0); sem_init(&answer, 0, 0); pthread_create(&thread, 0, prober, 0);
  for (long delay = 0;; delay = (delay + 37) % 40000) {
    write(1, "x", 1);
    for (volatile long i = 0; i < delay; i++) {}
    if (read(mine, &byte, 1) != 1) continue;
    clock_gettime(CLOCK_REALTIME, &until); until.tv_nsec += 500000000;
    if (until.tv_nsec >= 1000000000) { until.tv_nsec -= 1000000000; until.tv_sec++; }
    sem_post(&ask);
    if (sem_timedwait(&answer, &until)) for (;;) pause();
  }
}
"""


@pytest.fixture
def shared(tmp_path):
    """A folder that the payload may write, and a file of the caller's beside it."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (tmp_path / "victim").write_text("untouched")
    return folder


# --- the payload's own pipe and terminal against the supervisor's clocks


def test_a_payload_that_empties_its_own_pipe_stops_no_clock(jailpy, tmp_path, need_tool):
    (tmp_path / "stealer.c").write_text(STEALER)
    program = tmp_path / "stealer"
    subprocess.run([need_tool("gcc"), "-O2", "-pthread", "-o", program, tmp_path / "stealer.c"], check=True)
    done = execute(jailpy, "--wall", "3s", "--cpu", "60s", "--ro", f"{program}:/work/stealer", "--", "/work/stealer")
    assert (done.status, done.verdict) == (124, "wall_limit")
    assert done.seconds < 3 + 3 * PATIENCE
    assert done.report["violation_count"] > 50, "control: it did take bytes out, as often as it asked"


@pytest.mark.timeout(10)
def test_no_stream_waits_where_nothing_is_left_to_read():
    reader, writer = os.pipe()
    sink = os.open(os.devnull, os.O_WRONLY)
    output, source = Output(reader, sink, escape=False), Input(reader, sink)
    assert output.step(100)  # control: without O_NONBLOCK this would wait for ever
    assert source.step()
    os.write(writer, b"x")
    assert output.step(100)
    assert output.count == 1
    output.close()
    source.close()
    os.close(writer)
    os.close(sink)


@pytest.mark.timeout(10)
def test_an_input_with_a_name_waits_for_nothing_and_ends(tmp_path):
    """The payload may be shown the FIFO, read what was polled, and keep it open: no clock would be looked at."""
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    reader = os.open(tmp_path / "pipe", os.O_RDONLY)
    to, sink = os.pipe()
    source = Input(reader, sink)
    assert source.step()
    os.write(writer, b"x")
    assert source.step()
    assert source.step()
    assert os.read(to, 10) == b"x"
    assert select.select([source.interest()[0]], [], [], 0)[0] == []
    os.close(writer)
    assert select.select([source.interest()[0]], [], [], 0)[0] == [reader]
    assert not source.step()
    source.close()
    for number in (reader, to, sink):
        os.close(number)


class OnTerminal:
    """A program as the leader of a session on a terminal of its own, as `script`, sshd or docker run start it."""

    def __init__(self, *argv):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execv(argv[0], argv)
        self.seen = b""

    def read(self, seconds, until=b"\0none"):
        deadline = time.monotonic() + seconds
        while until not in self.seen and (left := deadline - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    break
        return until in self.seen

    def end(self, seconds):
        """Return how it changed within that time: ("exited", status), ("stopped", signal) or None; then end it."""
        deadline, change = time.monotonic() + seconds, None
        while change is None and time.monotonic() < deadline:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                change = "stopped", os.WSTOPSIG(status)
            elif pid:
                change = "exited", os.waitstatus_to_exitcode(status)
        if change is None or change[0] == "stopped":
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)
        return change


@pytest.mark.parametrize("name", ["STOP", "TSTP"])
def test_a_payload_that_stops_itself_on_a_terminal_stops_no_clock(jailpy, name):
    script = f"while :; do kill -{name} $$; done"
    assert OnTerminal("/bin/sh", "-c", "kill -STOP $$").end(5) == ("stopped", signal.SIGSTOP), "control"
    ended = OnTerminal(jailpy, "exec", "--tty", "--wall", "1s", "--", "sh", "-c", script).end(8)
    assert ended == ("exited", 124)


def test_nothing_runs_on_while_the_launcher_is_suspended(jailpy, shared, need_tool):
    """Under a shell with job control the launcher stops with the payload, and so do its clocks."""
    shell = OnTerminal(need_tool("bash"), "--norc", "-i")
    beat = "while :; do echo x >>/work/shared/beat; sleep 0.01; done & sleep 0.5; kill -STOP $$; echo re''sumed; exec sleep 60"
    line = f'"{jailpy}" exec --tty --rw "{shared}:/work/shared" -- sh -c "{beat.replace("$", chr(92) + "$")}"\n'
    os.write(shell.master, line.encode())
    assert shell.read(15, b"Stopped"), shell.seen
    size = os.path.getsize(shared / "beat")
    assert size > 0, "control: it ran before"
    time.sleep(0.5)
    assert os.path.getsize(shared / "beat") - size <= 2
    os.write(shell.master, b"fg\n")
    assert shell.read(10, b"resumed"), shell.seen
    assert eventually(lambda: os.path.getsize(shared / "beat") > size + 10), "control: it runs again"
    os.write(shell.master, b"\x03")
    assert shell.read(10, b"died of signal 2"), shell.seen
    os.write(shell.master, b"exit\n")
    assert shell.end(10)[0] == "exited"


RUNS_ON = """
import ctypes, os, signal, sys, time
libc = ctypes.CDLL(None, use_errno=True)
create, settime = {"x86_64": (222, 223), "aarch64": (107, 110)}[os.uname().machine]
class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("number", ctypes.c_int), ("how", ctypes.c_int), ("rest", ctypes.c_char * 48)]
if os.fork() == 0:
    event, timer = Event(None, signal.SIGCONT, 0, b""), ctypes.c_int()
    for at in range(4, 400):  # tenths of a second; one that is pending when the stop comes is lost
        assert libc.syscall(create, 1, ctypes.byref(event), ctypes.byref(timer)) == 0
        assert libc.syscall(settime, timer, 0, (ctypes.c_long * 4)(0, 0, at // 10, at % 10 * 100_000_000), None) == 0
    while True:
        with open("/work/shared/beat", "a") as file:
            file.write("x")
time.sleep(0.3)
os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(60)
"""


def test_limits_hold_while_the_launcher_is_suspended(jailpy, shared, need_tool, tmp_path):
    """A timer of the payload's continues it, whoever has stopped it: then a guard in place of the launcher ends the run."""
    word = token()
    (tmp_path / "run.sh").write_text(
        f'exec "{jailpy}" exec --tty --cpu 1s --wall 100s --rw "{shared}:/work/shared" -- {PYTHON} -c "$1" {word}\n'
    )
    (tmp_path / "runs_on.py").write_text(RUNS_ON.rstrip())

    def payload():
        return set(alive(word)) - set(alive("--tty")) - {shell.pid}

    shell = OnTerminal(need_tool("bash"), "--norc", "-i")
    os.write(shell.master, f'sh {tmp_path}/run.sh "$(cat {tmp_path}/runs_on.py)"\n'.encode())
    assert shell.read(15, b"Stopped"), shell.seen
    size = os.path.getsize(shared / "beat")
    assert payload(), "control: it lives"
    assert eventually(lambda: os.path.getsize(shared / "beat") > size, 10), "control: it does run on"
    assert eventually(lambda: not payload(), 20), "over, and the launcher still stopped"
    assert alive(word), "control: that is there"
    os.write(shell.master, b"fg\n")
    assert shell.read(10, b"cpu_limit"), shell.seen
    os.write(shell.master, b"echo status $?; exit\n")
    assert shell.read(10, b"status 124"), shell.seen
    assert shell.end(10)[0] == "exited"


# --- files that JailPy writes itself (CVE-2024-28185)


@pytest.mark.parametrize("plant", ["ln -s ../victim", "ln -s {victim}", "mkfifo", "echo forged >"])
def test_a_report_is_not_led_elsewhere(jailpy, tmp_path, shared, plant):
    victim, report = tmp_path / "victim", shared / "report.json"
    script = f"cd /work/shared && {plant.format(victim=victim)} report.json"
    with start(jailpy, "--rw", f"{shared}:/work/shared", "--report", report, "--", "sh", "-c", script) as process:
        assert process.wait(timeout=20) == 0
    assert victim.read_text() == "untouched"
    assert not report.is_symlink()
    assert json.loads(report.read_text())["verdict"] == "ok"
    assert os.listdir(shared) == ["report.json"]


@pytest.mark.parametrize("option", ["--stdout", "--stderr"])
def test_output_does_not_follow_the_link_of_an_earlier_run(jailpy, tmp_path, shared, option):
    victim, name = tmp_path / "victim", shared / "out.txt"
    words = ["--rw", f"{shared}:/work/shared"]
    assert execute(jailpy, *words, "--", "ln", "-s", victim, "/work/shared/out.txt").status == 0
    assert name.is_symlink(), "control: it did plant the link"
    with start(jailpy, *words, option, name, "--", "sh", "-c", "echo bad; echo bad >&2") as process:
        _, err = process.communicate(timeout=20)
    assert process.returncode == 125
    assert err.startswith(f"jailpy: error: option {option} {name}: is a symbolic link\n".encode())
    assert victim.read_text() == "untouched"
    name.unlink()
    with start(jailpy, *words, option, name, "--", "sh", "-c", "echo good; echo good >&2") as process:
        assert process.wait(timeout=20) == 0
    assert name.read_text() == "good\n", "control"


def test_input_does_not_follow_the_link_of_an_earlier_run(jailpy, tmp_path, shared):
    """What the link leads to would be read by the launcher, which may read more, and handed to the payload."""
    name, words = shared / "in.txt", ["--rw", f"{shared}:/work/shared"]
    assert execute(jailpy, *words, "--", "ln", "-s", tmp_path / "victim", "/work/shared/in.txt").status == 0
    with start(jailpy, *words, "--stdin", name, "--", "cat") as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (125, b"")
    assert err.startswith(f"jailpy: error: option --stdin {name}: is a symbolic link\n".encode())
    name.unlink()
    name.write_text("good")
    assert execute(jailpy, *words, "--stdin", name, "--", "cat").out == b"good", "control"
    assert execute(jailpy, *words, "--stdin", "/dev/stdin", "--", "cat", data=b"good").out == b"good", "control"


@pytest.mark.parametrize("option", ["--stdout", "--stderr", "--report"])
def test_output_does_not_follow_a_link_to_what_is_no_file(jailpy, tmp_path, shared, option):
    """A pipe here; as root it could be a disk. Named as such it is written to."""
    pipe, name = tmp_path / "pipe", shared / "out"
    os.mkfifo(pipe)
    words = ["--rw", f"{shared}:/work/shared"]
    assert execute(jailpy, *words, "--", "ln", "-s", pipe, "/work/shared/out").status == 0
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for path, written in ((name, False), (pipe, True)):
            with start(jailpy, *words, option, path, "--", "sh", "-c", "echo bad; echo bad >&2") as process:
                process.communicate(timeout=20)
            assert (process.returncode == 0) is (written or option == "--report")
            assert bool(os.read(reader, 1 << 16)) is written
    finally:
        os.close(reader)
    assert option != "--report" or json.loads(name.read_text())["verdict"] == "ok"


def test_outputs_that_are_no_files_still_work(jailpy):
    with start(jailpy, "--stdout", "/dev/stdout", "--report", "/dev/stderr", "--", "echo", "out") as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, b"out\n")
    assert json.loads(err)["verdict"] == "ok"
    assert os.path.islink("/dev/stdout")


# --- where the policy of later runs is kept


@pytest.mark.parametrize("name", ["parent", "above", "link", "home"])
def test_no_payload_may_write_what_later_runs_obey(jailpy, tmp_path, name):
    """A mask would not do: the payload renames a parent of the mask and makes the folder anew."""
    home = tmp_path / "home"
    behind = tmp_path / "behind"
    for folder in (home / "free" / "deep", behind):
        folder.mkdir(parents=True)
    (home / ".cache").symlink_to(behind) if name == "link" else (home / ".cache").mkdir()
    environment = {
        **os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }  # fmt: skip
    source = {"parent": home / ".cache", "above": home, "link": behind, "home": "~"}[name]
    refused = execute(jailpy, "--rw", f"{source}:/work/x", "--", "mv", "/work/x/.cache", "/work/x/old", env=environment)
    assert (refused.status, refused.verdict) == (125, "not_started")
    assert b"without JailPy's own cache" in refused.err
    moved = execute(jailpy, "--rw", f"{home / 'free'}:/work/x", "--", "mv", "/work/x/deep", "/work/x/old", env=environment)
    assert moved.status == 0, "control: elsewhere the attack's rename works"
    assert os.listdir(home / "free") == ["old"]


@pytest.mark.parametrize("shown", ["tree", "tree/jailpy", "tree/jailpy/cli", "python"])
def test_no_payload_may_write_the_code_that_looks_after_it(tmp_path, shown):
    """A report, and a hint, import modules when the payload has ended."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(package.__file__)))
    shutil.copytree(f"{root}/jailpy", tmp_path / "tree" / "jailpy")
    (tmp_path / "tree" / "free").mkdir()
    source = {"python": os.path.dirname(os.__file__)}.get(shown, tmp_path / shown)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "tree")}

    def run(*words):
        command = [sys.executable, "-P", "-m", "jailpy", "exec", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    refused = run("--rw", f"{source}:/work/x", "--", "true")
    assert (refused.returncode, "without JailPy's own code" in refused.stderr) == (125, True)
    (tmp_path / "tree" / "jailpy" / "cli" / "unshown.py").write_text("raise SystemExit(77)\n")
    control = run("--rw", f"{tmp_path}/tree/free:/work/x", "--", "sh", "-c", "touch /work/x/made; exit 3")
    assert (control.returncode, os.listdir(tmp_path / "tree" / "free")) == (77, ["made"]), "imported when the payload had ended"


def test_the_cache_cannot_be_read_through_a_linked_folder(jailpy, tmp_path):
    behind = tmp_path / "behind"
    behind.mkdir()
    (tmp_path / "cache").symlink_to(behind)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    execute(jailpy, "--", "true", env=environment)
    assert os.listdir(behind / "jailpy"), "control: the caller has its cache there"
    done = execute(jailpy, "--ro", f"{behind}:/work/x", "--", "ls", "-A", "/work/x/jailpy", env=environment)
    assert (done.status, done.out) == (0, b"")


KEPT_OPEN = """
import array, os, socket, sys
ours, theirs = socket.socketpair()
for sender, other in ((ours, theirs), (theirs, ours)):
    sent = array.array("i", [1, 2, sender.fileno(), other.fileno()])
    sender.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, sent)])
print("done", flush=True)
"""


def stays_open():
    """Run the script unjailed, and say whether its output is open once it has ended, until some socket is closed."""
    with subprocess.Popen([PYTHON, "-I", "-c", KEPT_OPEN], stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.wait(timeout=20) == 0
        os.set_blocking(process.stdout.fileno(), False)
        assert process.stdout.read() == b"done\n"
        return process.stdout.read(1) is None


@pytest.mark.parametrize("terminal", [[], ["--tty"]], ids=["pipes", "terminal"])
def test_output_that_is_left_open_in_sockets_is_not_waited_for(jailpy, terminal):
    """Sockets that hold each other, in their queues, are closed when the kernel looks for such ones: maybe never."""
    assert eventually(stays_open, 20), "control"
    for _ in range(2):  # another program may close a socket just then
        done = execute(jailpy, *terminal, "--wall", f"{5 * PATIENCE}s", *python(KEPT_OPEN), timeout=30)
        assert (done.verdict, done.out.split()) == ("ok", [b"done"])


def test_what_is_left_in_sockets_is_closed_after_the_run():
    """Files, pipes and memory of a run would be there until some other program closes a socket."""
    script = KEPT_OPEN.replace("[1, 2, ", "[1, 2, int(sys.argv[1]), ")
    for _ in range(3):
        reader, writer = os.pipe()
        done = package.run([PYTHON, "-I", "-c", script, str(writer)], pass_fds=[writer])
        os.close(writer)
        assert done.verdict == "ok", done.stderr
        ready, _, _ = select.select([reader], [], [], PATIENCE)
        os.close(reader)
        assert ready, "no end of file: the payload's descriptor is open still"


# --- init


FORGER = """
import ctypes, os, signal, sys, time
libc = ctypes.CDLL(None, use_errno=True)
got = []
signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
def queue(pid, number):
    info = (ctypes.c_int * 32)(number, 0, -1, 0, 0, 0)
    return libc.syscall({"x86_64": 129, "aarch64": 138}[os.uname().machine], pid, number, info)
if sys.argv[1] == "init":
    sent = [queue(1, signal.SIGUSR1) for _ in range(20)]
    time.sleep(0.3)
    print(len(sent) == -sum(sent) or set(sent) == {0}, len(got))
elif sys.argv[1] == "self":
    print(queue(os.getpid(), signal.SIGUSR1) == 0, len(got))
elif sys.argv[1] == "full":
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while queue(os.getpid(), 40) == 0:
        pass
    print(queue(1, signal.SIGTERM), queue(os.getpid(), signal.SIGUSR1))
    lost = signal.sigwaitinfo([signal.SIGUSR1])
    print(lost.si_code, lost.si_pid)
    print(signal.sigtimedwait([signal.SIGTERM], 0.5))
else:
    for _ in range(8):
        if os.fork() == 0:
            while True:
                for number in range(1, 65):
                    queue(1, number)
    time.sleep(0.5)
    os._exit(5)
"""


@pytest.mark.parametrize("profile", ["strict", "observe"])
def test_init_takes_no_orders_from_the_payload(jailpy, profile):
    """siginfo says "from outside the pid namespace" (si_pid 0), which rt_sigqueueinfo(2) lets anyone write."""
    done = execute(jailpy, "-p", profile, *python(FORGER, "init"))
    assert done.out == b"True 0\n", done
    assert execute(jailpy, "-p", profile, *python(FORGER, "self")).out == b"True 1\n", "control"


def test_a_signal_that_lost_its_sender_is_no_order(jailpy):
    """With no room for one more siginfo the kernel says that a standard signal came by kill(2) from process 0."""
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_SIGPENDING, (500, 500))}
    done = execute(jailpy, "-p", "observe", *python(FORGER, "full"), **limit)
    sent, lost, forwarded = done.out.decode().splitlines()
    assert (sent, lost) == ("0 0", "0 0"), "control: si_code and si_pid are those of a signal from outside"
    assert forwarded == "None"


def test_a_signal_of_a_descriptor_is_no_order(jailpy):
    """F_SETOWN has the kernel itself send SIGIO: to init, whose number anybody in the jail may name where Landlock has no say."""
    script = """
import fcntl, os, signal, socket, sys, time
got = []
signal.signal(signal.SIGIO, lambda number, frame: got.append(number))
ours, theirs = socket.socketpair()
fcntl.fcntl(ours, fcntl.F_SETOWN, int(sys.argv[1]) or os.getpid())
fcntl.fcntl(ours, fcntl.F_SETFL, os.O_ASYNC)
theirs.send(b"x")
time.sleep(0.5)
print(len(got))
"""
    assert execute(jailpy, "-p", "observe", *python(script, 0)).out == b"1\n", "control"
    assert execute(jailpy, "-p", "observe", *python(script, 1)).out == b"0\n"


def test_a_flood_of_signals_does_not_keep_init_from_the_end(jailpy):
    done = execute(jailpy, "-p", "observe", "--wall", f"{20 * PATIENCE}s", *python(FORGER, "flood"))
    assert (done.status, done.verdict) == (5, "nonzero_exit")
    assert done.seconds < 15 * PATIENCE


DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        os.closerange(0, 3)
        beat = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o644)
        while True:
            os.pwrite(beat, repr(time.time()).encode(), 0)
            time.sleep(0.003)
    os._exit(0)
time.sleep(0.5)
"""


def test_a_daemon_ends_with_the_run(jailpy, shared):
    beat, word = shared / "beat", token()
    subprocess.run([sys.executable, "-c", DAEMON, beat, word], check=True)
    first = beat.read_text()
    try:
        assert eventually(lambda: beat.read_text() != first), "control: without a jail it goes on"
    finally:
        for pid in alive(word):
            os.kill(pid, signal.SIGKILL)
    beat.unlink()
    done = execute(jailpy, "--rw", f"{shared}:/work/shared", *python(DAEMON, "/work/shared/beat", word))
    ended, last = time.time(), beat.read_text()
    assert done.verdict == "ok"
    assert alive(word) == []
    assert ended > float(last)
    time.sleep(0.1)
    assert beat.read_text() == last


# --- what can be seen and had


SEARCH = """
import os, sys
word = sys.argv[1].encode()[::-1]
found = [name for name, value in os.environ.items() if word.decode() in value]
for number in range(3, 64):
    try:
        found += [str(number)] if word in os.pread(number, 4096, 0) else []
    except OSError:
        pass
for top in ("/proc/1", "/proc/self", "/tmp", "/work", "/dev/shm", "/run", "/etc"):
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in ("task", "root", "cwd", "map_files") and folder.count("/") < 12]
        for name in names:
            path = os.path.join(folder, name)
            try:
                file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                found += [path] if word in os.read(file, 65536) and "cmdline" not in name else []
                os.close(file)
            except OSError:
                pass
print(sorted(found))
"""


def test_a_secret_of_the_caller_is_nowhere(jailpy, tmp_path):
    word = token()
    (tmp_path / "answers").write_text(word)
    with open(tmp_path / "answers", encoding="ascii") as answers:
        how = {"env": {**os.environ, "ANSWER": word}, "pass_fds": (answers.fileno(),)}
        plain = subprocess.run([PYTHON, "-I", "-c", SEARCH, word[::-1]], capture_output=True, text=True, **how).stdout
        assert "ANSWER" in plain, "control"
        assert f"'{answers.fileno()}'" in plain, "control"
        done = execute(jailpy, "--wall", "60s", "--cpu", "60s", *python(SEARCH, word[::-1]), **how)
    assert (done.status, done.out) == (0, b"[]\n")


@pytest.mark.root
def test_a_run_by_root_has_its_owners_rights_in_a_folder_and_no_more(jailpy, shared):
    for name, owner in (("own", 0), ("other", 4242)):
        (shared / name).write_text(name)
        os.chown(shared / name, owner, owner)
        (shared / name).chmod(0o600)
    os.mknod(shared / "device", 0o020666, os.makedev(1, 5))
    script = """
        cd /work/shared; cat own; cat other; head -c1 device; chmod u+s own; chown 0 own; echo new >made
        cp own copy; chmod 6755 copy; mknod node c 1 3; ln -s /etc/shadow link; cat link; true
    """
    done = execute(jailpy, "--rw", f"{shared}:/work/shared", "--", "sh", "-c", script)
    assert (done.status, done.out) == (0, b"own"), "control: what belongs to the folder's owner is read"
    assert {(entry.name, entry.stat(follow_symlinks=False).st_uid) for entry in os.scandir(shared)} == {
        ("own", 0), ("other", 4242), ("device", 0), ("made", 0), ("copy", 0), ("link", 0),
    }  # fmt: skip
    assert not any(os.lstat(entry).st_mode & 0o6000 for entry in os.scandir(shared))


POLICY_OF_EACH_PAGE = """
import ctypes, errno, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
file, size = os.open("/tmp/x", os.O_RDWR | os.O_CREAT), 1 << 20
os.ftruncate(file, size)
area = mmap.mmap(file, size)
at = ctypes.addressof(ctypes.c_char.from_buffer(area))
number = {"x86_64": 237, "aarch64": 235}[os.uname().machine]
for page in range(0, size, 8192):  # MPOL_BIND to node 0
    if libc.syscall(number, ctypes.c_void_p(at + page), 4096, 2, ctypes.byref(ctypes.c_ulong(1)), 64, 0):
        sys.exit(errno.errorcode[ctypes.get_errno()])
print("made")
"""


def test_no_policies_are_made_for_pages_of_files_in_memory(jailpy):
    """Each takes 340 bytes that no cgroup counts, and stays while the file does: 100 MB within a memory limit of 32."""
    control = execute(jailpy, "--set", 'seccomp.allow=["mbind"]', *python(POLICY_OF_EACH_PAGE))
    if control.err == b"ENOSYS\n":
        pytest.skip("this kernel has no NUMA policies")
    assert control.out == b"made\n", control.err
    done = execute(jailpy, *python(POLICY_OF_EACH_PAGE))
    assert (done.out, done.err) == (b"", b"ENOSYS\n")


LONG_LISTS = """
import errno, os, struct, sys, tempfile
entries = [(1, 7, -1), *[(2, 7, os.getuid())] * 8000, (4, 7, -1), (16, 7, -1), (32, 7, -1)]
acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
folder = tempfile.mkdtemp(dir="/tmp")
file = os.open("/tmp/x", os.O_RDWR | os.O_CREAT)
said = []
for on, name in ((folder, "access"), (folder, "default"), (file, "access")):
    try:
        os.setxattr(on, f"system.posix_acl_{name}", acl)
        said.append("made")
    except OSError as error:
        said.append(errno.errorcode[error.errno])
print(*said)
"""


def test_no_access_control_lists_are_made_of_files_in_memory(jailpy):
    """Each takes 64 KB that no cgroup counts, as long as there is the file: 250 MB within a memory limit of 32."""
    control = execute(jailpy, "--set", 'seccomp.allow=["setxattr", "fsetxattr"]', *python(LONG_LISTS))
    if b"ENOTSUP" in control.out:
        pytest.skip("this kernel's tmpfs has no access control lists")
    assert control.out == b"made made made\n", control.err
    assert execute(jailpy, *python(LONG_LISTS)).out == b"ENOTSUP ENOTSUP ENOTSUP\n"


FILL_CONNECTIONS = """
import socket, sys
kept, size, listener = [], 0, socket.create_server(("127.0.0.1", 0))
for _ in range(200):
    ours = socket.create_connection(listener.getsockname())
    kept.append((ours, listener.accept()[0]))
    ours.setblocking(False)
    try:
        while True:
            size += ours.send(b"x" * 65536)
    except BlockingIOError:
        pass
print(size >> 20)
"""


def test_memory_of_connections_counts_too(jailpy):
    with open("/proc/sys/net/ipv4/tcp_mem", encoding="ascii") as file:
        if int(file.read().split()[2]) * os.sysconf("SC_PAGE_SIZE") < 256 << 20:
            pytest.skip("this host has too little memory for TCP to tell")
    bounds = ("--net", "loopback", "--open-files", "4096", "--wall", "20s", "--cpu", "20s")
    control = execute(jailpy, *bounds, "--memory", "1G", *python(FILL_CONNECTIONS))
    assert int(control.out) > 64, control
    done = execute(jailpy, *bounds, "--memory", "24M", *python(FILL_CONNECTIONS))
    assert done.verdict == "memory_limit" or int(done.out) < 48, done


@pytest.mark.parametrize("where", ["sockets", "page tables", "pipes"])
def test_kernel_memory_counts_too(jailpy, where):
    """Control: the same with a bound of its own stays below the limit and ends well."""
    script = """
import mmap, os, socket, sys
kept, most = [], int(sys.argv[2])
def fill(writer, write):
    os.set_blocking(writer, False)
    try:
        while True:
            write(b"x" * 65536)
    except BlockingIOError:
        pass
def sockets():
    a, b = socket.socketpair()
    kept.append((a, b))
    fill(a.fileno(), a.send)
def pipes():
    ends = os.pipe()
    kept.append(ends)
    fill(ends[1], lambda data: os.write(ends[1], data))
def tables():
    if not kept:
        kept.append((mmap.mmap(-1, 1 << 42, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000), [0]))
    area, at = kept[0]
    for _ in range(256):
        area[at[0]]
        at[0] += 1 << 21
work = {"sockets": sockets, "page tables": tables, "pipes": pipes}[sys.argv[1]]
for _ in range(most):
    work()
"""
    bounds = ("--memory", "24M", "--open-files", "4096", "--wall", "20s", "--cpu", "20s")
    assert execute(jailpy, *bounds, *python(script, where, 8)).verdict == "ok"
    done = execute(jailpy, *bounds, *python(script, where, 1500))
    assert done.verdict == "memory_limit" or (where == "pipes" and done.status == 0), done


@pytest.fixture
def deep(tmp_path):
    """Return a folder of so many levels that pytest's own clean-up, which recurses, could not remove it."""
    here, top = os.getcwd(), tmp_path / "deep"
    top.mkdir()
    try:
        os.chdir(top)
        for _ in range(1500):
            os.mkdir("a")
            os.chdir("a")
        yield top
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", top], check=True)


def test_a_folder_of_a_thousand_levels_is_no_bug(jailpy, deep):
    done = execute(jailpy, "--cow", f"{deep}:/work/deep", "--", "touch", "/work/deep/a/a/made", cwd="/")
    if KERNEL < (6, 6):  # no user.* xattrs on tmpfs: the folder is copied
        assert done.status == 125
        assert done.err.startswith(b"jailpy: error: mount: could not copy ")
        assert done.err.endswith(b" 200 deep\n")
        return
    assert (done.status, done.err) == (0, b"")
