"""Host functions: granted by name, arguments checked against annotations, bounded, no deadlock."""

from __future__ import annotations

import threading
import time

import msgspec
import pytest

import jailpy
from tests.core import PATIENCE

pytestmark = pytest.mark.usefixtures("nothing_left")
SOURCE = """
import threading
from jailpy_plugin import host, HostError

def ask(name, *args, **kwargs):
    return getattr(host, name)(*args, **kwargs)

def often(name, times):
    refused = []
    for _ in range(times):
        try:
            getattr(host, name)()
        except HostError as error:
            refused.append(str(error))
    return refused

def elsewhere():
    said = []
    def work():
        try:
            host.plain()
        except RuntimeError as error:
            said.append(str(error))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return said

def echo(value):
    return value

def spread():
    for _ in range(2):
        yield host.plain()
"""
NAMES = ("add", "names", "point", "secret", "no", "odd", "plain", "again", "slow", "other", "kept")
ASKS = f"host = {list(NAMES)}\nwall = '3s'".replace("'", '"')


class Point(msgspec.Struct, forbid_unknown_fields=True):
    x: int
    y: int = 0


def add(a: int, b: int = 1) -> int:
    return a + b


def names(*words: str, **more: int) -> list[object]:
    return [list(words), more]


def point(where: Point, within: tuple[int, int] | None = None) -> int:
    assert isinstance(where, Point)
    return where.x + where.y


def secret() -> None:
    raise ValueError("the password is 1234")


def no() -> None:
    raise jailpy.RefusalError("not\x1b today")


def odd() -> object:
    return object()


def plain() -> str:
    return "plain"


@pytest.fixture
def plugin(make):
    granted = {"add": add, "names": names, "point": point, "secret": secret, "no": no, "odd": odd, "plain": plain}
    with jailpy.Plugin(
        make(SOURCE, "ask", "often", "elsewhere", "echo", "spread", asks=ASKS), grants={"host": granted}
    ) as plugin:
        yield plugin


def refused(call, *args, **kwargs):
    with pytest.raises(jailpy.PluginError) as caught:
        call(*args, **kwargs)
    assert caught.value.type == "jailpy_plugin.HostError"
    return caught.value.text


def test_calls(plugin):
    assert plugin.ask("add", 1) == 2
    assert plugin.ask("add", a=1, b=2) == 3
    assert plugin.ask("names", "a", "b", c=1) == [["a", "b"], {"c": 1}]
    assert plugin.ask("point", {"x": 1, "y": 2}) == 3
    assert list(plugin.spread()) == ["plain", "plain"]
    assert plugin.stats()["host_calls"] == 6


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "said"),
    [
        ("add", ["1"], {}, "add: argument a: Expected `int`, got `str`"),
        ("add", [True], {}, "add: argument a: Expected `int`, got `bool`"),
        ("add", [1.5], {}, "add: argument a: Expected `int`, got `float`"),
        ("add", [], {}, "add: wrong arguments: missing a required argument: 'a'"),
        ("add", [1], {"c": 1}, "add: wrong arguments: got an unexpected keyword argument 'c'"),
        ("names", ["a", 1], {}, "names: argument words: Expected `str`, got `int`"),
        ("names", [], {"c": "x"}, "names: argument more: Expected `int`, got `str`"),
        ("point", [{"x": 1, "z": 2}], {}, "point: argument where: Object contains unknown field `z`"),
        ("point", [{"x": 1}, [1, 2, 3]], {}, "point: argument within: Expected `array` of length 2, got 3"),
        ("secret", [], {}, "secret: failed in the host: ValueError"),
        ("no", [], {}, "no: not\x1b today"),
        ("odd", [], {}, "odd: failed in the host: TypeError"),
        ("slow", [], {}, "slow: is not granted to this plugin"),
        ("__class__", [], {}, None),
    ],
)
def test_refusals(plugin, name, args, kwargs, said):
    if said is None:  # the name never leaves the jail
        with pytest.raises(jailpy.PluginError, match="TypeError"):
            plugin.ask(name, *args)
    else:
        assert refused(plugin.ask, name, *args, **kwargs) == said
    assert plugin.ask("add", 1) == 2


