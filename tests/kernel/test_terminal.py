"""Terminals: escaping of what goes to one, and `--tty`: a terminal of the jail's own, its size, its keys, job control."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import pytest

from tests.core import PATIENCE, PYTHON, alive, eventually, execute, python, token

pytestmark = pytest.mark.usefixtures("python3")
SIZE = (33, 101)


@pytest.fixture
def python3(need_tool):
    return need_tool("python3")


class Terminal:
    """A program on a pseudo-terminal: type keys, wait for text, look at its settings."""

    def __init__(self, argv):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execv(argv[0], argv)
        self.resize(*SIZE)
        self.seen = b""
        self.status = None

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.master, keys)

    def read(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return True
        try:
            part = os.read(self.master, 65536)
        except OSError:
            part = b""
        self.seen += part
        return bool(part)

    def expect(self, pattern, seconds=15.0):
        """Wait for text that was not consumed by an earlier `expect`; return the match."""
        deadline = time.monotonic() + seconds * PATIENCE
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < deadline, f"{pattern!r} did not come: {self.seen!r}"
            assert self.read(0.1), f"{pattern!r} did not come before the end: {self.seen!r}"
        self.seen = self.seen[found.end() :]
        return found

    def settings(self):
        return termios.tcgetattr(self.master)

    def end(self, seconds=15.0):
        """Wait for the program's end; return its exit code or minus its signal."""
        deadline = time.monotonic() + seconds * PATIENCE
        while self.status is None and time.monotonic() < deadline:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        assert self.status is not None, f"does not end: {self.seen!r}"
        return self.status

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)


@pytest.fixture
def terminal():
    with contextlib.ExitStack() as stack:
        yield lambda *argv: stack.enter_context(contextlib.closing(Terminal([str(word) for word in argv])))


def test_output_onto_a_terminal_is_escaped(jailpy, terminal):
    text = r"a\033[31mb\007\tc\r\n\303\251 \302\233 \377 \342\200\256 end"
    shown = terminal(jailpy, "exec", "--", "printf", text)
    found = shown.expect(rb"(?s)a.*end").group()
    assert shown.end() == 0
    assert found == b"a\\x1b[31mb\\x07\tc\r\r\n\xc3\xa9 \\x9b \\xff \\u202e end", "the terminal itself adds one return"
    assert execute(jailpy, "--", "printf", text).out == b"a\x1b[31mb\x07\tc\r\n\xc3\xa9 \xc2\x9b \xff \xe2\x80\xae end"


def test_standard_error_onto_a_terminal_is_escaped_too(jailpy, terminal):
    shown = terminal(jailpy, "exec", "--", "sh", "-c", r"printf '\033]0;title\007' >&2; echo; exit 3")
    shown.expect(rb"\\x1b\]0;title\\x07")
    assert shown.end() == 3


def test_a_character_cut_in_two_is_shown_whole(jailpy, terminal):
    script = "import os,time\nfor b in 'é€😀'.encode(): os.write(1,bytes([b])); time.sleep(0.02)\nos.write(1,b'.')"
    terminal(jailpy, "exec", *python(script)).expect("é€😀\\.".encode())


def test_names_in_messages_are_escaped(jailpy, terminal):
    shown = terminal(jailpy, "exec", "--", "/no/\x1b[31m\n\u202esuch")
    shown.expect(rb"/no/\\x1b\[31m\\n\\u202esuch: not found")
    assert shown.end() == 127


def test_without_tty_there_is_no_terminal_inside(jailpy, terminal):
    script = "import os,fcntl,termios\nprint([os.isatty(n) for n in (0,1,2)])\n"
    script += "try: os.open('/dev/tty',2)\nexcept OSError as e: print('no tty')\n"
    script += "try: fcntl.ioctl(0,termios.TIOCSTI,b'x'); print('typed')\nexcept OSError as e: print('not typed')"
    shown = terminal(jailpy, "exec", *python(script))
    shown.expect(rb"\[False, False, False\]\s+no tty\s+not typed")
    assert shown.end() == 0


def test_input_typed_at_a_terminal_reaches_the_payload(jailpy, terminal):
    shown = terminal(jailpy, "exec", "--", "sh", "-c", "echo ready; read x; echo got:$x; cat; echo end")
    shown.expect(rb"ready")
    shown.type(b"hello\n")
    shown.expect(rb"got:hello")
    shown.type(b"\x04")
    shown.expect(rb"end")
    assert shown.end() == 0


def test_ctrl_c_without_tty_cancels(jailpy, terminal):
    shown = terminal(jailpy, "exec", "--", "sh", "-c", "echo ready; sleep 60")
    shown.expect(rb"ready")
    shown.type(b"\x03")
    assert shown.end() == 130


def test_tty_is_a_terminal_of_its_own_with_the_same_size(jailpy, terminal):
    shown = terminal(
        jailpy, "exec", "--tty", "--", "sh", "-c", "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo three"
    )
    assert shown.expect(rb"(/dev/pts/\d+)\s+33 101\s+three").group(1) == b"/dev/pts/0"
    assert shown.end() == 0


def test_tty_passes_escapes_through(jailpy, terminal):
    shown = terminal(jailpy, "exec", "--tty", "--", "printf", r"\033[1mbold\033[0m.")
    shown.expect(rb"\x1b\[1mbold\x1b\[0m\.")
    assert shown.end() == 0


