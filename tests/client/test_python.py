"""`Launcher.python`: the same as `python3 script.py`, in a jail, by an interpreter that nothing is left in; and bad input."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile

import pytest

import jailpy
from jailpy.client import python
from tests.client.scripts import SCRIPTS
from tests.client.test_same_jail import children, templates
from tests.core import PATIENCE, PYTHON, alive, eventually, token

pytestmark = pytest.mark.usefixtures("nothing_left")
VARIABLES = {"LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def same_words(output, folder):
    """Take out of an output what differs between any two runs: the folder, and addresses."""
    return re.sub(rb"0x[0-9a-f]{6,}", b"0x", output.replace(os.fsencode(folder), b"/work"))


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a script and returns its path."""

    def write(source, name="script.py"):
        path = tmp_path / name
        path.write_bytes(source if isinstance(source, bytes) else source.encode())
        return str(path)

    return write


@pytest.fixture
def module(written):
    """Return a function that writes a module and returns the option that shows it beside the script."""
    return lambda source, name="helper": f"{written(source, name + '.py')}:/work/{name}.py"


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_ends_as_without_a_jail(launcher, written, tmp_path, name):
    source, args, given = SCRIPTS[name]
    path = written(source)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), **VARIABLES}
    words = [PYTHON, "script.py", *map(os.fsencode, args)]
    plain = subprocess.run(words, cwd=tmp_path, env=environment, input=given, capture_output=True, timeout=60)
    cold = launcher.run([PYTHON, "script.py", *args], put=[path], env=VARIABLES, input=given)
    warm = launcher.python(path, args, interpreter=PYTHON, env=VARIABLES, input=given)
    wanted = (plain.returncode, same_words(plain.stdout, tmp_path), same_words(plain.stderr, tmp_path))
    for done in (cold, warm):
        assert (done.returncode, same_words(done.stdout, tmp_path), same_words(done.stderr, tmp_path)) == wanted
    assert warm.report()["command"] == cold.report()["command"]
    assert warm.verdict == cold.verdict