def test_the_host_is_told_of_its_own_failures(plugin, caplog):
    refused(plugin.ask, "secret")
    assert "host function secret failed" in caplog.text
    assert "the password is 1234" in caplog.text


def test_bounds(make):
    granted = {
        "plain": jailpy.HostFunction(plain, calls=3),
        "names": jailpy.HostFunction(names, size=1000),
        "kept": jailpy.HostFunction(plain, rate=2),
    }
    with jailpy.Plugin(make(SOURCE, "ask", "often", asks=ASKS), grants={"host": granted}) as plugin:
        assert plugin.often("plain", 5) == ["plain: called over 3 times in one call"] * 2
        assert plugin.often("plain", 3) == []
        assert plugin.ask("names", "x" * 800) == [["x" * 800], {}]
        assert "over 1000" in refused(plugin.ask, "names", "x" * 1000)
        assert plugin.often("kept", 5) == ["kept: called over 2 times in a second"] * 3
        time.sleep(0.6)
        assert plugin.ask("kept") == "plain"


def test_an_endless_loop_of_host_calls_ends_with_the_call(make):
    counted = []

    def forever() -> None:
        counted.append(1)

    source = (
        "from jailpy_plugin import host, HostError\ndef run():\n while True:\n  try: host.plain()\n  except HostError: pass"
    )
    with jailpy.Plugin(
        make(source, "run", asks='host = ["plain"]\nwall = "1s"'), grants={"host": {"plain": forever}}
    ) as plugin:
        with pytest.raises(jailpy.PluginError) as caught:
            plugin.run()
        assert (caught.value.reason in ("wall_limit", "cpu_limit"), len(counted)) == (True, 1000)


def test_a_function_that_cannot_be_checked(make):
    folder = make(SOURCE, "ask", asks=ASKS)
    for function, said in ((lambda x: x, "parameter x has no annotation"), (dict.fromkeys, "")):
        with pytest.raises(jailpy.ManifestError, match=f"grants: host: .*{said}"):
            jailpy.Plugin(folder, grants={"host": {"add": function}})


def test_a_call_that_waits_for_itself_fails(make):
    folder = make(SOURCE, "ask", "echo", asks=ASKS)
    seen = []

    def again() -> str:
        try:
            plugin.echo(1)
        except jailpy.PluginError as error:
            seen.append(error.reason)
        return "went on"

    with jailpy.Plugin(folder, grants={"host": {"again": again}}) as plugin:
        assert plugin.ask("again") == "went on"
        assert (seen, plugin.echo(2)) == (["reentrant"], 2)


def test_two_plugins_that_call_each_other(make):
    first, second = (make(SOURCE, "ask", "echo", name=name, asks=ASKS) for name in ("first", "second"))

    def other() -> object:
        return b.ask("again")

    def again() -> str:
        try:
            a.echo(1)
        except jailpy.PluginError as error:
            return error.reason
        return "no error"

    with (
        jailpy.Plugin(first, grants={"host": {"other": other}}) as a,
        jailpy.Plugin(second, grants={"host": {"again": again}}) as b,
    ):
        assert a.ask("other") == "reentrant"
        assert (a.echo(1), b.echo(2)) == (1, 2)


def test_a_deadlock_over_a_second_thread_ends(make):
    folder = make(SOURCE, "ask", "echo", asks=ASKS)
    seen = []

    def slow() -> str:
        def work():
            try:
                plugin.echo(1)
            except jailpy.PluginError as error:
                seen.append(error.reason)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return "done"

    begin = time.monotonic()
    with jailpy.Plugin(folder, grants={"host": {"slow": slow}}) as plugin:
        with pytest.raises(jailpy.PluginError) as caught:
            plugin.ask("slow")
        assert (caught.value.reason, seen) == ("wall_limit", ["busy"])
        assert time.monotonic() - begin < 6 * PATIENCE
        assert plugin.echo(3) == 3


def test_no_call_from_another_thread_of_the_plugin(plugin):
    (said,) = plugin.elsewhere()
    assert "from the thread that it came in" in said
