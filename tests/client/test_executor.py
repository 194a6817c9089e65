"""`JailExecutor`: functions called in jails, with the interface of concurrent.futures."""

from __future__ import annotations

import concurrent.futures
import functools
import math
import os
import sys
import threading
import time

import pytest

import jailpy
from tests.core import PATIENCE, eventually

pytestmark = pytest.mark.usefixtures("nothing_left")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tasks  # noqa: E402 - as a program's own module, not as a part of the tests

sys.path.pop(0)


@pytest.fixture(scope="module")
def executor():
    with jailpy.JailExecutor(2, wall="20s") as executor:
        yield executor


def failure(executor, function, *args):
    error = executor.submit(function, *args).exception(30)
    assert isinstance(error, jailpy.PayloadError), error
    return error


def test_a_call(executor):
    assert executor.submit(tasks.add, 2, second=3).result() == 5
    assert executor.submit(math.sqrt, 4).result() == 2
    assert executor.submit(sum, [1, 2]).result() == 3
    assert executor.submit(tasks.Shelf.label, "x").result() == "<x>"
    assert isinstance(executor, concurrent.futures.Executor)


def test_data_comes_back_as_it_went():
    data = [None, True, 1, -(2**70), 0.1, "t\u00e9xt \U0001f600 \0 \udcff", [], {}, {"a": [1, {"b": None}]}]
    with jailpy.JailExecutor() as executor:
        assert executor.submit(tasks.echo, *data, key=data).result() == [data, {"key": data}]
        assert executor.submit(tasks.returns, "tuple").result() == [1, [2]]


def test_map_and_order(executor):
    assert list(executor.map(tasks.nap, [0.4, 0.1, 0.2, 0])) == [0.4, 0.1, 0.2, 0]
    assert list(executor.map(tasks.add, [1, 2], [10, 20])) == [11, 22]
    with pytest.raises(jailpy.FunctionError):
        list(executor.map(tasks.fail, ["a", "b"]))


def test_an_exception_crosses_as_text(executor):
    error = failure(executor, tasks.fail, "bad \x1b[31m\u202e")
    assert type(error) is jailpy.FunctionError
    assert (error.type, error.text, error.result.verdict) == ("ValueError", "bad \x1b[31m\u202e", "nonzero_exit")
    assert str(error) == "tasks.fail: ValueError: bad \\x1b[31m\\u202e"
    assert error.traceback.startswith("Traceback")
    assert "in fail\n    raise ValueError(text)" in error.traceback
    assert "inside.py" not in error.traceback
    assert "\x1b" not in error.__notes__[0]
    assert str(failure(executor, tasks.fail, "half: \ud800")) == "tasks.fail: ValueError: half: \\ud800"
    assert failure(executor, tasks.fail_oddly).type == "tasks.Odd"
    assert failure(executor, tasks.leave, 7).type == "SystemExit"
    assert failure(executor, math.sqrt, -1).text == "math domain error"


def test_no_result_names_the_verdict():
    with jailpy.JailExecutor(memory="64M", cpu="1s", disk="4M", file_size="64M") as executor:
        for function, verdict in ((tasks.hog, "memory_limit"), (tasks.spin, "cpu_limit")):
            error = failure(executor, function)
            assert not isinstance(error, jailpy.FunctionError)
            assert f"tasks.{function.__name__}: ended without a result: {verdict} (limit " in str(error)
            assert error.result.verdict == verdict
        error = failure(executor, tasks.fill_disk)
        assert (error.type, error.result.verdict) == ("OSError", "disk_limit")
        assert "(disk_limit" in str(error)
        assert "status 3" in str(failure(executor, tasks.vanish, 3))
        assert "ok, status 0" in str(failure(executor, tasks.vanish, 0))


@pytest.mark.parametrize(
    ("kind", "words"), [("set", "type set"), ("key", "key of type int"), ("bytes", "type bytes"), ("loop", "")]
)
def test_a_result_that_is_no_json(executor, kind, words):
    error = failure(executor, tasks.returns, kind)
    assert (error.type, error.text[:21]) == ("TypeError", "the result is no JSON")
    assert words in error.text


def test_a_result_has_a_bound():
    with jailpy.JailExecutor(result_size=1000) as executor:
        assert len(executor.submit(tasks.letters, 900).result()) == 900
        error = failure(executor, tasks.letters, 1000)
        assert "over 1000 bytes" in str(error)


def test_output_does_not_disturb(executor):
    assert executor.submit(tasks.add, 1).result() == 2
    assert failure(executor, tasks.garbage).result.verdict in ("ok", "nonzero_exit")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        '"x"',
        "{}",
        '{"error": 7}',
        '{"error": {"type": 1, "text": [], "traceback": {}}}',
        "[" * 100_000,
        "9" * 5000,
    ],
)
def test_forged_answers(executor, text):
    """What a jail says is the function's word, whatever it is; nothing but JSON is understood."""
    error = failure(executor, tasks.forge, text)
    assert "tasks.forge" in str(error)


def test_a_forged_result_is_only_a_result(executor):
    assert executor.submit(tasks.forge, '{"result": {"__class__": "os.system"}}').result() == {"__class__": "os.system"}


def test_a_child_that_is_left_behind_holds_nothing_up(executor):
    began = time.monotonic()
    assert executor.submit(tasks.child_holds_on).result() == "done"
    assert time.monotonic() - began < 15


def test_each_call_starts_from_nothing(executor):
    for _ in range(2):
        assert executor.submit(tasks.leftover).result() == [[], False, False]
    assert executor.submit(tasks.surroundings).result() == {"name": "tasks", "folder": "/work", "host": False, "stdin": ""}