def test_the_calling_interpreter_and_source_text(launcher):
    done = launcher.python("import sys, json, pytest\nprint(json.dumps([sys.executable, sys.argv]))\n", ["a"], text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f'["{sys.executable}", ["script.py", "a"]]\n'
    assert done.args == [sys.executable, "script.py", "a"]
    assert done.check() is done


def test_a_calling_interpreter_that_was_started_by_a_path_with_detours(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    program = "import jailpy\nprint(jailpy.Launcher().python('import sys\\nprint(sys.prefix)\\n', text=True).stdout)"
    path = os.path.relpath(sys.executable, tmp_path / "here")
    done = subprocess.run([path, "-c", program], cwd=tmp_path / "here", capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (sys.prefix, "")
    monkeypatch.setattr(sys, "executable", f"{tmp_path}/link/../python3")
    (tmp_path / "link").symlink_to("/usr/bin")
    assert python.calling_interpreter() == sys.executable  # no such file beside the link: not what the path means


def test_a_script_in_bytes_by_a_path_and_by_a_link(launcher, written, tmp_path):
    path = written("print(__file__)\n", "-x.py")
    os.symlink(path, tmp_path / "link")
    assert launcher.python(path, interpreter=PYTHON).stdout == b"/work/./-x.py\n"
    assert launcher.python(tmp_path / "link", interpreter=PYTHON).stdout == b"/work/link\n"
    assert launcher.python(b"print('\xc3\xa4' == '\\xe4')\n", interpreter=PYTHON).stdout == b"True\n"


def test_every_way_of_a_launcher_takes_a_script(launcher):
    square = jailpy.Script("import sys\nprint(int(sys.argv[1]) ** 2)\n", ["3"], interpreter=PYTHON)
    assert launcher.run(square).stdout == b"9\n"
    assert [done.stdout for done in launcher.map([square, {"argv": square, "text": True}], workers=2)] == [b"9\n", "9\n"]
    assert asyncio.run(launcher.run_async(square, text=True)).stdout == "9\n"
    shout = jailpy.Script("for line in iter(input, ''):\n    print(line.upper(), flush=True)\n", interpreter=PYTHON)
    with launcher.popen(shout, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        for word in (b"ant\n", b"bee\n"):
            running.stdin.write(word)
            assert running.stdout.read(100) == word.upper()
        running.terminate()
        assert running.wait().returncode == -signal.SIGTERM


# Nothing is carried over


def test_random_numbers_differ(launcher):
    draw = """
import os, random, secrets, sys, tempfile, uuid
print(os.urandom(8).hex(), random.random(), random.SystemRandom().random(), secrets.token_hex(8), uuid.uuid4(), uuid.uuid1(),
    tempfile.mktemp(), random.Random().random())
"""
    preload = ["secrets", "uuid", "tempfile"]
    drawn = [launcher.python(draw, preload=preload, interpreter=PYTHON, check=True).stdout.split() for _ in range(6)]
    assert len(drawn[0]) == 8
    for numbers in zip(*drawn, strict=True):
        assert len(set(numbers)) == 6


def test_what_drew_on_import_is_told_in_the_docs_to_stay(launcher, module):
    """The control for the test above: without reseeding, copies do draw the same number."""
    shown = module("import random\nown = random.Random()\nuuid = None\n")
    drawn = {
        launcher.python(
            "import helper\nprint(helper.own.random())\n", preload=["helper"], ro=[shown], interpreter=PYTHON
        ).stdout
        for _ in range(3)
    }
    assert len(drawn) == 1


def test_a_run_leaves_nothing_for_the_next(launcher):
    marker = "marker-of-the-first-run"
    leave = f"""
import builtins, collections, json, os, re, string, sys, threading, random
builtins.left = json.left = sys.left = os.left = string.digits = "{marker}"
collections.Counter.left = "{marker}"
random.seed(1)
re.compile("{marker}")
sys.path.append("{marker}")
sys.modules["left"] = json
sys.setrecursionlimit(5000)
os.environ["LEFT"] = "{marker}"
os.umask(0o77)
os.chdir("/tmp")
for folder in ("/work", "/tmp", "/dev/shm"):
    with open(folder + "/{marker}", "w") as file:
        file.write("{marker}")
kept = open("/work/{marker}")
os.dup2(kept.fileno(), 17)
threading.stack_size(1 << 20)
print(os.environ["SECRET"], sys.argv[1])
"""
    done = launcher.python(leave, [marker], env={"SECRET": marker}, interpreter=PYTHON, text=True, check=True)
    assert done.stdout == f"{marker} {marker}\n"
    search = f"""
import builtins, collections, gc, json, os, string, sys, threading
marker = "{marker[:10]}" + "{marker[10:]}"
found = [name for name, where in (("b", builtins), ("j", json), ("s", sys), ("o", os), ("c", collections.Counter)) if hasattr(where, "left")]
found += [string.digits] if string.digits != "0123456789" else []
found += [name for name in ("left", "jailpy") if name in sys.modules]
found += [str(each) for each in (sys.getrecursionlimit(), os.umask(0o22), os.getcwd(), threading.stack_size())]
found += [path for path in sys.path if marker in path] + [name for name in os.environ if name in ("LEFT", "SECRET")]
found += sorted(os.listdir("/proc/self/fd"))
found += [folder for folder in ("/work", "/tmp", "/dev/shm") if marker in os.listdir(folder)]
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        start, end = (int(word, 16) for word in line.split()[0].split("-"))
        if "rw" in line.split()[1]:
            memory.seek(start)
            text = memory.read(end - start)
            for word in (b"SECRET", marker.encode()):
                found += ["memory: " + line] if text.count(word) > text.count(b"{marker[:10]}\\" + \\"") + 40 else []
print(found)
"""
    seen = launcher.python(search, interpreter=PYTHON, text=True, check=True).stdout
    assert seen == "['1000', '18', '/work', '0', '0', '1', '2', '3']\n"


SEARCH = """
import sys
wanted = bytes(int(part) ^ 1 for part in sys.stdin.read().split())
found = 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        start, end = (int(word, 16) for word in line.split()[0].split("-"))
        if "rw" in line.split()[1] and "[v" not in line:
            memory.seek(start)
            found += memory.read(end - start).count(wanted)
print(found)
"""


def found_in_memory(launcher, word, source=SEARCH, **options):
    """Return how often a run finds a word in its own memory, beside the one that it searches for."""
    disguised = " ".join(str(byte ^ 1) for byte in word.encode())
    path = options.pop("path", source)
    return int(launcher.python(path, input=disguised, interpreter=PYTHON, check=True, **options).stdout) - 1


@pytest.mark.parametrize("first", [True, False])
def test_no_run_sees_the_words_of_another_in_memory(tmp_path, first):
    """Not what it shows, copies, collects, is called, says or is told; whether it is the interpreter's first run or a later one."""
    word = token()
    for name in ("shown", "put"):
        os.mkdir(tmp_path / f"{name}-{word}")
        (tmp_path / f"{name}-{word}" / f"inner-{word}").write_text(word)
    (tmp_path / f"script-{word}.py").write_text(f"{SEARCH}\nopen('out-{word}', 'w')\n# {word}\n")
    with jailpy.Launcher() as launcher:
        if not first:
            assert found_in_memory(launcher, word) == 0
        seen = found_in_memory(
            launcher, word, path=tmp_path / f"script-{word}.py", env={"WORD": word}, ro=[f"{tmp_path}/shown-{word}:/work/{word}"],
            put=[f"{tmp_path}/put-{word}:/work/copy-{word}"], get=[f"out-{word}:{tmp_path}/out"],
        )  # fmt: skip
        assert seen > 1
        assert found_in_memory(launcher, word) == 0
        assert len(templates(launcher)) == 1


# What is denied, and limits

LEAVE_MODULES = """
import os, signal, sys
os.mkdir('out')
left = "import posix; posix.close(posix.open(f'/work/out/read-by-{posix.getpid()}', posix.O_CREAT))\\n"
for name in (*sorted(sys.stdlib_module_names), 'of_its_own'):
    with open(f'{name}.py', 'w') as file:
        file.write(left)
"""
ENDS = {"returns": (0, ""), "raises": (1, "raise ValueError"), "is killed": (-9, "os.kill(os.getpid(), signal.SIGKILL)")}


@pytest.mark.parametrize(("status", "last"), ENDS.values(), ids=ENDS)
def test_init_imports_nothing_that_a_script_has_left(launcher, tmp_path, status, last):
    """os.wait4(3) looks for a module when it first tells of an ended child, and init has no filter."""
    get = [f"out:{tmp_path}/out"]
    control = launcher.python(f"{LEAVE_MODULES}import of_its_own\n{last}\n", interpreter=PYTHON, get=get)
    assert (control.returncode, os.listdir(tmp_path / "out")) == (status, ["read-by-2"]), (
        "a module that is left can be imported"
    )
    (tmp_path / "out" / "read-by-2").unlink()
    (tmp_path / "out").rmdir()
    done = launcher.python(f"{LEAVE_MODULES}{last}\n", interpreter=PYTHON, get=get)
    assert (done.returncode, os.listdir(tmp_path / "out")) == (status, [])


FORK_BOMB = """
import os, time
count = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        count += 1
except BlockingIOError:
    print(count)
    raise
"""
DENIED = {
    "socket": ("import socket\nsocket.socket()\n", "PermissionError"),
    "unshare": ("import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nlibc.unshare(0x10000000)\nprint(ctypes.get_errno())\n", "1"),
    "ptrace": ("import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nlibc.ptrace(16, 1, 0, 0)\nprint(ctypes.get_errno())\n", "1"),
    "write outside": ("open('/usr/x', 'w')\n", "OSError"),
    "the host's files": ("open('/etc/shadow')\n", "FileNotFoundError"),
    "init's memory": ("open('/proc/1/mem', 'rb')\n", "FileNotFoundError"),
    "init's maps": ("open('/proc/1/maps').read()\n", "FileNotFoundError"),
    "init's environment": ("open('/proc/1/environ').read()\n", "FileNotFoundError"),
    "init's descriptors": ("import os\nos.listdir('/proc/1/fd')\n", "FileNotFoundError"),
    "what it wrote": ("import os\nopen('x', 'w').write('#!/bin/true')\nos.chmod('x', 0o700)\nos.execv('x', ['x'])\n", "PermissionError"),
    "another root": ("import os\nos.chroot('/')\n", "PermissionError"),
    "another user": ("import os\nos.setuid(0)\n", "OSError"),
}  # fmt: skip


@pytest.mark.parametrize("what", DENIED)
def test_what_a_jail_denies_is_denied(launcher, what):
    source, said = DENIED[what]
    done = launcher.python(source, interpreter=PYTHON, text=True)
    assert said in done.stdout + done.stderr
    assert launcher.python("open('x', 'w').write('x')\n", interpreter=PYTHON).verdict == "ok"


@pytest.mark.parametrize(
    ("source", "options", "verdict"),
    [
        ("while True:\n    pass\n", {"cpu": 0.3}, "cpu_limit"),
        ("import time\ntime.sleep(60)\n", {"wall": 0.3}, "wall_limit"),
        ("import time\ntime.sleep(60)\n", {"idle": 0.5}, "idle_limit"),
        ("x = bytearray(10 ** 9)\n", {"memory": "64M"}, "memory_limit"),
        ("while True:\n    print('x' * 1000)\n", {"output": "1M"}, "output_limit"),
        (FORK_BOMB, {"processes": 5}, "process_limit"),
        ("open('x', 'wb').write(bytes(1 << 22))\n", {"disk": "1M"}, "disk_limit"),
        ("import signal\nsignal.signal(25, signal.SIG_DFL)\nopen('x', 'wb').write(bytes(1 << 22))\n", {"file_size": "1M"}, "file_size_limit"),
        ("print(1)\n", {}, "ok"),
    ],
)  # fmt: skip
def test_a_limit_ends_a_script(launcher, source, options, verdict):
    done = launcher.python(source, interpreter=PYTHON, **options)
    assert done.verdict == verdict, done.stderr
    if verdict == "process_limit":
        assert done.stdout == b"4\n"


def test_a_denied_call_is_in_the_report(launcher):
    done = launcher.python("import socket\nsocket.socket()\n", interpreter=PYTHON)
    assert [found["what"] for found in done.violations] == ["socket"]
    assert {layer["state"] for layer in done.layers if layer["required"]} == {"enforced"}


def test_a_program_may_be_executed_or_none(launcher):
    run = "import subprocess\nsubprocess.run(['/usr/bin/true'], check=True)\nprint('done')\n"
    assert launcher.python(run, interpreter=PYTHON).stdout == b"done\n"
    done = launcher.python(run, interpreter=PYTHON, set={"filesystem.exec": "none"}, text=True)
    assert (done.stdout, done.returncode) == ("", 1)
    assert "PermissionError" in done.stderr


def test_memory_is_that_of_the_run_alone(launcher, module):
    shown = module("large = bytearray(b'x' * (100 << 20))\n")
    options = {"preload": ["helper"], "ro": [shown], "memory": "48M", "interpreter": PYTHON}
    done = launcher.python("import helper\nprint(len(helper.large), helper.large[-1])\n", **options)
    assert (done.verdict, done.stdout) == ("ok", b"104857600 120\n")
    assert done.usage["memory_peak_bytes"] < 32 << 20
    assert done.usage["sources"]["memory_peak_bytes"].endswith(", without the template's pages")
    done = launcher.python("import helper\nfor i in range(0, 100 << 20, 4096):\n    helper.large[i] = 1\n", **options)
    assert done.verdict == "memory_limit"


def test_garbage_on_every_descriptor(launcher):
    source = """
import os
for number in range(3, 1024):
    try:
        os.write(number, os.urandom(1000))
        print("written", number)
    except OSError:
        continue
for number in (1, 2):
    os.write(number, b"\\0GREX\\xff" * 1000)
try:
    os.write(0, b"x")
except OSError:
    os.closerange(0, 1024)
"""
    for _ in range(2):
        done = launcher.python(source, interpreter=PYTHON)
        assert (done.verdict, done.stdout, done.stderr) == ("ok", b"\0GREX\xff" * 1000, b"\0GREX\xff" * 1000)


# Modules


def test_a_preloaded_module_is_there_and_not_imported_again(launcher, module):
    shown = module("import os, time\nmade = time.monotonic_ns(), os.getcwd(), __file__, __name__\n")
    source = "import sys\nprint('helper' in sys.modules)\nimport helper\nprint(*helper.made)\n"
    outputs = [
        launcher.python(source, preload=["helper"], ro=[shown], interpreter=PYTHON, text=True, check=True).stdout.splitlines()
        for _ in range(3)
    ]
    assert {there for there, _ in outputs} == {"True"}
    assert len({made for _, made in outputs}) == 1
    assert outputs[0][1].split()[1:] == ["/work", "/work/helper.py", "helper"]
    control = launcher.python(source, ro=[shown], interpreter=PYTHON, text=True).stdout.splitlines()
    assert control[0] == "False"
    assert control[1] != outputs[0][1]


def test_what_lies_on_pythonpath_is_imported_in_the_jail(launcher, tmp_path):
    """As by `python3 script.py`; where something is to be preloaded, its folders are trusted too."""
    look = "open('/proc/self/status').read().split('Seccomp:')[1].split()[0] if os.path.exists('/proc/self') else 'none'"
    (tmp_path / "sitecustomize.py").write_text(f"import builtins, os\nbuiltins.filter_mode = {look}\n")
    shown = {"env": {"PYTHONPATH": "/work/lib"}, "ro": [f"{tmp_path}:/work/lib"], "interpreter": PYTHON, "text": True}
    control = launcher.python("print(filter_mode)\n", preload=["json"], **shown)
    assert control.stdout == "none\n", "what is imported outside a run has no filter"
    assert launcher.python("print(filter_mode)\n", **shown).stdout == "2\n"


@pytest.mark.parametrize("preload", [[], ["json"]])
def test_a_folder_of_pythonpath_that_is_put_in(launcher, tmp_path, preload):
    (tmp_path / "late.py").write_text("print(5)\n")
    options = {"put": [f"{tmp_path}:/work/lib"], "env": {"PYTHONPATH": "/work/lib"}, "interpreter": PYTHON}
    assert launcher.python("import late\n", preload=preload, **options).stdout == b"5\n"


HOW_IT_IS_SHOWN = {
    "as such": ("rw={0}:/work/lib", "/work/lib"),
    "by another path": ("ro={0}:/work/lib", "rw={0}:/work/again", "/work/again"),
    "with what is around": ("ro={0}:/work/lib", "rw={1}:/work/around", "/work/around/lib"),
    "in part": ("ro={1}:/work/up", "rw={0}:/work/lib", "/work/lib"),
}


@pytest.mark.parametrize("how", HOW_IT_IS_SHOWN)
def test_what_a_run_can_write_is_imported_in_the_jail(launcher, tmp_path, how):
    """Else the next run's interpreter imports, before there is a filter, what this one has left."""
    *shown, writable = HOW_IT_IS_SHOWN[how]
    (tmp_path / "lib").mkdir()
    os.chmod(tmp_path / "lib", 0o777)
    options = {"interpreter": PYTHON, "preload": ["json"], "text": True, "env": {"PYTHONPATH": "/work/lib:/work/up/lib"}}
    options["set"] = {"filesystem.exec": "any"}  # else what is writable at one of two places is refused
    for entry in shown:
        mode, _, words = entry.partition("=")
        options.setdefault(mode, []).append(words.format(tmp_path / "lib", tmp_path))
    look = "open('/proc/self/status').read().split('Seccomp:')[1].split()[0] if os.path.exists('/proc/self') else 'none'"
    left = f"import builtins, os\nbuiltins.filter_mode = {look}\n"
    source = f"import builtins\nprint(getattr(builtins, 'filter_mode', ''))\nopen('{writable}/sitecustomize.py', 'w').write({left!r})\n"
    assert [launcher.python(source, **options).stdout for _ in range(3)] == ["\n", "2\n", "2\n"]
    control = {**options, "rw": [], "ro": [f"{tmp_path}/lib:/work/lib"]}
    assert launcher.python("import builtins\nprint(builtins.filter_mode)\n", **control).stdout == "none\n"


def test_an_interpreter_that_path_finds_in_a_shown_folder_is_executed_in_the_jail(launcher, tmp_path):
    look = "import os; print(os.path.exists('/proc/self'))"
    (tmp_path / "python3").write_text(f'#!/bin/sh\n{PYTHON} -c "{look}" >&2\n')
    os.chmod(tmp_path / "python3", 0o755)
    shown = {"env": {"PATH": "/work/bin:/usr/bin"}, "ro": [f"{tmp_path}:/work/bin"], "text": True}
    with pytest.raises(jailpy.UsageError, match="False"):  # the control: nobody can call what it executes then a jail's
        launcher.python("print(1)\n", interpreter="/work/bin/python3", **shown)
    done = launcher.python("print(1)\n", interpreter="python3", **shown)
    assert (done.stdout, done.stderr) == ("", "True\n")


@pytest.mark.parametrize("path", ["/work/bin/python", "bin/python", "./bin/python", "/work/bin/../bin/python"])
def test_an_interpreter_by_every_kind_of_path(launcher, tmp_path, path):
    (tmp_path / "python").symlink_to(PYTHON)
    assert launcher.python("print(1)\n", interpreter=path, ro=[f"{tmp_path}:/work/bin"]).stdout == b"1\n"


def test_the_callers_own_python_by_its_name_is_warm(launcher):
    done = launcher.python("print(1)\n", interpreter="python3", runtime=["caller-python"], check=True)
    assert (done.stdout, done.usage["sources"]["memory_peak_bytes"].endswith("without the template's pages")) == (b"1\n", True)


def test_an_interpreter_that_does_not_look_beside_the_script(launcher):
    source = "import sys\nprint('/work' in sys.path, '' in sys.path)\n"
    found = [launcher.python(source, env=env, text=True, check=True).stdout for env in ({}, {"PYTHONSAFEPATH": "1"})]
    assert found == ["True False\n", "False False\n"]


def test_a_module_that_has_changed_is_imported_anew(launcher, module, tmp_path):
    shown = module("value = 1\n")
    run = lambda: (
        launcher.python("import helper\nprint(helper.value)\n", preload="helper", ro=[shown], interpreter=PYTHON).stdout
    )
    assert (run(), run()) == (b"1\n", b"1\n")
    (tmp_path / "helper.py").write_text("value = 22\n")
    assert run() == b"22\n"
    os.mkdir(tmp_path / "other")
    (tmp_path / "other" / "helper.py").write_text("value = 3\n")
    shown = f"{tmp_path}/other/helper.py:/work/helper.py"
    assert run() == b"3\n"


def test_a_package_and_what_it_says(launcher, tmp_path):
    os.mkdir(tmp_path / "package")
    (tmp_path / "package" / "__init__.py").write_text("print('garbage' * 100000)\nimport sys\nprint('e', file=sys.stderr)\n")
    (tmp_path / "package" / "inner.py").write_text("value = 5\n")
    done = launcher.python(
        "import package.inner\nprint(package.inner.value)\n", preload=["package.inner"], ro=[f"{tmp_path}/package:/work/package"],
        interpreter=PYTHON,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == (b"5\n", b"", 0)


REFUSED = {
    "raises": ("raise ValueError('no such\\nthing')\n", "helper: thing"),
    "exits": ("import sys\nsys.exit(3)\n", "helper: SystemExit: 3"),
    "ends": ("import os, sys\nprint('last words', file=sys.stderr, flush=True)\nos._exit(5)\n", "helper: ends the interpreter (exit status 5): last words"),
    "dies": ("import ctypes\nctypes.string_at(0)\n", "helper: ends the interpreter (signal 11)"),
    "does not compile": ("1 +\n", "helper: SyntaxError: invalid syntax"),
    "misses another": ("import nothing_of_this_name\n", "helper: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
    "starts a thread": ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n", "helper: has started 1 threads"),
    "starts a process": ("import subprocess\nsubprocess.Popen(['sleep', '60'])\n", "helper: has started a process"),
    "keeps a descriptor": ("kept = open('/dev/null')\n", "helper: keeps 1 descriptors open"),
    "shares memory": ("import mmap\nkept = mmap.mmap(-1, 4096)\n", "helper: holds memory that all runs would share"),
    "shares a lock": ("import multiprocessing\nlock = multiprocessing.Lock()\n", "helper: holds memory that all runs would share"),
    "closes descriptors": ("import os\nos.closerange(3, 100)\nos.read(0, 1)\nwhile True: pass\n", "helper: closes descriptors that are not its own"),
    "recursion": ("import helper\ndef f():\n    f()\nf()\n", "helper: RecursionError"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_module_is_refused_by_its_name(launcher, module, what):
    source, words = REFUSED[what]
    shown = module(source)
    for _ in range(2):
        with pytest.raises(jailpy.UsageError) as caught:
            launcher.python("print(1)\n", preload=["json", "helper"], ro=[shown], interpreter=PYTHON)
        assert caught.value.message.startswith("preload: " + words), caught.value
        assert "\n" not in caught.value.message
    assert launcher.python("print(1)\n", ro=[shown], interpreter=PYTHON).stdout == b"1\n"
    assert not alive("sleep\x0060")


def test_a_missing_module(launcher):
    with pytest.raises(
        jailpy.UsageError, match=r"^preload: no_such_module: ModuleNotFoundError: No module named 'no_such_module'\n"
    ):
        launcher.python("print(1)\n", preload=["no_such_module"], interpreter=PYTHON)


HARMLESS = {
    "a thread that ends": "import threading\nt = threading.Thread(target=print)\nt.start()\n",
    "a process that ends": "import subprocess\nsubprocess.run(['true'], check=True)\n",
    "memory of its own": "import mmap\nkept = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\nmmap.mmap(-1, 4096).close()\n",
    "goes elsewhere": "import os\nos.chdir('/tmp')\nos.umask(0o77)\nimport sys\nsys.path.append('/nowhere')\n",
    "handles signals": "import signal\nfor n in (2, 10, 13, 15):\n    signal.signal(n, lambda *a: None)\nsignal.pthread_sigmask(0, {10, 12})\n",
    "changes variables": "import os\nos.environ['HOME'] = '/x'\nos.environ['LEFT'] = '1'\n",
    "has exit functions": "import atexit\natexit.register(lambda: None)\n",
    "collects nothing": "import gc\ngc.disable()\ngc.freeze()\n",
}  # fmt: skip


@pytest.mark.parametrize("what", HARMLESS)
def test_what_a_module_does_to_its_process_is_undone(launcher, module, what):
    look = """
import gc, os, signal
mask = os.umask(0o22)
print(os.getcwd(), oct(mask), sorted(os.environ), gc.isenabled(), signal.pthread_sigmask(0, []))
print([signal.getsignal(n) for n in (2, 10, 13, 15, 25)])
"""
    plain = launcher.python(look, interpreter=PYTHON, text=True, check=True).stdout
    done = launcher.python(look, preload=["helper"], ro=[module(HARMLESS[what])], interpreter=PYTHON, text=True, check=True)
    assert done.stdout == plain


def test_modules_have_no_rights_over_the_host(launcher, module):
    shown = module("""
import os
seen = sorted(os.listdir("/")), os.path.exists("/etc/shadow"), os.path.exists("/proc/self"), os.getuid()
status = None
try:
    os.sethostname("x")
except (AttributeError, OSError):
    status = "refused"
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
mounted = libc.mount(b"x", b"/tmp", b"tmpfs", 0, None), ctypes.get_errno()
import subprocess
child = subprocess.run(["sh", "-c", "umount /tmp; echo $?"], capture_output=True).stdout
threads = {name: value for name, value in os.environ.items() if "THREADS" in name}
""")
    source = "import helper\nprint(helper.seen, helper.mounted, helper.child, helper.threads)\n"
    done = launcher.python(source, preload=["helper"], ro=[shown], interpreter=PYTHON, text=True, check=True)
    seen, rest = done.stdout.split(") (", 1)
    assert "'work'" in seen
    assert "False, False, 1000" in seen
    assert rest.startswith("-1, 1) b'32\\n'"), rest
    assert "'OPENBLAS_NUM_THREADS': '1'" in rest


def test_a_loop_on_import_ends_with_its_caller(launcher, module):
    shown, ends = module("while True: pass\n"), []

    def work():
        try:
            with launcher.popen(jailpy.Script("\n", preload=["helper"], interpreter=PYTHON), ro=[shown]) as running:
                started.append(running)
                running.wait()
        except jailpy.JailPyError as error:
            ends.append(error)

    started = []
    thread = threading.Thread(target=work)
    thread.start()
    assert eventually(lambda: started)
    time.sleep(1)
    started[0].kill()
    thread.join(20)
    assert [type(error) for error in ends] == [jailpy.LaunchError]
    assert eventually(lambda: not [pid for pid in templates(launcher) if busy(pid)])


def busy(pid):
    """Say whether a process runs: a template waits otherwise."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "R"


def test_a_module_that_takes_too_long(run_script, module):
    """In a process of its own, for the time limit is a minute there, and all that it started is killed."""
    out = run_script(
        """
        import socket, sys
        import jailpy
        from jailpy import api
        from jailpy.launcher import cold, interpreter, template
        from jailpy.profile.merge import Override

        interpreter.TIMEOUT_S = float(sys.argv[3])
        shown = Override("filesystem.ro", [sys.argv[1]], "ro")
        plan = api.plan(api.Request((sys.argv[2], "script.py"), overrides=(shown,), script=b"", preload=("json", "helper")))
        ours, theirs = socket.socketpair()
        try:
            cold.launch(plan, interpreter.of(plan, template.key(plan), theirs.fileno()))
        except jailpy.UsageError as error:
            print(str(error).splitlines()[0])
        template.close_all()
        ours.close()
        theirs.close()
        """,
        module("import time\ntime.sleep(60)\n"),
        PYTHON,
        0.5 * PATIENCE,
    )
    assert out == f"preload: helper: takes over {0.5 * PATIENCE:g} seconds\n"


# Bad input


def test_scripts_that_cannot_be(launcher, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"#" * (python.LARGEST + 1))
    cases = [
        (tmp_path / "nothing.py", r"^script: .*/nothing\.py: No such file or directory\n"),
        ("print(1)", r"^script: print\(1\): No such file or directory\n"),
        (tmp_path, r"^script: .*: Is a directory$"),
        (tmp_path / "fifo", r"^script: .*fifo: is no file$"),
        (tmp_path / "large", r"^script: .*large: is over 16777216 bytes$"),
        ("", r"^script: an empty path$"),
        ("a\0b", r"^script: a path with a NUL byte$"),
        (7, r"^script: expected a path, or source text, got int$"),
        (None, r"^script: expected a path, or source text, got NoneType$"),
    ]
    for given, words in cases:
        with pytest.raises(jailpy.UsageError, match=words):
            launcher.python(given, interpreter=PYTHON)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"args": "abc"}, "option args: expected a list"),
        ({"args": [1]}, "option args: expected texts"),
        ({"args": ["a\0"]}, "option args: a text holds a NUL"),
        ({"args": None}, "option args: expected texts"),
        ({"preload": [1]}, "option preload: expected texts"),
        ({"preload": ["a b"]}, "option preload: 'a b': expected the name of a module"),
        ({"preload": "../x"}, "option preload: '../x': expected the name"),
        ({"preload": [""]}, "option preload: '': expected the name"),
        ({"nonsense": 1}, "option nonsense: there is none"),
        ({"ro": [__file__ + ":/work/script.py"]}, "destination /work/script.py is taken by"),
    ],
)
def test_options_that_cannot_be(launcher, options, words):
    with pytest.raises(jailpy.UsageError, match=re.escape(words)):
        launcher.python("print(1)\n", **{"interpreter": PYTHON, **options})


def test_the_work_folder_must_be_the_jails_own(launcher, written, tmp_path):
    os.mkdir(tmp_path / "data")
    for options in ({"rw": [f"{tmp_path}/data:/work"]}, {"cwd": "/usr"}):
        with pytest.raises(jailpy.UsageError, match="a folder of the host"):
            launcher.python("print(1)\n", interpreter=PYTHON, **options)
    assert os.listdir(tmp_path / "data") == []
    done = launcher.python("print(__file__)\n", interpreter=PYTHON, cwd="/tmp")
    assert done.stdout == b"/tmp/script.py\n"


def test_interpreters_that_cannot_be(launcher):
    with pytest.raises(jailpy.CommandError, match=r"no-such-python: not found in the jail") as caught:
        launcher.python("print(1)\n", interpreter="no-such-python")
    assert caught.value.exit_status == 127
    with pytest.raises(jailpy.CommandError, match="Permission denied"):
        launcher.python("print(1)\n", interpreter="/etc/passwd")
    for other in ("/usr/bin/true", "/bin/sh"):
        with pytest.raises(jailpy.UsageError, match=r"^preload: the interpreter: ends the interpreter"):
            launcher.python("print(1)\n", interpreter=other)
    assert launcher.python("print(1)\n", interpreter="python3").stdout == b"1\n"


def test_a_script_that_does_not_fit_on_the_disk(launcher):
    with pytest.raises(jailpy.LaunchError, match=r"could not copy script\.py to /work/script\.py: No space left on device"):
        launcher.python("#" * (2 << 20) + "\n", interpreter=PYTHON, disk="1M")


# Runs that execute the interpreter as any command


def test_a_script_with_descriptors_of_the_callers(launcher):
    reader, writer = os.pipe()
    try:
        script = jailpy.Script("import os, sys\nos.write(int(sys.argv[1]), b'x')\n", [str(writer)], interpreter=PYTHON)
        assert launcher.run(script, pass_fds=[writer]).verdict == "ok"
        assert os.read(reader, 10) == b"x"
    finally:
        os.close(reader)
        os.close(writer)


def test_an_archive(launcher, tmp_path):
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", "import sys\nprint('archive', sys.argv)\n")
    assert launcher.python(tmp_path / "app.pyz", ["a"], interpreter=PYTHON).stdout == b"archive ['app.pyz', 'a']\n"


@pytest.mark.parametrize("profile", ["strict-nonamespaces" if os.geteuid() else "grade-container"])
def test_without_namespaces(profile):
    with jailpy.Launcher(profile) as launcher:
        try:
            done = launcher.python(
                "import sys\nprint(sys.argv)\n1 / 0\n", ["a"], preload=["json"], interpreter=PYTHON, text=True
            )
        except jailpy.HostError as error:
            pytest.skip(f"not on this host: {error}")
    assert done.stdout == "['script.py', 'a']\n"
    assert "ZeroDivisionError" in done.stderr


# Many runs, and ends from outside


def test_many_runs_leave_no_trace(launcher):
    script = jailpy.Script("import json\nprint(json.dumps([1]))\n", preload=["json"], interpreter=PYTHON)

    def look():
        (server,) = [launcher._server._process.pid]
        processes = [server, *(worker for worker in children(server)), *templates(launcher)]
        counted = len(processes), sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in processes)
        return counted, sum(resident(pid) for pid in processes)

    for _ in range(20):
        assert launcher.run(script).stdout == b"[1]\n"
    before, memory = look()
    for _ in range(200):
        assert launcher.run(script).stdout == b"[1]\n"
    after, grown = look()
    assert after == before
    assert grown - memory < 1 << 20


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("RssAnon"))


def test_an_interpreter_that_is_killed_is_started_again(launcher):
    source = "import os\nprint(os.getpid())\n"
    assert launcher.python(source, interpreter=PYTHON).stdout == b"2\n"
    for pid in templates(launcher):
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not templates(launcher))
    assert launcher.python(source, interpreter=PYTHON).stdout == b"2\n"
    assert templates(launcher)


@pytest.mark.parametrize("moment", ["a run", "an import"])
def test_a_client_that_is_killed_leaves_nothing(run_script, written, tmp_path, moment):
    mark = token()
    sleep = f"import time\nmark = '{mark}'\ntime.sleep(60)\n"
    path = written(sleep, "helper.py")
    client = f"""
        import jailpy, os, signal, threading
        with jailpy.Launcher() as launcher:
            script = jailpy.Script({sleep if moment == "a run" else chr(10)!r}, ["{mark}"], preload={[] if moment == "a run" else ["helper"]},
                interpreter="{PYTHON}")
            running = launcher.popen(script, ro=["{path}:/work/helper.py"], wall="60s")
            import time
            time.sleep(2)
            print("killed", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    with pytest.raises(AssertionError):
        run_script(client)
    assert eventually(lambda: not alive(mark))


def test_runs_side_by_side(launcher):
    jobs = [jailpy.Script(f"print({n})\n", interpreter=PYTHON) for n in range(12)]
    assert [done.stdout for done in launcher.map(jobs, workers=3)] == [b"%d\n" % n for n in range(12)]


def numpy_interpreter():
    """Return a Python with numpy; skip where there is none, fail where CI forgot it."""
    for path in (PYTHON, sys.executable):
        if subprocess.run([path, "-c", "import numpy"], capture_output=True).returncode == 0:
            return path
    if os.environ.get("CI"):
        pytest.fail("numpy is not installed: .ci/run must install it")
    pytest.skip("numpy is not installed")


def test_numpy(launcher):
    found = numpy_interpreter()
    interpreter = None if found == sys.executable else found
    source = "import numpy, os\nprint(numpy.random.random(), numpy.random.default_rng().random(), (numpy.ones((99, 99)) @ numpy.ones(99)).sum())\n"
    lines = [launcher.python(source, preload=["numpy"], interpreter=interpreter, check=True).stdout.split() for _ in range(3)]
    assert {total for _, _, total in lines} == {b"9801.0"}
    for column in (0, 1):
        assert len({line[column] for line in lines}) == 3
