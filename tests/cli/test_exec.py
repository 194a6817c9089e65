"""`jailpy exec` from outside: exit statuses, the report, the streams, and every kind of bad input."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

import jailpy as package
from jailpy import __version__
from jailpy.profile.model import LAYERS
from jailpy.supervisor.outcome import VERDICTS
from tests.core import PATIENCE, PYTHON, alive, eventually, execute, groups_of, python, start, token

pytestmark = pytest.mark.usefixtures("python3")


@pytest.fixture
def python3(need_tool):
    return need_tool("python3")


def sh(script):
    return ["--", "sh", "-c", script]


# the module path


LEAVE_MODULES = """
import sys
for name in sys.stdlib_module_names:
    with open(f'/work/here/{name}.py', 'w') as file:
        file.write("import posix\\nposix.write(1, b'planted')\\nposix._exit(77)\\n")
sys.exit(3)
"""


def test_nothing_is_imported_from_the_current_folder(tmp_path):
    """A payload that may write there would leave what the launcher imports later, for the report say."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(package.__file__)))
    options = ["--rw", ".:/work/here", "--report", "r.json"]
    command = [sys.executable, "-m", "jailpy", "exec", *options, "--", "python3", "-c", LEAVE_MODULES]
    run = lambda path: subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True, timeout=60
    )
    assert (run(root).returncode, "r.json" in os.listdir(tmp_path)) == (3, True)
    for name in os.listdir(tmp_path):
        os.unlink(tmp_path / name)
    control = run(f"{tmp_path}:{root}")
    assert (control.returncode, control.stdout) == (77, "planted"), "the caller's own words are obeyed"


# exit statuses


@pytest.mark.parametrize("code", [0, 1, 3, 124, 125, 126, 127, 137, 255])
def test_the_payloads_own_status(jailpy, code):
    done = execute(jailpy, *sh(f"exit {code}"))
    assert done.status == code
    assert (done.report["exit_code"], done.report["signal"]) == (code, None)
    assert done.verdict == ("nonzero_exit" if code else "ok")
    assert done.evidence is None


@pytest.mark.parametrize("number", [1, 2, 3, 6, 9, 11, 13, 14, 15, 24, 25, 34, 64])
def test_death_by_a_signal(jailpy, number):
    done = execute(
        jailpy, *python(f"import os,signal\nif {number} not in (9,): signal.signal({number},0)\nos.kill(os.getpid(),{number})")
    )
    assert done.status == 128 + number
    assert (done.report["exit_code"], done.report["signal"]) == (None, number)
    assert done.verdict == ("file_size_limit" if number == 25 else "signaled")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["cat", "a.py"], "a.py is here, but not in the jail; to show it: --ro a.py"),
        (["cat", "./a.py"], "./a.py is here, but not in the jail; to show it: --ro a.py"),
        (["cat", "in side/b"], "in side/b is here, but not in the jail; to show it: --ro 'in side'"),
        (["cat", "nothing"], None),
        (["cat", "/etc/shadow"], None),
        (["cat", "../a.py"], None),
        (["true", "a.py"], None),
    ],
)
def test_a_file_that_nobody_showed_is_named(jailpy, tmp_path, monkeypatch, words, named):
    folder = tmp_path / "in side"
    folder.mkdir()
    for path in (tmp_path / "a.py", folder / "b", folder / "a.py"):
        path.touch()
    monkeypatch.chdir(folder if words[1].startswith("..") else tmp_path)
    found = [line for line in execute(jailpy, "--", *words).err.decode().splitlines() if "hint" in line]
    assert found == ([] if named is None else [f"jailpy: hint: {named}"])


@pytest.mark.parametrize("options", [["--ro", "a.py"], ["--put", "a.py"], ["--ro", ".:/work"], ["--workdir", "/x"], ["-q"]])
def test_a_file_that_is_shown_is_not_named(jailpy, tmp_path, monkeypatch, options):
    (tmp_path / "a.py").touch()
    monkeypatch.chdir(tmp_path)
    done = execute(jailpy, *options, "--", "sh", "-c", "exit 3", "a.py")
    assert (done.status, b"hint" in done.err) == (3, options[0] == "--workdir")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 is an ABI of x86-64")
def test_a_call_of_another_architecture_is_a_security_violation(jailpy):
    """x32's getpid: the kernel kills the caller by SIGSYS, and that names the verdict."""
    call = "import ctypes; print(ctypes.CDLL(None).syscall({}) > 0)"
    assert execute(jailpy, *python(call.format(39))).verdict == "ok"
    done = execute(jailpy, *python(call.format(0x40000000 + 39)))
    assert (done.status, done.verdict, done.report["signal"]) == (137, "security_violation", 31)


