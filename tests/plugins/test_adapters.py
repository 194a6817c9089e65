"""Adapters: pluggy, safe_exec, run_code."""

from __future__ import annotations

import pytest

import jailpy
from jailpy.services.plugins import hooks
from jailpy.services.plugins.code import run_code, safe_exec
from jailpy.services.plugins.limits import Bounds

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_safe_exec():
    variables = {"a": 2, "__builtins__": __builtins__}
    safe_exec("import math\nb = math.sqrt(a * 8)\nc = [b, {'x': a}]\ndef f(): pass\na = 3", variables)
    assert {name: variables[name] for name in "abc"} == {"a": 3, "b": 4.0, "c": [4.0, {"x": 2}]}
    assert {"f", "math"} & set(variables) == set()
    with pytest.raises(jailpy.PluginError) as caught:
        safe_exec("def f():\n    return a / 0\nf()", {"a": 1})
    assert (caught.value.type, 'File "<code>", line 2, in f' in caught.value.traceback) == ("ZeroDivisionError", True)
    with pytest.raises(jailpy.PluginError) as caught:
        safe_exec("while True: pass", {}, limits={"cpu": "300ms", "wall": "5s"})
    assert caught.value.reason == "cpu_limit"
    with pytest.raises(jailpy.PluginError, match="FileNotFoundError"):
        safe_exec("open('/etc/shadow')", {})
    with pytest.raises(TypeError, match="of type object is no data"):
        safe_exec("a = 1", {"x": object()})


_ANSWERS = """
import gc, os
runner = next(found for found in gc.get_objects() if type(found).__name__ == "Runner")
runner.tell({{"type": "result", "id": runner._current, "value": {}}})
os._exit(0)
"""


def test_what_safe_exec_takes_back_is_variables_alone():
    """The code may answer in its runner's place: with what no dictionary can be updated from, or with the host's own names."""
    variables = {"a": 1}
    for value in ("'ab'", "5", "None", "[['a', 2]]"):
        with pytest.raises(jailpy.PluginError, match="answered with no variables") as told:
            safe_exec(_ANSWERS.format(value), variables)
        assert told.value.reason == "protocol"
    safe_exec(_ANSWERS.format("{'b': 2, '__builtins__': {}, '__name__': 'x'}"), variables)
    assert variables == {"a": 1, "b": 2}


def test_run_code():
    code = "import os\nprint('in.txt' in os.listdir(), open('in.txt').read())\nopen('out.bin', 'wb').write(b'\\0made')"
    found = run_code(code, files={"in.txt": b"text"}, get=["out.bin"])
    assert (found.ok, found.verdict, found.files) == (True, "ok", {"out.bin": b"\0made"})
    assert found.stdout == "True text\n"
    failed = run_code("raise ValueError('bad')")
    assert (failed.ok, failed.returncode, "ValueError: bad" in failed.stderr) == (False, 1, True)
    assert run_code("while True: pass", cpu="300ms").verdict == "cpu_limit"
    instead = "import os\nos.mkdir('out.bin')\nopen('out.bin/inner', 'w').close()\nopen('other', 'wb').write(b'made')"
    assert run_code(instead, get=["out.bin", "other", "nowhere"]).files == {"other": b"made"}
    for name in ("../x", "a/b", "", "a:b"):
        with pytest.raises(jailpy.UsageError, match="without a folder"):
            run_code("", files={name: b""})


def _endless(manager, make):
    """See that the list of a generator is bounded as one call's result is: in bytes, in number, in time."""
    source = """
    import itertools, time

    def prices(item, amount):
        for _ in itertools.count():
            time.sleep(0.01 if item == "slow" else 0)
            yield "x" * amount
    """
    folder, small = make(source, "prices", name="endless"), Bounds(message=1 << 20, count=1000)
    with jailpy.Plugin(folder, bounds=small, grants={"wall": "3s"}) as plugin:
        registered = hooks.register(manager, plugin)
        for item, amount, reason in (("large", 1 << 18, "protocol"), ("many", 1, "protocol"), ("slow", 1, "wall_limit")):
            with pytest.raises(jailpy.PluginError) as told:
                manager.hook.prices(item=item, amount=amount)
            assert told.value.reason == reason
        assert plugin.stats()["starts"] == 1, "its generators were closed, and it goes on"
        manager.unregister(registered)


def test_pluggy(make):
    pluggy = pytest.importorskip("pluggy")
    specification, implementation = pluggy.HookspecMarker("shop"), pluggy.HookimplMarker("shop")

    class Specification:
        @specification
        def prices(self, item, amount): ...

        @specification(firstresult=True)
        def name(self, item): ...

    class Local:
        @implementation
        def prices(self, item):
            return f"local {item}"

    source = """
    def prices(item, amount):
        yield from range(amount)

    def name(item):
        if item == "bad":
            raise ValueError("no")
        return item.title()
    """
    manager = pluggy.PluginManager("shop")
    manager.add_hookspecs(Specification)
    manager.register(Local())
    with jailpy.Plugin(make(source, "prices", "name")) as plugin:
        registered = hooks.register(manager, plugin)
        assert manager.hook.prices(item="tea", amount=2) == [[0, 1], "local tea"]
        assert manager.hook.name(item="tea") == "Tea"
        with pytest.raises(jailpy.PluginError, match="ValueError: no"):
            manager.hook.name(item="bad")
        manager.unregister(registered)
        assert manager.hook.prices(item="tea", amount=2) == ["local tea"]
    _endless(manager, make)
    other = make("def other(): pass", "other", name="other")
    with jailpy.Plugin(other) as plugin, pytest.raises(jailpy.UsageError, match="other: shop specifies no such hook"):
        hooks.register(manager, plugin)
