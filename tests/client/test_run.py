"""`Launcher.run` and `jailpy.run`: what goes in, what comes out, what is refused."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

import pytest

import jailpy
from jailpy.client import result
from jailpy.layers import Need
from jailpy.server import worker

pytestmark = pytest.mark.usefixtures("nothing_left")
CAT = ["cat"]


def sh(line):
    return ["sh", "-c", line]


def test_a_run_is_like_subprocess(launcher):
    done = launcher.run(sh("echo out; echo err >&2; exit 3"))
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert (done.verdict, done.args) == ("nonzero_exit", sh("echo out; echo err >&2; exit 3"))
    assert done.report()["verdict"] == "nonzero_exit"
    assert done.usage["wall_s"] > 0
    assert {layer["state"] for layer in done.layers if layer["required"]} == {"enforced"}


@pytest.mark.parametrize("count", [3, 190, 230, 400])
def test_many_files_are_shown(launcher, tmp_path, count):
    """A run that shows more than one message has room for is started cold (unix(7), SCM_RIGHTS)."""
    for number in range(count):
        (tmp_path / str(number)).write_text(str(number))
    shown = [f"{tmp_path}/{number}:/work/{number}" for number in range(count)]
    for _ in range(2):
        assert launcher.run(["cat", "0", str(count - 1)], ro=shown).stdout == f"0{count - 1}".encode()


def test_a_signal_is_negative(launcher):
    done = launcher.run(sh("kill -SEGV $$"))
    assert (done.returncode, done.verdict) == (-11, "signaled")


@pytest.mark.parametrize("data", [b"hello", bytearray(b"hello"), memoryview(b"hello"), "hello"])
def test_input(launcher, data):
    assert launcher.run(CAT, input=data).stdout == b"hello"


def test_no_input_is_an_empty_one(launcher):
    assert launcher.run(CAT).stdout == b""
    assert launcher.run(CAT, input=b"").stdout == b""
    assert launcher.run(CAT, stdin=subprocess.DEVNULL).stdout == b""


def test_text(launcher):
    done = launcher.run(sh(r"cat; printf 'a\r\nb\377'"), input="\u00e9\n", text=True, errors="replace")
    assert done.stdout == "\u00e9\na\nb\ufffd"
    assert launcher.run(CAT, input="\u00e9", encoding="latin-1").stdout == "\u00e9"
    assert launcher.run(["printf", r"\351"], encoding="latin-1").stdout == "\u00e9"


def test_much_in_and_out(launcher):
    data = os.urandom(1 << 20) * 24
    done = launcher.run(CAT, input=data, output="64M", wall="60s", cpu="60s")
    assert done.stdout == data


def test_input_that_nobody_reads(launcher):
    assert launcher.run(["true"], input=b"x" * (4 << 20)).verdict == "ok"
    assert launcher.run(["sleep", "9"], input=b"x" * (4 << 20), wall="300ms").verdict == "wall_limit"


def test_output_beyond_its_limit(launcher):
    done = launcher.run(["yes"], output="1M")
    assert done.verdict == "output_limit"
    assert len(done.stdout) == 1 << 20


def test_streams_of_the_caller(launcher, tmp_path):
    with open(tmp_path / "in", "wb+") as source, open(tmp_path / "out", "wb+") as target:
        source.write(b"data")
        source.seek(0)
        done = launcher.run(sh("cat; echo err >&2"), stdin=source, stdout=target.fileno(), stderr=subprocess.STDOUT)
        assert (done.stdout, done.stderr) == (None, None)
    assert (tmp_path / "out").read_bytes() in (b"dataerr\n", b"err\ndata")
    done = launcher.run(sh("echo out; echo err >&2"), stdout=subprocess.DEVNULL)
    assert (done.stdout, done.stderr) == (None, b"err\n")


def test_a_pass_fd_has_its_own_number(launcher):
    reader, writer = os.pipe()
    high = os.dup2(writer, 700)
    try:
        done = launcher.run(["bash", "-c", f"echo one >&{writer}"], pass_fds=[writer])
        assert done.verdict == "ok", done.stderr
        python = f"import os; os.write({high}, b'two'); print(sorted(map(int, os.listdir('/proc/self/fd'))))"
        done = launcher.run(["/usr/bin/python3", "-c", python], pass_fds=[high, writer], text=True)
        assert done.verdict == "ok", done.stderr
        assert eval(done.stdout)[:3] == [0, 1, 2]
        assert set(eval(done.stdout)[3:]) >= {writer, high}
        assert len(eval(done.stdout)) == 6  # the listing's own
        assert os.read(reader, 99) == b"one\ntwo"
    finally:
        for number in (reader, writer, high):
            os.close(number)


FLUSHING = """
import ctypes, errno, mmap, os, sqlite3, sys
def answer(act, *args):
    try: return str(act(*args))
    except OSError as error: return errno.errorcode[error.errno]