def test_tty_follows_the_window_size(jailpy, terminal):
    script = "import os,signal,time\nsignal.signal(28,lambda *_: os.write(1,b'size %d %d' % os.get_terminal_size()))\n"
    shown = terminal(
        jailpy, "exec", "--tty", "--wall", "30s", *python(script + "print('ready',flush=True)\nwhile True: time.sleep(9)")
    )
    shown.expect(rb"ready")
    shown.resize(40, 120)
    shown.expect(rb"size 120 40")
    shown.type(b"\x03")
    shown.end()


def test_tty_ctrl_c_and_ctrl_d_are_the_payloads(jailpy, terminal):
    shown = terminal(
        jailpy, "exec", "--tty", "--", "sh", "-c", "trap 'echo caught' INT; echo ready; read x; echo after; cat; echo end"
    )
    shown.expect(rb"ready")
    shown.type(b"\x03")
    shown.expect(rb"caught")
    shown.type(b"\n")
    shown.expect(rb"after")
    shown.type(b"\x04")
    shown.expect(rb"end")
    assert shown.end() == 0


@pytest.mark.parametrize("data", [b"", b"a\nb\n", b"unfinished"])
def test_tty_ends_with_the_input_of_a_pipe(jailpy, data):
    done = execute(jailpy, "--tty", "--", "sh", "-c", "stty -echo; echo ready; cat; echo end", data=data)
    assert (done.status, done.verdict) == (0, "ok")
    assert done.out.endswith(data.replace(b"\n", b"\r\n") + b"end\r\n")


def test_tty_ctrl_c_ends_an_ordinary_payload(jailpy, terminal):
    shown = terminal(jailpy, "exec", "--tty", "--", "sh", "-c", "echo ready; exec sleep 60")
    shown.expect(rb"ready")
    shown.type(b"\x03")
    assert shown.end() == 130


def test_tty_job_control_inside(jailpy, terminal, need_tool):
    need_tool("bash")
    shown = terminal(jailpy, "exec", "--tty", "--", "bash", "--norc", "-i")
    shown.type(b"echo be''gin; sleep 50\n")
    shown.expect(rb"begin\r\n")
    time.sleep(0.3)
    shown.type(b"\x1a")
    shown.expect(rb"Stopped +sleep 50")
    shown.type(b"jobs; kill %1; exit 4\n")
    shown.expect(rb"Stopped +sleep 50")
    time.sleep(0.2)
    shown.type(b"exit 4\n")
    assert shown.end() == 4


def test_tty_job_control_outside(jailpy, terminal, need_tool):
    """Ctrl-Z at a payload without job control suspends JailPy as well; fg continues both."""
    need_tool("bash")
    word = token()
    shown = terminal("/bin/bash", "--norc", "-i")
    # One process: a shell whose child is stopped between vfork and execve cannot be stopped itself.
    inside = "import signal as s, time; s.signal(s.SIGCONT, lambda *_: print('resu' 'med')); print('rea' 'dy'); time.sleep(50)"
    shown.type(f'"{jailpy}" exec --tty --wall 60s -- {PYTHON} -uc "{inside}" {word}\n'.encode())
    shown.expect(rb"ready\r\n")
    before = shown.settings()
    assert not before[3] & termios.ICANON, "raw while the payload has it"
    shown.type(b"\x1a")
    shown.expect(rb"Stopped")
    assert eventually(lambda: shown.settings()[3] & termios.ECHO or shown.settings()[3] & termios.ISIG)
    shown.type(b"fg\n")
    shown.expect(rb"resumed\r\n")
    shown.type(b"\x03")
    shown.expect(rb"died of signal 2\r\n")  # JailPy's last word: what is typed before it is the payload's
    shown.type(b"echo status $?; exit\n")
    shown.expect(rb"status 130")
    shown.end()
    assert alive(word) == []


@pytest.mark.parametrize("how", ["end", "limit", "signal", "not found"])
def test_tty_gives_the_terminal_back(jailpy, terminal, how):
    script = {"end": "sleep 0.3; exit 1"}.get(how, "sleep 60")
    command = "/nosuch" if how == "not found" else f"sh -c '{script}'"
    shown = terminal(
        "/bin/sh",
        "-c",
        f'echo before; read x; "{jailpy}" exec -q --tty --wall {0.8 * PATIENCE}s -- {command}; echo st=$?; read y',
    )
    shown.expect(rb"before")
    before = shown.settings()
    shown.type(b"\n")
    if how != "not found":
        assert eventually(lambda: shown.settings() != before), "it was raw meanwhile"
    if how == "signal":
        launcher = eventually(lambda: [pid for pid in alive("-m\0jailpy") if _parent(pid) == shown.pid])[0]
        time.sleep(0.2)
        os.kill(launcher, signal.SIGTERM)
    wanted = {"end": b"1", "limit": b"124", "signal": b"143", "not found": b"127"}[how]
    shown.expect(b"st=" + wanted + b"\r\n")
    assert shown.settings() == before


def _parent(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[1])
    return 0


def test_tty_without_a_terminal_of_the_callers(jailpy):
    done = execute(jailpy, "--tty", "--", "sh", "-c", "tty; echo hi", data=b"")
    assert (done.status, done.out) == (0, b"/dev/pts/0\r\nhi\r\n")


def test_tty_output_is_bounded(jailpy):
    done = execute(jailpy, "--tty", "--output", "10K", "--", "yes")
    assert (done.verdict, len(done.out)) == ("output_limit", 10 << 10)


def test_tty_is_gone_with_the_run(jailpy, terminal):
    word = token()
    shown = terminal(
        jailpy, "exec", "--tty", *python("import os,time\nif os.fork()==0: os.setsid(); time.sleep(60)\nprint('x')", word)
    )
    shown.expect(rb"x")
    assert shown.end() == 0
    assert alive(word) == []
