"""`Plugin`: calls, values, streams, exceptions, limits, the life of a worker; threads, asyncio, fork."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time

import pytest

import jailpy
from jailpy.services.plugins.limits import Bounds
from jailpy.services.plugins.logs import Logs
from tests.core import PATIENCE, eventually

pytestmark = pytest.mark.usefixtures("nothing_left")
SOURCE = """
import os, sys, time
state = 0

def echo(*args, **kwargs):
    return [list(args), kwargs]

def bump():
    global state
    state += 1
    return state

def count(n, fail=False):
    try:
        yield from range(n)
        if fail:
            raise ValueError("no more")
    finally:
        print("closed")

def fail(text):
    raise LookupError(text)

def odd(what):
    return {"set": {1}, "nan": float("nan"), "keys": {1: 2}, "self": sys, "long": "x" * 5_000_000}[what]

def say(text, times=1):
    for _ in range(times):
        print(text)

def spin():
    while True:
        pass

def nap(seconds):
    time.sleep(seconds)
    return seconds

def leave(code):
    os._exit(code)

def exits():
    sys.exit("leaving")

def first(data):
    return [type(data).__name__, len(data), bytes(data[:3])]

def write(data):
    data[0] = 1

def look(path):
    return sorted(os.listdir(path))

def variable(name):
    return os.environ.get(name)

def hog():
    return len(bytearray(10**9))