print(answer(os.fsync, int(sys.argv[1])), answer(os.fdatasync, int(sys.argv[1])))
connection = sqlite3.connect("here.db")
connection.execute("create table words (word)"); connection.execute("insert into words values ('kept')"); connection.commit()
area = mmap.mmap(os.open("here.db", os.O_RDWR), 4096); area.flush()
print(sqlite3.connect("here.db").execute("select word from words").fetchone()[0])
"""


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_PATH])
def test_no_folder_is_passed_on(launcher, tmp_path, flags):
    """By its .. the payload would reach all of the host: what Landlock does not guard, modes of the caller's files say."""
    (tmp_path / "file").write_text("")
    folder, file = os.open(tmp_path, flags), os.open(tmp_path / "file", flags)
    try:
        with pytest.raises(jailpy.UsageError, match="is a folder"):
            launcher.run(["true"], pass_fds=[file, folder])
        assert launcher.run(["true"], pass_fds=[file]).verdict == "ok"
    finally:
        os.close(folder)
        os.close(file)


def test_flushes_reach_the_kernel_where_something_can_be_written_that_outlives_the_run(launcher, tmp_path):
    """A pipe cannot be flushed (EINVAL of the kernel's); where nothing outlives the run, the filter says that it is done."""
    answers = {}
    (tmp_path / "file").write_text("")
    reader, writer = os.pipe()
    reading, writing = os.open(tmp_path / "file", os.O_RDONLY), os.open(tmp_path / "file", os.O_WRONLY)
    cases = {
        "pipe": {}, "read": {"pass_fds": [writer, reading]}, "write": {"pass_fds": [writer, writing]},
        "rw": {"rw": [f"{tmp_path}:/work/kept"]}, "ro": {"ro": [f"{tmp_path}:/work/kept"]},
        "cow": {"cow": [f"{tmp_path}:/work/kept"]},
    }  # fmt: skip
    try:
        for name, options in cases.items():
            done = launcher.run(
                ["/usr/bin/python3", "-c", FLUSHING, str(writer)], **{"pass_fds": [writer], **options}, text=True
            )
            assert (done.verdict, done.stderr, done.violations) == ("ok", "", [])
            first, second = done.stdout.splitlines()
            assert second == "kept"
            answers[name] = first
            noted = [note for note in done.report()["notes"] if "answered with success, and not done: " in note]
            assert bool(noted) == (first == "None None"), "the report says so"
    finally:
        for number in (reader, writer, reading, writing):
            os.close(number)
    flushed = {name for name, answer in answers.items() if answer == "EINVAL EINVAL"}
    assert flushed == {"write", "rw"}
    assert {answers[name] for name in answers if name not in flushed} == {"None None"}


def test_every_low_number_can_be_passed(launcher):
    """None of them is taken by the launcher's own descriptors."""
    reader, writer = os.pipe()
    free = [number for number in range(3, 60) if not os.path.exists(f"/proc/self/fd/{number}")]
    source = "import os\nfor n in range(3, 60):\n  try: os.write(n, b'%d ' % n)\n  except OSError: pass"
    try:
        for number in free:
            os.dup2(writer, number)
        done = launcher.run(["/usr/bin/python3", "-c", source], pass_fds=free)
        os.write(writer, b"!")
        assert (done.verdict, done.stderr) == ("ok", b"")
        assert len(free) > 20
        assert [int(word) for word in os.read(reader, 9999)[:-1].split()] == free
    finally:
        for number in (reader, writer, *free):
            os.close(number)


def test_words_that_are_no_utf_8(launcher):
    done = launcher.run([b"printf", "%s", b"\xff\xfe", pathlib.Path("/a")], env={"N": b"\xfd"})
    assert done.stdout == b"\xff\xfe/a" or done.stdout == b"\xff\xfe"
    done = launcher.run(sh("printf '%s' \"$N\""), env={"N": b"\xfd"})
    assert done.stdout == b"\xfd"