def local_function():
    def inner():
        return 1

    return inner


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: 1, "<lambda>"),
        (local_function(), "<locals>"),
        (functools.partial(tasks.add, 1), "partial"),
        (tasks.Shelf().method, "a method"),
        ("tasks.add", "only a function"),
        (None, "only a function"),
    ],
)
def test_functions_that_have_no_name(executor, function, words):
    with pytest.raises(TypeError, match=words):
        executor.submit(function)


def test_a_module_without_a_file(executor):
    import types

    module = types.ModuleType("made_up")
    exec("def f(): return 1", module.__dict__)
    module.f.__module__ = "made_up"
    sys.modules["made_up"] = module
    try:
        with pytest.raises(TypeError, match="comes from no file"):
            executor.submit(module.f)
    finally:
        del sys.modules["made_up"]


def loop():
    found = {}
    found["a"] = found
    return found


@pytest.mark.parametrize("value", [object(), b"x", {1}, {1: 2}, {"a": {None: 1}}, 1j, loop(), [(1, {b"k": 1})]])
def test_arguments_that_are_no_json(executor, value):
    before = executor.stats()["started"]
    with pytest.raises(TypeError, match="arguments cross as JSON"):
        executor.submit(tasks.echo, value)
    with pytest.raises(TypeError, match="arguments cross as JSON"):
        executor.submit(tasks.echo, key=value)
    assert executor.stats()["started"] == before


def test_bad_options():
    with pytest.raises(jailpy.UsageError, match="memroy"):
        jailpy.JailExecutor(memroy="1M")
    with pytest.raises(jailpy.UsageError, match="at least 1"):
        jailpy.JailExecutor(0)
    with pytest.raises(jailpy.UsageError, match="no_such_module"):
        jailpy.JailExecutor(modules=["no_such_module"])


def test_shutdown(no_server_left):
    executor = jailpy.JailExecutor(1)
    futures = [executor.submit(tasks.nap, 0.3) for _ in range(3)]
    assert eventually(futures[0].running)
    executor.shutdown(cancel_futures=True)
    assert futures[0].result() == 0.3
    assert [future.cancelled() for future in futures[1:]] == [True, True]
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(tasks.nap, 0)
    executor.shutdown()


def test_shutdown_without_waiting(no_server_left):
    executor = jailpy.JailExecutor(1)
    nap = 0.3 * PATIENCE
    futures = [executor.submit(tasks.nap, nap) for _ in range(2)]
    began = time.monotonic()
    executor.shutdown(wait=False)
    assert time.monotonic() - began < nap - 0.05
    assert [future.result() for future in futures] == [nap, nap]


def test_no_more_than_max_workers(no_server_left):
    with jailpy.JailExecutor(2) as executor:
        most, stop = [0], threading.Event()

        def look():
            while not stop.wait(0.02):
                most[0] = max(most[0], executor.stats()["running"])

        looking = threading.Thread(target=look)
        looking.start()
        try:
            assert list(executor.map(tasks.nap, [0.3] * 6)) == [0.3] * 6
        finally:
            stop.set()
            looking.join()
    assert most[0] == 2


PROGRAM = """
    import sys
    sys.path.insert(0, sys.argv[1])
    import jailpy
    import helper

    print("imported as", __name__)

    def double(number): return helper.twice(number)

    class Box:
        @staticmethod
        def put(thing): return {"box": thing}

    if __name__ == "__main__":
        with jailpy.JailExecutor(modules=["helper"]) as executor:
            print(executor.submit(double, 4).result(), executor.submit(Box.put, 1).result())
            print(executor.submit(helper.sub.deep, 3).result())
        with jailpy.JailExecutor() as executor:
            print(executor.submit(double, 4).exception())
    """


def test_functions_of_the_program_itself(run_script, tmp_path):
    package = tmp_path / "lib" / "helper"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from helper import sub\ndef twice(n): return sub.deep(n)\n")
    (package / "sub.py").write_text("def deep(n): return n * 2\n")
    assert run_script(PROGRAM, tmp_path / "lib").splitlines() == [
        "imported as __main__",
        "8 {'box': 1}",
        "6",
        "script0.double: ModuleNotFoundError: No module named 'helper'",
    ]


def test_a_program_run_as_a_module(run_script, tmp_path):
    """`python -m`: the module is imported under its real name."""
    (tmp_path / "prog.py").write_text(
        "import jailpy\ndef name(): return __name__\n"
        "if __name__ == '__main__':\n  with jailpy.JailExecutor() as e: print(e.submit(name).result())\n"
    )
    out = run_script(
        f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); runpy.run_module('prog', run_name='__main__', alter_sys=True)"
    )
    assert out == "prog\n"


def test_a_program_without_a_file():
    import subprocess

    source = (
        "import jailpy\ndef f(): pass\ne = jailpy.JailExecutor()\ntry: e.submit(f)\nexcept TypeError as error: print(error)\n"
    )
    source += "e.shutdown()"
    root = os.path.dirname(os.path.dirname(os.path.abspath(jailpy.__file__)))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}
    )
    assert (done.stdout, done.stderr) == ("the function is of __main__, which is no file: put it into a module\n", "")


def test_after_a_fork(run_script):
    out = run_script(
        """
        import os, jailpy
        executor = jailpy.JailExecutor(2)
        print(executor.submit(sum, [1]).result(), flush=True)
        if (pid := os.fork()) == 0:
            print(executor.submit(sum, [2]).result(), flush=True)
            executor.shutdown()
            os._exit(0)
        os.waitpid(pid, 0)
        print(executor.submit(sum, [3]).result())
        executor.shutdown()
        """
    )
    assert out.split() == ["1", "2", "3"]
