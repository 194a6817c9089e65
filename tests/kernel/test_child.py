"""What the payload's process is made of: descriptors, environment, ids, session; and what it can see of init."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.core import execute, python

pytestmark = pytest.mark.usefixtures("python3")
SECRET = "hunter2-jailpy-test"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture
def python3(need_tool):
    return need_tool("python3")


def test_the_payload_has_three_descriptors(jailpy):
    script = "import os\nfor n in range(64):\n try: os.fstat(n); print(n)\n except OSError: pass"
    assert execute(jailpy, *python(script)).out == b"0\n1\n2\n"


@pytest.mark.parametrize("count", [1, 100, 1000])
def test_inherited_descriptors_do_not_reach_it(jailpy, tmp_path, count):
    """Not even where they fill the numbers below the open-files limit."""
    kept = []
    try:
        for _ in range(count):
            kept.append(os.open(tmp_path, os.O_RDONLY))
            os.set_inheritable(kept[-1], True)
        control = subprocess.run(["ls", "/proc/self/fd"], close_fds=False, capture_output=True, check=True)
        assert len(control.stdout.split()) >= count + 3, "the control: without a jail they are inherited"
        done = execute(jailpy, "--", "ls", "/proc/self/fd", close_fds=False)
    finally:
        for number in kept:
            os.close(number)
    assert (done.status, done.out.split()) == (0, [b"0", b"1", b"2", b"3"])


def test_no_process_of_the_jail_shows_descriptors_of_the_launcher(jailpy):
    script = "import os\nfor p in filter(str.isdigit, os.listdir('/proc')):\n"
    script += " try: print(p, sorted(os.listdir(f'/proc/{p}/fd')))\n except OSError as e: print(p, e.errno)"
    lines = execute(jailpy, *python(script)).out.decode().splitlines()
    assert len(lines) in (1, 2)
    assert all(line.endswith("'3']") or line == "1 13" for line in lines), lines


def test_the_environment_is_built_from_nothing(jailpy):
    odd = {
        **os.environ,
        "SECRET": SECRET,
        "LD_PRELOAD": "",
        "PYTHONSTARTUP": "/x",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "LC_ALL": "C",
    }
    done = execute(jailpy, "--", "env", env=odd)
    names = dict(line.split("=", 1) for line in done.out.decode().splitlines())
    assert names == {
        "LANG": "C.UTF-8", "TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/work",
    }  # fmt: skip
    passed = execute(jailpy, "--env", "SECRET", "--env", "A=1", "--env", "B=", "--env", "NOT_SET_HERE", "--", "env", env=odd)
    more = dict(line.split("=", 1) for line in passed.out.decode().splitlines())
    assert (more["SECRET"], more["A"], more["B"]) == (SECRET, "1", "")
    assert "NOT_SET_HERE" not in more


def test_the_callers_secrets_are_not_in_the_jails_proc(jailpy):
    """Neither the environment nor the arguments of the launcher show in /proc/1; the payload's own can be read."""
    script = (
        "import os\nfor p in filter(str.isdigit, os.listdir('/proc')):\n for f in ('environ','cmdline','maps','mem','auxv'):\n"
    )
    script += "  try: d=open(f'/proc/{p}/{f}','rb').read(1<<20); print(p,f,len(d),b'hun'+b'ter2' in d)\n"
    script += "  except OSError as e: print(p,f,e.errno,False)"
    done = execute(jailpy, *python(script), env={**os.environ, "SECRET": SECRET})
    lines = [line.split() for line in done.out.decode().splitlines()]
    assert lines, done.err
    assert not [line for line in lines if line[3] == "True"]
    assert any(line[1] == "environ" and int(line[2]) > 13 for line in lines), "the payload's own can be read"
    control = subprocess.run(
        [sys.executable, "-c", "print(b'hunter2' in open('/proc/self/environ','rb').read())"],
        env={**os.environ, "SECRET": SECRET},
        capture_output=True,
        check=True,
    )
    assert control.stdout == b"True\n"


def test_ids_groups_session_and_umask(jailpy):
    script = (
        "import os\nprint(os.getresuid(),os.getresgid(),os.getpid()==os.getsid(0)==os.getpgid(0),os.getppid(),oct(os.umask(0)))"
    )
    done = execute(jailpy, *python(script), preexec_fn=lambda: os.umask(0o077))
    assert done.out == b"(1000, 1000, 1000) (1000, 1000, 1000) True 1 0o22\n"
    other = execute(jailpy, "--set", "identity.uid=7", "--set", "identity.gid=8", *python(script))
    assert other.out.startswith(b"(7, 7, 7) (8, 8, 8)"), other.err


@pytest.mark.root
def test_groups_of_root_are_dropped(jailpy):
    done = execute(jailpy, *python("import os; print(os.getgroups())"), preexec_fn=lambda: os.setgroups([0, 4, 27]))
    assert done.out in (b"[]\n", b"[1000]\n")


def test_the_loaded_modules_of_the_child():
    """Between fork and execve only child, kernel and the step types are imported: nothing that decides."""
    script = "import sys, jailpy.child; print(*sorted(name for name in sys.modules if name.startswith('jailpy')))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ROOT}
    )
    allowed = ("jailpy.child", "jailpy.kernel", "jailpy.steps", "jailpy.frozen")
    assert all(name == "jailpy" or name.startswith(allowed) for name in done.stdout.split()), done.stdout


def test_nothing_is_imported_between_fork_and_execve():
    """Neither by init nor by the payload: it would be what the jail's files say, and there is no filter yet."""
    script = """
import importlib, os, socket
from jailpy import child
from jailpy.child.state import Child
def try_import(who):
    try:
        importlib.import_module("this")
    except ModuleNotFoundError:
        print(who, "cannot", flush=True)
    else:
        print(who, "imported it", flush=True)
def enter(state, program):
    program.init = [(0, try_import, ("init",), None)]
    program.payload = [(0, try_import, ("the payload",), None), (0, os._exit, (0,), None)]
    state.launchers_end = os.dup(0)
    state.status = os.open(os.devnull, os.O_WRONLY)
    state.reap = lambda *_: (os.wait4(-1, 0), try_import("init at the end"))
    child.enter(state, program)
channel, other = socket.socketpair()
if os.fork() == 0:
    enter(Child(channel.fileno(), -1, (-1, -1, -1), {}, []), child.Program([], None))
os.wait()
try_import("the launcher")
"""
    run = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ROOT}
    )
    assert run.stdout.splitlines()[-1] == "the launcher imported it"
    cannot = ["init cannot", "the payload cannot", "init at the end cannot"]
    assert [line for line in run.stdout.splitlines() if line.startswith(("init", "the payload"))] == cannot


def test_the_resource_limits_inside(jailpy):
    script = (
        "import resource as r\nprint([r.getrlimit(n) for n in (r.RLIMIT_CORE,r.RLIMIT_NOFILE,r.RLIMIT_MEMLOCK,r.RLIMIT_NICE)])"
    )
    done = execute(jailpy, *python(script))
    assert done.out == b"[(1, 1), (64, 64), (65536, 65536), (0, 0)]\n"


def test_only_init_and_the_payload_are_there(jailpy):
    done = execute(jailpy, *python("import os; print(os.getpid(), [p for p in os.listdir('/proc') if p.isdigit()])"))
    assert done.out in (b"2 ['1', '2']\n", b"2 ['2']\n")