@pytest.mark.parametrize(("options", "status", "verdict"), [
    (["--wall", "200ms", *sh("sleep 60")], 124, "wall_limit"),
    (["--idle", "300ms", *sh("sleep 60")], 124, "idle_limit"),
    (["--cpu", "200ms", *sh("while :; do :; done")], 124, "cpu_limit"),
    (["--output", "1K", *sh("yes")], 137, "output_limit"),
    (["--set", 'seccomp.violation="kill"', *python("import ctypes; ctypes.CDLL(None).ptrace(0,0,0,0)")], 137, "security_violation"),
])  # fmt: skip
def test_status_of_what_was_ended(jailpy, options, status, verdict):
    done = execute(jailpy, *options)
    assert (done.status, done.verdict) == (status, verdict)
    assert (done.report["exit_code"], done.report["signal"]) == (None, 9)


def test_not_found_in_the_jail(jailpy, tmp_path):
    for command in ("nosuchcommand", "/nosuch/command", "/usr/bin/true/below"):
        done = execute(jailpy, "--", command)
        assert (done.status, done.verdict) == (127, "not_started"), command
        assert b"not found in the jail" in done.err
        assert done.err.startswith(b"jailpy: error: command: ")
    assert b"looked for it in /usr/local/bin, /usr/bin, /bin" in execute(jailpy, "--", "nosuchcommand").err