"""
NAMES = [
    "echo", "bump", "count", "fail", "odd", "say", "spin", "nap", "leave", "exits", "first", "write", "look", "variable", "hog",
]  # fmt: skip


@pytest.fixture
def sample(make):
    """Return a function that makes a plugin of the source above; all are closed after the test."""
    made = []

    def start(asks="", **options):
        folder = make(SOURCE, *NAMES, name=f"sample{len(made)}", asks=asks)
        made.append(jailpy.Plugin(folder, **options))
        return made[-1]

    yield start
    for plugin in made:
        plugin.close()


def failure(call, *args):
    with pytest.raises(jailpy.PluginError) as caught:
        call(*args)
    return caught.value


def test_values_come_back_as_they_went(sample):
    plugin = sample()
    data = [None, True, 1, -(2**63), 2**64 - 1, 0.1, "t\u00e9xt \U0001f600 \0", b"\0\xff", [], {}, {"a": [1, {"b": b"x"}]}]
    assert plugin.echo(*data, key=data) == [data, {"key": data}]
    assert plugin.echo((1, (2,))) == [[[1, [2]]], {}]
    assert plugin.call("echo", call=1) == [[], {"call": 1}]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "of type object is no data"),
        ({1: 2}, "a key of type int"),
        (float("inf"), "the number inf"),
        (2**64, "over 64 bits"),
        ({"$bytes": 1}, r"the key \$bytes is the protocol's own"),
        ("\udcff", "lone surrogates"),
        ("x" * 5_000_000, "are over the 4194304 of a message"),
    ],
)
def test_arguments_that_are_no_data(sample, value, said):
    plugin = sample()
    with pytest.raises(TypeError, match=f"sample0.echo: .*{said}"):
        plugin.echo(value)
    loop = []
    loop.append(loop)
    with pytest.raises(TypeError, match="argument key: values are nested over 64 deep, or in themselves"):
        plugin.echo(key=loop)
    assert plugin.echo(1) == [[1], {}]


def test_results_that_are_no_data(sample):
    plugin = sample()
    for what in ("set", "nan", "keys", "self", "long"):
        error = failure(plugin.odd, what)
        assert (error.reason, error.type) == ("raised", "TypeError")
    assert plugin.stats()["starts"] == 1


def test_state_is_kept_and_calls_are_counted(sample):
    plugin = sample()
    assert [plugin.bump() for _ in range(3)] == [1, 2, 3]
    assert plugin.stats() == {
        "alive": True, "starts": 1, "log_bytes": 0, "calls": 3, "host_calls": 0, "evicted": 0, "failed": {},
    }  # fmt: skip
    with pytest.raises(AttributeError, match="plugin sample0 has no entry bmup"):
        plugin.bmup()
    with pytest.raises(jailpy.UsageError, match="has no entry"):
        plugin.call("__class__")


def test_a_fresh_jail_for_each_call(sample):
    plugin = sample(isolation="call", spares=2)
    assert [plugin.bump() for _ in range(4)] == [1, 1, 1, 1]
    assert list(plugin.count(3)) == [0, 1, 2]
    stream = plugin.count(3)
    assert next(stream) == 0
    stream.close()
    assert failure(plugin.fail, "x").text == "x"


def test_an_exception_crosses_as_text(sample):
    plugin = sample()
    error = failure(plugin.fail, "bad \x1b[31m")
    assert (error.plugin, error.entry, error.reason, error.type) == ("sample0", "fail", "raised", "LookupError")
    assert (error.text, str(error)) == ("bad \x1b[31m", "sample0.fail: LookupError: bad \\x1b[31m")
    assert "in fail\n    raise LookupError(text)" in error.traceback
    assert "inside.py" not in error.traceback
    assert "\x1b" not in error.__notes__[0]
    assert (failure(plugin.exits).type, plugin.bump()) == ("SystemExit", 1)
    assert failure(plugin.nap, 1, 2).type == "TypeError"


def test_generators_are_streamed(sample):
    plugin = sample()
    stream = plugin.count(3)
    assert next(stream) == 0
    assert plugin.bump() == 1
    assert list(stream) == [1, 2]
    assert list(stream) == []
    failing = plugin.count(1, fail=True)
    assert next(failing) == 0
    assert failure(next, failing).text == "no more"
    endless = plugin.count(10**12)
    assert next(endless) == 0
    del endless
    assert plugin.bump() == 2
    assert eventually(lambda: plugin.logs().count("closed") == 3)


def test_large_bytes_go_by_shared_memory(sample):
    plugin = sample()
    assert plugin.first(b"abc") == ["bytes", 3, b"abc"]
    assert plugin.first(b"abc" * 10_000_000) == ["memoryview", 30_000_000, b"abc"]
    with pytest.raises(TypeError, match="buffer"):
        plugin.echo(*[b"x" * 70_000] * 17)
    buffer = jailpy.Buffer.empty(100)
    buffer.memory[:3] = b"xyz"
    assert plugin.first(buffer) == plugin.first(buffer) == ["memoryview", 100, b"xyz"]
    assert plugin.first(jailpy.Buffer(b"")) == ["memoryview", 0, b""]
    assert failure(plugin.write, buffer).text == "cannot modify read-only memory"
    assert bytes(buffer.memory[:3]) == b"xyz"


def test_limits_of_a_call_end_that_plugin_alone(sample):
    plugin, other = sample('cpu = "300ms"\nwall = "2s"'), sample()
    assert other.bump() == 1
    error = failure(plugin.spin)
    assert (error.reason, str(error)) == ("cpu_limit", "sample0.spin: it used over 300ms of processor time (cpu)")
    assert plugin.nap(0.5) == 0.5
    begin = time.monotonic()
    assert failure(plugin.nap, 600).reason == "wall_limit"
    assert 1.9 < time.monotonic() - begin < 3 * PATIENCE
    error = failure(sample('memory = "64M"').hog)
    assert (error.reason, error.report["verdict"]) == ("crashed", "memory_limit")
    assert other.bump() == 2


def test_a_crash_and_the_back_off(sample):
    plugin = sample()
    assert plugin.bump() == 1
    error = failure(plugin.leave, 3)
    assert (error.reason, error.report["exit_code"]) == ("crashed", 3)
    assert plugin.bump() == 1
    for _ in range(2):
        assert failure(plugin.leave, 3).reason in ("crashed", "back_off")
    assert failure(plugin.bump).reason == "back_off"
    time.sleep(0.3)
    assert plugin.bump() == 1
    assert plugin.stats()["failed"]["crashed"] == 3


def test_logs_are_bounded_and_harmless(sample):
    plugin = sample()
    plugin.say("red \x1b[31m")
    assert eventually(lambda: plugin.logs() == ["red \\x1b[31m"])
    plugin.say("x" * 5000)
    plugin.say("y", 3000)
    assert eventually(lambda: plugin.stats()["log_bytes"] > 11_000)
    assert len(plugin.logs()) == 1000
    assert plugin.logs()[-1] == "y"


def test_a_line_that_is_not_ended_yet_counts_as_one():
    logs = Logs()
    logs.feed(b"x\n" * 1000 + b"y")
    assert (len(logs.lines()), logs.lines()[-2:]) == (1000, ["x", "y"])
    logs.feed(b"z\n")
    assert (len(logs.lines()), logs.lines()[-2:]) == (1000, ["x", "yz"])


def test_it_sees_what_is_granted(sample, tmp_path, monkeypatch):
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "a").touch()
    monkeypatch.setenv("SECRET_A", "1")
    monkeypatch.setenv("SECRET_B", "2")
    asks = f'read = ["{tmp_path}/shown"]\nenvironment = ["SECRET_A", "SECRET_B"]'
    plugin = sample(asks, grants={"read": [str(tmp_path)], "environment": ["SECRET_A"]})
    assert plugin.look(f"{tmp_path}/shown") == ["a"]
    assert (plugin.variable("SECRET_A"), plugin.variable("SECRET_B")) == ("1", None)
    bare = sample(asks)
    assert failure(bare.look, f"{tmp_path}/shown").type == "FileNotFoundError"
    assert bare.variable("SECRET_A") is None
    assert set(bare.look("/plugin/sample1")) == {"jailpy-plugin.toml", "sample1.py"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such", "cannot be loaded: ModuleNotFoundError: No module named 'no_such'"),
        ("def other(): pass", "cannot be loaded: AttributeError: module broken has no function run"),
        ("import os; os._exit(1)", "did not start: it ended, or closed its descriptor: nonzero_exit"),
        ("syntax error", "cannot be loaded: SyntaxError"),
    ],
)
def test_a_plugin_that_cannot_be_loaded(make, source, said):
    with jailpy.Plugin(make(source, "run", name="broken")) as plugin:
        error = failure(plugin.run)
        assert (error.reason, said in str(error)) == ("start", True), error
        assert "importlib" not in (error.traceback or "")


def test_threads_take_turns(sample):
    plugin = sample('wall = "20s"')
    found = []
    threads = [threading.Thread(target=lambda: found.append([plugin.bump() for _ in range(50)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for numbers in found for number in numbers) == list(range(1, 201))


def test_one_that_is_busy_is_waited_for_as_long_as_a_call_may_last(sample):
    plugin = sample('wall = "1s"')
    plugin.start()
    errors = []
    thread = threading.Thread(target=lambda: errors.append(failure(plugin.nap, 600).reason))
    thread.start()
    assert eventually(lambda: plugin._owner)
    second = threading.Thread(target=lambda: errors.append(failure(plugin.nap, 600).reason))
    second.start()
    thread.join(10)
    second.join(10)
    assert sorted(errors) in (["busy", "wall_limit"], ["wall_limit", "wall_limit"])


def test_asyncio(sample):
    plugin = sample()

    async def main():
        assert await plugin.bump_async() == 1
        assert [item async for item in await plugin.count_async(3)] == [0, 1, 2]
        with pytest.raises(jailpy.PluginError):
            await plugin.fail_async("x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await plugin.nap_async(600)
        assert await asyncio.gather(*(plugin.bump_async() for _ in range(5))) is not None

    begin = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begin < 8 * PATIENCE
    assert plugin.bump() == 6


def test_close_ends_a_call_that_goes_on(sample):
    plugin = sample()
    plugin.start()
    errors = []
    thread = threading.Thread(target=lambda: errors.append(failure(plugin.nap, 600).reason))
    thread.start()
    assert eventually(lambda: plugin._owner)
    begin = time.monotonic()
    plugin.close()
    thread.join(5 * PATIENCE)
    assert (errors, time.monotonic() - begin < 5 * PATIENCE) == (["closed"], True)
    assert failure(plugin.bump).reason == "closed"
    plugin.close()


def test_an_idle_worker_is_given_up(sample):
    plugin = sample(idle=0.3)
    assert [plugin.bump(), plugin.bump()] == [1, 2]
    assert eventually(lambda: not plugin.stats()["alive"])
    assert (plugin.bump(), plugin.stats()["evicted"]) == (1, 1)


def test_a_plugin_that_is_dropped_ends(make):
    plugin = jailpy.Plugin(make("def run(): return 1", "run"), spares=1)
    assert plugin.run() == 1
    pid = next(iter(plugin._worker.meter._used))
    assert os.path.exists(f"/proc/{pid}")
    del plugin
    assert eventually(lambda: not os.path.exists(f"/proc/{pid}"))


def test_a_forked_child_has_a_worker_of_its_own(sample):
    plugin = sample()
    assert plugin.bump() == 1
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, str([plugin.bump(), plugin.bump()]).encode())
            plugin.close()
            jailpy.client.launcher.shared().close()
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        assert pipe.read() == "[1, 2]"
    os.waitpid(child, 0)
    assert plugin.bump() == 2


def test_a_child_forked_while_logs_were_taken_in_has_its_own(sample):
    plugin = sample()
    assert plugin.bump() == 1
    with plugin._logs._lock:  # held by the thread that reads what the plugin prints
        child = os.fork()
        if not child:
            signal.alarm(30)
            failed = 1
            try:
                failed = plugin.bump() != 1 or plugin.logs() != []
                plugin.close()
                jailpy.client.launcher.shared().close()
            finally:
                os._exit(failed)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_many_calls_leave_nothing(sample):
    plugin = sample()
    plugin.bump()

    def kept():
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    before = kept()
    for _ in range(10_000):
        plugin.bump()
    assert (plugin.bump(), kept()) == (10_002, before)


def test_a_smaller_bound(make):
    folder = make("def echo(x): return x * 1000", "echo")
    with jailpy.Plugin(folder, bounds=Bounds(message=2000)) as plugin:
        assert plugin.echo("x") == "x" * 1000
        assert failure(plugin.echo, "xx").text.startswith("20")


def test_installed_modules_and_given_manifests(make, monkeypatch):
    folder = make("def run(): return __name__", "run", name="given")
    monkeypatch.syspath_prepend(str(folder.parent))
    os.rename(folder / "given.py", folder / "__init__.py")
    with jailpy.Plugin("given") as plugin:
        assert plugin.run() == "given"
    assert "given" not in sys.modules
    table = {"schema": 1, "name": "other", "module": "given", "entries": ["run"]}
    with jailpy.Plugin(folder, manifest=table) as plugin:
        assert (plugin.manifest.name, plugin.run()) == ("other", "given")
    with pytest.raises(jailpy.ManifestError, match="neither a path nor an installed module"):
        jailpy.Plugin("no_such_module")
    with pytest.raises(jailpy.ManifestError, match="manifest:1: colour: unknown key"):
        jailpy.Plugin(folder, manifest={**table, "colour": 1})


def test_packages_of_its_own(make):
    folder = make("import helper\ndef run(): return helper.VALUE", "run", name="own")
    text = (folder / "jailpy-plugin.toml").read_text()
    (folder / "jailpy-plugin.toml").write_text(text + 'packages = "vendor"\n')
    (folder / "vendor").mkdir()
    (folder / "vendor" / "helper.py").write_text("VALUE = 7")
    with jailpy.Plugin(folder) as plugin:
        assert plugin.run() == 7