def test_the_environment_is_empty_but_for_what_is_given(launcher, monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    names = launcher.run(["env"], env={"MINE": "2", "WHERE": pathlib.Path("/x")}, text=True).stdout.splitlines()
    assert {"MINE=2", "WHERE=/x"} <= set(names)
    assert not any(name.startswith("SECRET") for name in names)
    monkeypatch.setenv("TZ", "UTC+3")  # in [environment] pass: as it is now, not as it was when the server started
    assert b"TZ=UTC+3" in launcher.run(["env"]).stdout


def test_relative_paths_are_the_callers(launcher, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert launcher.run(["cat", "a.txt"], ro=["a.txt"]).stdout == b"mine"
    assert launcher.run(["cat", "a.txt"], ro=pathlib.Path("a.txt")).stdout == b"mine"
    done = launcher.run(sh("echo new > b.txt; pwd"), put="a.txt", get=["b.txt:b.txt"], cwd="/job")
    assert (done.stdout, (tmp_path / "b.txt").read_text()) == (b"/job\n", "new\n")


def test_a_deleted_folder_has_no_files(launcher, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert launcher.run(["pwd"]).stdout == b"/work\n"
    with pytest.raises(jailpy.UsageError, match="No such file"):
        launcher.run(["true"], ro=["etc"])


def test_limits_and_their_other_names(launcher):
    assert launcher.run(["sleep", "9"], timeout=0.2).verdict == "wall_limit"
    done = launcher.run(["/usr/bin/python3", "-c", "bytearray(10**9)"], memory="32M")
    assert (done.verdict, done.evidence["configured"]) == ("memory_limit", 32 << 20)
    assert launcher.run(sh("ulimit -n"), open_files=33).stdout == b"33\n"
    assert launcher.run(sh("ulimit -n"), set={"limits.open_files": 34}).stdout == b"34\n"
    assert launcher.run(sh("echo $A"), set={"environment.set.A": "b"}).stdout == b"b\n"


def test_defaults_of_a_launcher_are_replaced_by_a_run():
    with jailpy.Launcher(wall=0.2, env={"A": "1"}) as launcher:
        assert launcher.run(["sleep", "9"]).verdict == "wall_limit"
        assert launcher.run(["sleep", "0.3"], timeout=5).verdict == "ok"
        assert launcher.run(sh("echo $A"), env={"B": "2"}).stdout == b"\n"
        assert launcher.run(sh("echo $A")).stdout == b"1\n"


def test_check_raises_for_the_payload(launcher):
    assert launcher.run(["true"], check=True).verdict == "ok"
    with pytest.raises(jailpy.PayloadError, match=r"nonzero_exit, status 1: .*oops") as caught:
        launcher.run(sh(r"printf '\033[31moops' >&2; exit 1"), check=True)
    assert caught.value.result.returncode == 1
    assert "\x1b" not in str(caught.value)
    with pytest.raises(jailpy.PayloadError, match=r"wall_limit \(limit 0.1"):
        launcher.run(["sleep", "9"], wall=0.1, check=True)


def test_a_command_that_is_not_there(launcher):
    with pytest.raises(jailpy.CommandError, match="not found in the jail") as caught:
        launcher.run(["no-such-program"])
    assert (caught.value.errno, caught.value.exit_status) == (2, 127)
    with pytest.raises(jailpy.LaunchError) as caught:
        launcher.run(["/etc/passwd"])
    assert (caught.value.errno, caught.value.exit_status) == (13, 126)
    assert launcher.run(["true"]).verdict == "ok"


def test_a_profile_that_is_wrong(launcher, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('schema = 1\n[limits]\nwall = "soon"\nmemroy = "1M"\n')
    with pytest.raises(jailpy.ProfileError) as caught:
        launcher.run(["true"], profile=path)
    assert len(caught.value.problems) == 2
    assert jailpy.Profile.check(path) == list(caught.value.problems)
    with pytest.raises(jailpy.ProfileError, match="memory"):
        launcher.run(["true"], memory="lots")


@pytest.mark.parametrize(
    "error",
    [
        jailpy.UsageError("u", ["h"]),
        jailpy.ProfileError("p", ["a:1: b", "c"], ["h"]),
        jailpy.HostError("o", [Need("net", "a net", "none", "get one")], ["h"]),
        jailpy.LaunchError("l", layer="mount", step="s", errno=5, hints=["h"]),
        jailpy.CommandError("c", errno=2, exit_status=127, hints=["h"]),
        jailpy.InternalError("i"),
    ],
)
def test_every_error_crosses_whole(error):
    copy = result.error(json.loads(json.dumps(worker.plain(error))))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)


def test_a_profile_as_a_value(launcher):
    profile = jailpy.Profile.load("strict").replace(memory="64M", set={"limits.open_files": 20})
    assert launcher.run(sh("ulimit -n"), profile=profile).stdout == b"20\n"
    assert launcher.run(sh("ulimit -n"), profile=profile, open_files=21).stdout == b"21\n"
    with pytest.raises(jailpy.UsageError, match="pass_fds"):
        profile.replace(pass_fds=[3])


@pytest.mark.parametrize(
    ("argv", "options", "words"),
    [
        ("ls -l", {}, "expected a list of words"),
        ([], {}, "none was given"),
        (["a\0b"], {}, "NUL"),
        (["\ud800"], {}, "surrogates not allowed"),
        (["true"], {"ro": "\ud800"}, "surrogates not allowed"),
        (["true"], {"cwd": "/\ud800"}, "surrogates not allowed"),
        (["true"], {"env": {"A": "\ud800"}}, "surrogates not allowed"),
        ([1], {}, "expected a list of texts"),
        (None, {}, "expected a list of texts"),
        (["true"], {"memroy": "1M"}, "did you mean memory"),
        (["true"], {"wall": 1, "timeout": 1}, "two names of one limit"),
        (["true"], {"env": ["A"]}, "expected a dictionary"),
        (["true"], {"env": {"A": 1}}, "expected a text"),
        (["true"], {"env": {"A": "a\0"}}, "NUL"),
        (["true"], {"env": {1: "a"}}, "texts as keys"),
        (["true"], {"set": {"limits.wall": object()}}, "not JSON serializable"),
        (["true"], {"ro": 7}, "option ro"),
        (["true"], {"get": "x"}, "NAME:DEST"),
        (["true"], {"allow_missing": "nothing"}, "no layer"),
        (["true"], {"profile": 7}, "option profile"),
        (["true"], {"pass_fds": [1]}, "stdin, stdout and stderr"),
        (["true"], {"pass_fds": [999]}, "no open descriptor"),
        (["true"], {"stdin": -5}, "option stdin"),
        (["true"], {"stdout": 999}, "option stdout"),
        (["true"], {"stdout": subprocess.STDOUT}, "option stdout"),
        (["true"], {"stderr": __import__("io").BytesIO()}, "option stderr"),
        (["true"], {"input": b"", "stdin": subprocess.DEVNULL}, "only one of them"),
    ],
)
def test_what_cannot_be_asked_for(launcher, argv, options, words):
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(jailpy.UsageError) as caught:
        launcher.run(argv, **options)
    assert words in " ".join((str(caught.value), *caught.value.hints))
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("name", ["A=B", "", "A\0"])
def test_names_that_no_variable_has(launcher, name):
    with pytest.raises(jailpy.JailPyError, match=r"environment\.set"):
        launcher.run(["true"], env={name: "x"})


def test_a_launcher_refuses_bad_options_at_once():
    with pytest.raises(jailpy.UsageError, match="memroy") as caught:
        jailpy.Launcher(memroy="1M")
    assert caught.value.__notes__ == ["hint: did you mean memory?"]


def test_garbage_on_every_descriptor(launcher):
    reader, writer = os.pipe()
    source = (
        "import os\nfor n in range(1024):\n  for junk in (b'\\xff' * 70000, b'\\0\\0\\0\\0', b'K'):\n"
        "    try: os.set_blocking(n, False); os.write(n, junk)\n    except OSError: pass"
    )
    try:
        done = launcher.run(["/usr/bin/python3", "-c", source], pass_fds=[writer])
    finally:
        os.close(reader)
        os.close(writer)
    assert done.verdict in ("ok", "signaled"), done.stderr
    assert len(done.stdout) > 60000
    assert launcher.run(["echo", "fine"]).stdout == b"fine\n"


def test_the_shared_launcher(no_server_left, run_script):
    out = run_script(
        """
        import asyncio, jailpy
        print(jailpy.run(["echo", "a"], text=True).stdout, end="")
        print(asyncio.run(jailpy.run_async(["echo", "b"], text=True)).stdout, end="")
        """
    )
    assert out == "a\nb\n"


def test_errors_and_results_can_be_pickled(launcher):
    import pickle

    for options in ({"argv": ["no-such-program"]}, {"argv": ["false"], "check": True}, {"argv": ["true"], "wall": "soon"}):
        with pytest.raises(jailpy.JailPyError) as caught:
            launcher.run(**options)
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (type(copy), str(copy), vars(copy).keys()) == (type(caught.value), str(caught.value), vars(caught.value).keys())
    done = pickle.loads(pickle.dumps(launcher.run(["echo", "x"])))
    assert (done.stdout, done.verdict) == (b"x\n", "ok")
    with pickle.loads(pickle.dumps(jailpy.Launcher(open_files=40))) as other:
        assert other.run(sh("ulimit -n")).stdout == b"40\n"


def test_a_profile_of_a_folder_that_is_gone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(jailpy.ProfileError, match=r"^\./x\.toml: cannot be opened: No such file or directory$"):
        jailpy.Profile.load("./x.toml")
    assert jailpy.Profile.check("x.toml") == ["x.toml: cannot be opened: No such file or directory"]