def test_a_shim_outside_of_the_jail_is_named(jailpy, tmp_path):
    shim = tmp_path / "onlyhere"
    shim.write_text("#!/bin/sh\n")
    shim.chmod(0o755)
    done = execute(jailpy, "--", "onlyhere", env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.status == 127
    assert f"the caller's {shim} lies outside the jail".encode() in done.err
    done = execute(jailpy, "--set", "filesystem.root=empty", "--", "true")
    assert (done.status, b'a root of its own (filesystem.root = "empty")' in done.err) == (127, True)
    done = execute(jailpy, "--", str(shim))
    assert (done.status, b"exists on the host, outside the jail" in done.err) == (127, True)


def test_who_asked_for_what_is_not_there(jailpy, tmp_path):
    profile = tmp_path / "own.toml"
    profile.write_text('schema = 1\nextends = ["strict"]\n[filesystem]\nro = ["/no/such:/data"]\n')
    hint = b"hint: profile own asks for it: filesystem.ro"
    done = execute(jailpy, "-p", profile, *sh("true"))
    assert (done.status, hint in done.err) == (125, True)
    done = execute(jailpy, "--ro", "/no/such", *sh("true"))
    assert (done.status, b"asks for it" in done.err) == (125, False)


def test_found_but_not_executable(jailpy, tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho ran\n")
    for command in ("/etc/passwd", "/usr"):
        done = execute(jailpy, "--", command)
        assert (done.status, done.verdict) == (126, "not_started")
    assert b"hint: it is a folder" in done.err
    assert b"--ro" not in done.err
    done = execute(jailpy, "--ro", f"{script}:/work/script", "--", "./script")
    assert done.status == 126, "no x bit"
    assert b"hint: nobody may execute it: chmod +x" in done.err
    assert b"--ro" not in done.err
    script.chmod(0o755)
    done = execute(jailpy, "--ro", f"{script}:/work/script", "--", "/work/script")
    assert (done.status, done.out) == (0, b"ran\n"), done.err
    done = execute(jailpy, "--put", f"{script}:/work/script", "--", "/work/script")
    assert done.status == 126, "what can be written is not executed"
    assert b"--profile grade" in done.err


def test_an_interpreter_that_is_not_in_the_jail(jailpy, tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/opt/nosuch/interpreter\n")
    script.chmod(0o755)
    done = execute(jailpy, "--ro", f"{script}:/work/script", "--", "/work/script")
    assert done.status == 127
    assert b"interpreter that its first line" in done.err


def test_a_script_without_first_line_is_not_executable(jailpy, tmp_path):
    script = tmp_path / "script"
    script.write_text("echo hi\n")
    script.chmod(0o755)
    done = execute(jailpy, "--ro", f"{script}:/work/script", "--", "/work/script")
    assert (done.status, done.verdict) == (126, "not_started")
    assert b"Exec format error" in done.err


# the report

TYPES = {
    "schema": int, "jailpy": str, "profile": dict, "command": list, "verdict": str, "exit_code": (int, type(None)),
    "signal": (int, type(None)), "evidence": (dict, type(None)), "usage": dict, "layers": list, "violations": list,
    "loosened": list, "started_at": str,
}  # fmt: skip
NUMBER = (int, float, type(None))
USAGE = ("wall_s", "cpu_s", "user_s", "system_s", "memory_peak_bytes", "processes_peak", "stdout_bytes", "stderr_bytes")


def check_report(report):
    for key, kind in TYPES.items():
        assert isinstance(report[key], kind), key
    assert (report["schema"], report["jailpy"]) == (1, __version__)
    assert report["verdict"] in VERDICTS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", report["started_at"])
    for key in USAGE:
        assert isinstance(report["usage"][key], NUMBER), key
        assert not isinstance(report["usage"][key], bool)
    for key, value in report["usage"].items():
        if value is not None and key not in ("sources", "memory", "stdout_bytes", "stderr_bytes", "user_s", "system_s"):
            assert report["usage"]["sources"][key], f"{key} has no source"
    for layer in report["layers"]:
        assert set(layer) >= {"name", "required", "state", "mechanism", "verified"}
        assert layer["state"] in ("enforced", "degraded", "absent", "off")
        assert bool(layer["verified"]) == (layer["state"] in ("enforced", "degraded")), layer
    if report["evidence"] is not None:
        assert set(report["evidence"]) == {"limit", "configured", "measured", "source"}


def test_the_report_of_a_run(jailpy):
    done = execute(jailpy, *sh("echo hello; echo oh >&2; exit 3"))
    check_report(done.report)
    assert done.report["command"] == ["sh", "-c", "echo hello; echo oh >&2; exit 3"]
    assert done.report["profile"]["name"] == "strict"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", done.report["profile"]["digest"])
    assert (done.usage["stdout_bytes"], done.usage["stderr_bytes"]) == (6, 3)
    assert 0 < done.usage["wall_s"] < done.seconds
    assert [layer["name"] for layer in done.report["layers"]] == list(LAYERS)
    required = {layer["name"] for layer in done.report["layers"] if layer["required"]}
    assert required == set(LAYERS) - {"apparmor"}
    assert all(layer["state"] == "enforced" for layer in done.report["layers"] if layer["required"])
    assert done.report["loosened"] == []
    began = time.mktime(time.strptime(done.report["started_at"] + " UTC", "%Y-%m-%dT%H:%M:%SZ %Z")) - time.timezone
    assert abs(began - time.time()) < 60


def test_a_violation_in_the_report(jailpy):
    script = "import ctypes\nfor i in range(3): assert ctypes.CDLL(None).ptrace(16,1,0,0) == -1\nprint('on')"
    done = execute(jailpy, *python(script))
    check_report(done.report)
    assert (done.verdict, done.out) == ("ok", b"on\n")
    [found] = done.report["violations"]
    assert (found["layer"], found["what"], found["args"][:3], found["count"]) == ("seccomp", "ptrace", [16, 1, 0], 3)
    assert found["allow_with"] == '[seccomp] allow = ["ptrace"]'
    assert b"3 system calls denied: ptrace x3" in done.err


def test_loosened_and_allow_missing_and_unbounded(jailpy, tmp_path):
    done = execute(jailpy, "--memory", "1G", "--net", "host", "--rw", f"{tmp_path}:/work/rw", *sh("true"))
    check_report(done.report)
    assert any("limits.memory" in line and "1G" in line for line in done.report["loosened"])
    assert any("network.mode" in line for line in done.report["loosened"])
    assert next(layer for layer in done.report["layers"] if layer["name"] == "net")["state"] == "off"
    assert done.report["unbounded"] == [str(tmp_path)]
    tighter = execute(jailpy, "--memory", "64M", "--wall", "1s", "--allow-missing", "cgroup", *sh("true"))
    assert (tighter.report["loosened"], tighter.report["allowed_missing"]) == ([], ["cgroup"])


@pytest.mark.parametrize(("options", "status"), [
    (["--", "nosuchcommand"], 127),
    (["-p", "nosuch", *sh("true")], 125),
    (["--ro", "/nosuch", *sh("true")], 125),
    (["--memory", "-1", *sh("true")], 125),
    (["--stdin", "/nosuch", *sh("true")], 125),
])  # fmt: skip
def test_the_report_of_what_never_ran(jailpy, options, status):
    done = execute(jailpy, *options)
    check_report(done.report)
    assert (done.status, done.verdict) == (status, "not_started")
    assert (done.report["exit_code"], done.report["signal"], done.usage["wall_s"], done.usage["cpu_s"]) == (
        None,
        None,
        None,
        None,
    )
    assert all(layer["state"] in ("absent", "off") and not layer["verified"] for layer in done.report["layers"])
    assert done.report["notes"], "why it did not start"


def test_the_report_on_standard_error(jailpy):
    with start(jailpy, "-q", "--report", "-", *sh("echo out; exit 2")) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, b"out\n")
    check_report(json.loads(err))


def test_a_report_that_cannot_be_written_is_told(jailpy, tmp_path):
    for path in (tmp_path, tmp_path / "no" / "file", "/dev/full"):
        with start(jailpy, "--report", path, *sh("echo out")) as process:
            out, err = process.communicate(timeout=30)
        assert out == b"out\n"
        assert re.match(rb"jailpy: error: --report .*: \w", err), err
        assert b"Traceback" not in err


def test_verbose_and_quiet(jailpy):
    plain = execute(jailpy, *sh("true"))
    loud = execute(jailpy, "-v", *sh("true"))
    assert plain.err == b""
    assert b"pivot_root" in loud.err
    assert b"ok: wall" in loud.err
    assert loud.out == b""
    quiet = execute(jailpy, "-q", "--wall", "200ms", *sh("sleep 9"))
    assert (quiet.status, quiet.err) == (124, b"")


# streams


def test_streams_pass_bytes_unchanged(jailpy):
    data = bytes(range(256)) * 1000
    done = execute(jailpy, *sh("tee /dev/stderr"), data=data)
    assert (done.status, done.out, done.err) == (0, data, data)


def test_a_large_input_goes_through(jailpy):
    data = os.urandom(1 << 20) * 12
    done = execute(
        jailpy, "--output", "64M", "--wall", f"{10 * PATIENCE}s", "--cpu", f"{5 * PATIENCE}s", "--", "cat", data=data
    )
    assert (done.status, done.out == data) == (0, True)


def test_a_large_input_that_nobody_reads(jailpy):
    done = execute(jailpy, *sh("exec <&-; echo done"), data=b"x" * (8 << 20))
    assert (done.status, done.out, done.err) == (0, b"done\n", b"")
    done = execute(jailpy, *sh("head -c 3; echo; sleep 0.2"), data=b"x" * (8 << 20))
    assert (done.status, done.out) == (0, b"xxx\n")


def test_standard_error_filled_first(jailpy):
    done = execute(jailpy, *sh("head -c 2000000 /dev/zero >&2; echo out; head -c 2000000 /dev/zero >&2"))
    assert (done.status, done.out, len(done.err)) == (0, b"out\n", 4_000_000)


def test_the_payload_sees_pipes_of_its_own(jailpy):
    with open("/dev/null", "r+b") as null:
        done = execute(
            jailpy, *python("import os,sys\nfor n in (0,1,2): sys.stderr.write(oct(os.fstat(n).st_mode)+' ')"), stdin=null
        )
    assert all(stat.S_ISFIFO(int(word, 8)) for word in done.err.split())
    assert len(done.err.split()) == 3


@pytest.mark.parametrize("path", ["/dev/stdin", "/proc/self/fd/0"])
def test_standard_streams_can_be_reopened(jailpy, path):
    assert execute(jailpy, *sh(f"cat {path} >/dev/stdout; echo e >/dev/stderr"), data=b"in\n").out == b"in\n"


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_closed_standard_descriptors(jailpy, tmp_path, closed):
    report = tmp_path / "report"
    script = "import os,sys\nd=os.read(0,10)\nfor n in (1,2):\n os.write(n,b'w%d'%n)\nsys.exit(40+len(d))"
    redirects = " ".join(f"{n}<&-" if n == 0 else f"{n}>&-" for n in closed)
    argv = ["sh", "-c", f'exec "$@" {redirects}', "sh", jailpy, "exec", "--report", str(report), *python(script)]
    done = subprocess.run(argv, input=b"in", capture_output=True, timeout=30)
    found = json.loads(report.read_text())
    assert (done.returncode, found["verdict"]) == (40 if 0 in closed else 42, "nonzero_exit")
    assert (done.stdout, done.stderr) == (b"" if 1 in closed else b"w1", b"" if 2 in closed else b"w2")
    assert (found["usage"]["stdout_bytes"], found["usage"]["stderr_bytes"]) == (2, 2)


@pytest.mark.parametrize("script", ["echo hi", "echo hi; sleep 0.3", "head -c 300000 /dev/zero"])
def test_a_full_disk_is_no_success(jailpy, script):
    with open("/dev/full", "wb") as full:
        done = execute(jailpy, *sh(script), stdout=full)
    assert (done.status, done.verdict) == (125, "internal_error")
    assert b"writing the payload's output failed: No space left on device" in done.err
    assert execute(jailpy, *sh(script)).status == 0


def test_messages_to_a_full_disk_change_nothing(jailpy):
    with open("/dev/full", "wb") as full:
        assert execute(jailpy, *sh("exit 3"), stderr=full).status == 3
        assert execute(jailpy, "--wall", "200ms", *sh("sleep 9"), stderr=full).status == 124
        assert execute(jailpy, "-p", "nosuch", *sh("true"), stderr=full).status == 125
        assert execute(jailpy, "-v", *sh("true"), stderr=full).status == 0


def test_a_reader_that_goes_away(jailpy, tmp_path):
    word = token()
    done = subprocess.run(
        ["bash", "-c", f'"{jailpy}" exec --report {tmp_path}/r -- yes {word} | head -n 2; exit ${{PIPESTATUS[0]}}'],
        capture_output=True,
        timeout=30,
    )
    assert done.stdout == f"{word}\n{word}\n".encode()
    report = json.loads((tmp_path / "r").read_text())
    assert (done.returncode, report["verdict"], report["signal"]) == (141, "signaled", 13)
    assert alive(word) == []


def test_redirects(jailpy, tmp_path):
    (tmp_path / "in").write_bytes(b"from a file\n")
    options = ["--stdin", tmp_path / "in", "--stdout", tmp_path / "out", "--stderr", tmp_path / "err"]
    done = execute(jailpy, *options, *sh("cat; echo oh >&2"), stdin=None)
    assert (done.status, done.out, done.err) == (0, b"", b"")
    assert ((tmp_path / "out").read_bytes(), (tmp_path / "err").read_bytes()) == (b"from a file\n", b"oh\n")
    execute(jailpy, *options, *sh("true"))
    assert (tmp_path / "out").read_bytes() == b"", "truncated, as a shell does"


def test_a_refused_run_truncates_nothing(jailpy, tmp_path):
    (tmp_path / "out").write_bytes(b"kept")
    assert execute(jailpy, "--stdout", tmp_path / "out", "-p", "nosuch", *sh("true")).status == 125
    assert (tmp_path / "out").read_bytes() == b"kept"
    assert execute(jailpy, "--stdout", tmp_path / "out", *sh("true")).status == 0
    assert (tmp_path / "out").read_bytes() == b""


def test_input_from_a_folder_is_empty(jailpy, tmp_path):
    done = execute(jailpy, "--stdin", tmp_path, "--", "cat")
    assert (done.status, done.out) in ((0, b""), (125, b""))
    assert b"Traceback" not in done.err
    assert b"bug" not in done.err


def test_an_input_that_is_open_for_writing_is_empty(jailpy):
    """nohup(1) gives one in place of a terminal."""
    with open(os.devnull, "wb") as unreadable:
        done = execute(jailpy, *sh("cat; echo done"), stdin=unreadable)
    assert (done.status, done.out, done.err) == (0, b"done\n", b"")


def test_input_from_a_pipe_that_stays_open(jailpy):
    reader, writer = os.pipe()
    done = execute(jailpy, *sh("echo done"), stdin=reader)
    os.close(reader)
    os.close(writer)
    assert (done.status, done.out) == (0, b"done\n")
    assert done.seconds < 10 * PATIENCE


def test_backpressure_reaches_the_payload(jailpy):
    """Nobody reads for a while: the payload waits in its pipe, then all of it arrives."""
    with start(jailpy, "--wall", "20s", "--output", "64M", *sh("head -c 3000000 /dev/zero; echo e >&2")) as process:
        time.sleep(1.0)
        assert process.poll() is None
        out, err = process.communicate(timeout=30)
    assert (process.returncode, len(out), err) == (0, 3_000_000, b"e\n")


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
def test_a_stalled_reader_does_not_stop_the_clocks(jailpy, kind):
    word = token()
    if kind == "pipe":
        reader, writer = os.pipe()
    elif kind == "socket":
        reader, writer = (end.detach() for end in socket.socketpair())
    else:
        reader, writer = os.openpty()
    with start(jailpy, "-q", "--wall", "700ms", "--", "yes", word, stdout=writer) as process:
        os.close(writer)
        assert eventually(lambda: any(_name(pid) == "yes" for pid in alive(word))), "the payload runs"
        assert eventually(lambda: alive(word) in ([], [process.pid])), "the payload is dead though nobody read"
        total = threading.Thread(target=lambda: _read_all(reader))
        total.start()
        assert process.wait(timeout=20) == 124
        total.join()
    os.close(reader)


def test_two_that_talk_and_do_not_listen_end_by_their_limits(jailpy):
    """Each one's last output waits for the other one, whose payload is dead."""
    (first_in, second_out), (second_in, first_out) = os.pipe(), os.pipe()
    pairs = ((first_in, first_out), (second_in, second_out))
    running = [start(jailpy, "-q", "--wall", "500ms", "--", "yes", stdin=given, stdout=made) for given, made in pairs]
    for descriptor in (first_in, first_out, second_in, second_out):
        os.close(descriptor)
    try:
        ended = [process.wait(timeout=20) for process in running]
        assert 124 in ended, "the other one may see that nobody reads"
        assert set(ended) <= {124, 128 + signal.SIGPIPE}
    finally:
        for process in running:
            process.kill()
            process.wait()
            process.stderr.close()


def _name(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""  # ended since the listing


def _read_all(descriptor):
    try:
        while os.read(descriptor, 65536):
            pass
    except OSError:
        return  # a terminal without writers


def test_output_of_a_pipe_is_raw(jailpy):
    assert execute(jailpy, *sh(r"printf 'a\033[31mb\007\r\n\303\251\377'")).out == b"a\x1b[31mb\x07\r\n\xc3\xa9\xff"


# bad input


def refused(done, *words, status=125):
    """One clear line and perhaps hints; never a traceback; nothing ran."""
    assert done.status == status, done.err
    assert done.verdict == "not_started"
    assert done.out == b""
    lines = done.err.decode(errors="replace").splitlines()
    assert lines[0].startswith("jailpy: error: ")
    assert all(line.startswith("jailpy: ") for line in lines)
    assert len(lines) < 12
    for word in words:
        assert word in done.err.decode(errors="replace"), done.err
    assert "Traceback" not in done.err.decode(errors="replace")
    assert "a bug in JailPy" not in done.err.decode(errors="replace"), done.err
    assert groups_of(done.pid) == []


BAD = {
    "unknown profile": (["-p", "nosuch"], "nosuch"),
    "empty profile name": (["-p", ""], "profile"),
    "missing profile file": (["-p", "/nosuch/a.toml"], "/nosuch/a.toml"),
    "profile is a folder": (["-p", "/usr/"], "/usr"),
    "profile is a device": (["-p", "/dev/zero"], "/dev/zero"),
    "wrong memory": (["--memory", "lots"], "memory"),
    "negative memory": (["--memory", "-1"], "memory"),
    "zero memory": (["--memory", "0"], "memory"),
    "absurd memory": (["--memory", "99999999999999999999G"], "memory"),
    "tiny memory": (["--memory", "1K"], "memory"),
    "negative wall": (["--wall", "-1s"], "wall"),
    "no unit": (["--wall", "5parsecs"], "wall"),
    "not a number": (["--wall", "nan"], "wall"),
    "infinite": (["--wall", "inf"], "wall"),
    "empty wall": (["--wall", ""], "wall"),
    "huge wall": (["--wall", "1" + "0" * 400], "wall"),
    "no processes": (["--processes", "0"], "processes"),
    "half a process": (["--processes", "1.5"], "processes"),
    "no cpus": (["--cpus", "0"], "cpus"),
    "absurd cpus": (["--cpus", "1e400"], "cpus"),
    "absurd stack": (["--stack", "-5"], "stack"),
    "unknown network": (["--net", "wifi"], "net"),
    "unknown key": (["--set", "limits.nosuch=1"], "limits.nosuch"),
    "set without value": (["--set", "limits.wall"], "--set"),
    "set of a wrong type": (["--set", "limits.wall=[1]"], "limits.wall"),
    "broken TOML value": (["--set", "limits.wall=[1"], "[1"),
    "unknown layer": (["--allow-missing", "warp"], "warp"),
    "missing source": (["--ro", "/nosuch"], "/nosuch"),
    "source of the root": (["--ro", "/"], "/"),
    "source of proc": (["--rw", "/proc"], "/proc"),
    "source of a device": (["--ro", "/dev/null"], "/dev/null"),
    "relative destination": (["--ro", "/etc/passwd:work/x"], "absolute"),
    "destination above": (["--ro", "/etc/passwd:/work/../../x"], ".."),
    "destination the root": (["--ro", "/usr/share:/"], "/"),
    "destination proc": (["--ro", "/usr/share:/proc"], "/proc"),
    "destination in proc": (["--ro", "/usr/share:/proc/x"], "/proc"),
    "destination in the host's": (["--ro", "/usr/share:/usr/nosuch"], "/usr"),
    "relative put destination": (["--put", "/etc/passwd:x"], "absolute"),
    "get without destination": (["--get", "x"], "NAME:DEST"),
    "get from above": (["--get", "../x:/tmp/y"], "NAME"),
    "relative workdir": (["--workdir", "here"], "workdir"),
    "relative tmpfs": (["--tmpfs", "here"], "tmpfs"),
    "tmpfs of no size": (["--tmpfs", "/x:lots"], "tmpfs"),
    "bad variable": (["--env", "=x"], "env"),
    "unknown runtime": (["--runtime", "cobol"], "cobol"),
    "unknown option": (["--nosuch"], "--nosuch"),
    "near option": (["--memroy", "1"], "--memory"),
    "flag with value": (["--tty=yes"], "--tty"),
    "missing stdin": (["--stdin", "/nosuch"], "--stdin"),
    "stdout in no folder": (["--stdout", "/nosuch/x"], "--stdout"),
    "stdout is a folder": (["--stdout", "/tmp"], "--stdout"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_input(jailpy, what):
    options, word = BAD[what]
    with start(jailpy, *options, *sh("echo ran")) as process:
        out, err = process.communicate(timeout=30)
    lines = err.decode().splitlines()
    assert (process.returncode, out) == (125, b""), lines
    assert lines[0].startswith("jailpy: error: ")
    assert all(line.startswith("jailpy: ") for line in lines)
    assert len(lines) < 12
    assert word in err.decode()
    assert "bug" not in err.decode()
    assert groups_of(process.pid) == []


def test_no_command(jailpy):
    for words in ([], ["--"], ["-q"], ["--", ""]):
        with start(jailpy, *words) as process:
            _, err = process.communicate(timeout=30)
        assert process.returncode == 125
        assert err.startswith(b"jailpy: error: command: none was given")


@pytest.mark.parametrize(("flag", "meant"), [("--timeout", "--wall"), ("--cwd", "--workdir"), ("--memroy", "--memory")])
def test_an_option_of_another_name(jailpy, flag, meant):
    with start(jailpy, flag, "1", *sh("true")) as process:
        _, err = process.communicate(timeout=30)
    assert err.decode().splitlines()[1:] == [f"jailpy: hint: did you mean {meant}?"]


def test_an_option_without_its_value(jailpy):
    with start(jailpy, "--memory") as process:
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (125, b"jailpy: error: option --memory: needs a value: SIZE\n")


def test_a_linked_source(jailpy, tmp_path):
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")
    refused(execute(jailpy, "--ro", tmp_path / "link", *sh("true")), "is a symbolic link", str(tmp_path / "real"))
    refused(execute(jailpy, "--ro", tmp_path / "dangling", *sh("true")), "is a symbolic link")
    assert execute(jailpy, "--ro", f"{tmp_path / 'real'}:/work/x", *sh("cat x")).out == b"x"


def test_special_sources(jailpy, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    refused(execute(jailpy, "--ro", tmp_path / "fifo", *sh("true")), "neither a file nor a folder")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        refused(execute(jailpy, "--rw", tmp_path / "sock", *sh("true")), "neither a file nor a folder")


def test_bad_profile_files(jailpy, tmp_path):
    path = tmp_path / "p.toml"
    path.write_text("schema = 1\n[limits]\nwall = 5\nwall = 6\n")
    refused(execute(jailpy, "-p", path, *sh("true")), str(path))
    path.write_text('schema = 1\nextends = ["strict"]\n[limits]\nmemory = true\nnosuch = 1\n[network]\nmode = 7\n')
    done = execute(jailpy, "-p", path, *sh("true"))
    refused(done, "limits.memory", "limits.nosuch", "network.mode", f"{path}:4", f"{path}:5", f"{path}:7")
    path.write_bytes(b"\xff\xfe\x00")
    refused(execute(jailpy, "-p", path, *sh("true")), str(path))
    path.write_bytes(b"#" * (100 << 20))
    done = execute(jailpy, "-p", path, *sh("true"))
    refused(done, str(path))
    assert done.seconds < 5 * PATIENCE
    path.write_text('schema = 1\nextends = ["strict"]\n')
    assert execute(jailpy, "-p", path, *sh("true")).status == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_profile(jailpy, tmp_path):
    path = tmp_path / "p.toml"
    path.write_text('schema = 1\nextends = ["strict"]\n')
    path.chmod(0)
    refused(execute(jailpy, "-p", path, *sh("true")), "Permission denied")


def test_names_and_arguments_that_are_not_utf8(jailpy, tmp_path):
    name = os.fsencode(str(tmp_path)) + b"/\xff\xe9\n"
    with open(name, "wb") as file:
        file.write(b"content")
    done = execute(jailpy, "--ro", os.fsdecode(name) + ":/work/x", "--", "cat", "x")
    assert (done.status, done.out) == (0, b"content")
    argument = os.fsdecode(b"\xff\xfe\x1b[31m")
    done = execute(jailpy, *python("import os,sys; os.write(1,os.fsencode(sys.argv[1]))", argument))
    assert done.out == b"\xff\xfe\x1b[31m"
    assert done.report["command"][-1] == "\\xff\\xfe\x1b[31m"
    refused(execute(jailpy, "--", os.fsdecode(b"/no\xff\x1b[31msuch")), "not found", status=127)
    assert b"\x1b" not in execute(jailpy, "--", os.fsdecode(b"/no\xff\x1b[31msuch")).err
    variable = execute(jailpy, "--env", os.fsdecode(b"A=\xff"), *python("import os; os.write(1,os.environb[b'A'])"))
    assert variable.out == b"\xff"


def test_a_deleted_working_folder(jailpy, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    command = 'rmdir "$PWD"; exec "$0" "$@"'
    done = subprocess.run(["sh", "-c", command, jailpy, "exec", "--", "echo", "hi"], cwd=gone, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, b"hi\n")
    gone.mkdir()
    argv = ["sh", "-c", command, jailpy, "exec", "--ro", "etc", "--", "echo", "hi"]
    done = subprocess.run(argv, cwd=gone, capture_output=True, timeout=30)
    assert done.returncode == 125
    assert b"jailpy: error: --ro etc: No such file or directory" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["exec", "--ro", ".", "--", "true"],
        ["exec", "-p", "./x.toml", "--", "true"],
        ["exec", "--stdout", "x", "--", "true"],
        ["explain", "--set", "filesystem.root=./x", "--", "true"],
        ["profile", "check", "x.toml"],
        ["grade", ".", "/etc/passwd"],
    ],
)
def test_what_a_deleted_working_folder_would_hold(jailpy, tmp_path, words):
    gone = tmp_path / "gone"
    gone.mkdir()
    argv = ["sh", "-c", 'rmdir "$PWD"; exec "$0" "$@"', jailpy, *words]
    done = subprocess.run(argv, cwd=gone, capture_output=True, timeout=30, text=True)
    said = "the current folder: No such file or directory", "hint: it was deleted: change to one that is there"
    assert done.returncode == 125
    assert all(line in done.stderr for line in said), done.stderr


def test_long_arguments(jailpy):
    done = execute(jailpy, "--", "echo", "x" * 100_000)
    assert (done.status, len(done.out)) == (0, 100_001)
    many = ["y" * 1000] * 1500
    done = execute(jailpy, "--stack", "64M", *sh("echo $#"), "sh", *many)
    assert (done.status, done.out) == (0, b"1500\n")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_at_any_moment_of_the_start(jailpy, name):
    """Before JailPy's own code runs the interpreter decides; from then on there is one status and no traceback."""
    number = getattr(signal, name)
    seen = set()
    for pause in (*(0.005 * tick for tick in range(16)), 1.5):
        with start(jailpy, "-q", *sh("sleep 20"), preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as process:
            time.sleep(pause)
            process.send_signal(number)
            _, err = process.communicate(timeout=30)
        assert process.returncode in (128 + number, -number, 1), err
        if process.returncode == 128 + number:
            assert err == b""
        assert b"/jailpy/cli/" not in err, "a traceback comes from the interpreter's own start, if at all"
        assert groups_of(process.pid) == []
        seen.add(process.returncode)
    assert 128 + number in seen


def test_help_says_exit_statuses(jailpy):
    done = subprocess.run([jailpy, "exec", "--help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    for word in ("124", "125", "126", "127", "137", "--allow-missing", "Examples"):
        assert word in done.stdout
    assert PYTHON
