"""Large values: shared memory, which is filled again once the plugin holds nothing of it, and never shows more than was passed."""

from __future__ import annotations

import os

import pytest

import jailpy
from jailpy.services.plugins import buffers, reuse
from tests.core import eventually

pytestmark = pytest.mark.usefixtures("nothing_left")
LARGE = 1_000_000
SOURCE = """
import gc, sys, weakref
kept = []

def ends(data):
    return [len(data), bytes(data[:4]), bytes(data[-4:])]

def keep(data):
    kept.append(data)

def seen(at=-1):
    return bytes(kept[at][:6])

def find(text):
    return any(text in bytes(data) for data in kept)

def fail(data):
    raise ValueError(len(data))

def each(data):
    yield bytes(data[:2])
    yield bytes(data[-2:])

def lie():
    weakref.ref = lambda found: lambda: None

def total(array):
    kept.append(array)
    return [float(array.sum()), [float(other.sum()) for other in kept]]
"""
NAMES = ["ends", "keep", "seen", "find", "fail", "each", "lie", "total"]


@pytest.fixture
def plugin(make):
    with jailpy.Plugin(make(SOURCE, *NAMES)) as plugin:
        yield plugin


@pytest.fixture
def made(monkeypatch):
    """Return the list of sizes of all buffers that were made."""
    sizes = []
    real = buffers.Buffer._make
    monkeypatch.setattr(buffers.Buffer, "_make", lambda self, size: (sizes.append(size), real(self, size))[1])
    return sizes


def memory():
    """Return how many descriptors of buffers this process has."""
    numbers = os.listdir("/proc/self/fd")
    return sum("jailpy-buffer" in os.readlink(f"/proc/self/fd/{number}") for number in numbers if _is_open(number))


def _is_open(number):
    return os.path.lexists(f"/proc/self/fd/{number}")


def test_memory_is_filled_again(plugin, made):
    for at in range(6):
        data = bytes([at]) * (LARGE - at * 1000)
        assert plugin.ends(data) == [len(data), data[:4], data[-4:]]
        with pytest.raises(jailpy.PluginError, match=str(len(data))):
            plugin.fail(data)
    assert made == [LARGE]
    assert plugin.ends(b"x" * 100_000) == [100_000, b"xxxx", b"xxxx"]
    assert made == [LARGE, 100_000]
    two = plugin.call("ends", bytearray(b"y" * LARGE))
    assert (two, made) == ([LARGE, b"yyyy", b"yyyy"], [LARGE, 100_000])


def test_what_a_plugin_keeps_stays_as_it_was(plugin, made):
    for at in range(3):
        plugin.keep(b"%d" % at * LARGE)
    assert [plugin.seen(at) for at in range(3)] == [b"000000", b"111111", b"222222"]
    assert made == [LARGE] * 3
    stream = plugin.each(b"ab" * LARGE)
    assert next(stream) == b"ab"
    plugin.ends(b"cd" * LARGE)
    assert next(stream) == b"ab"
    buffer = jailpy.Buffer(b"xyz" * LARGE)
    assert plugin.ends(buffer) == plugin.ends(buffer) == [3 * LARGE, b"xyzx", b"zxyz"]
    plugin.ends(b"." * 3 * LARGE)
    assert bytes(buffer.memory[:3]) == b"xyz"


def test_a_plugin_that_lies_about_what_it_keeps_sees_its_own_calls_alone(make, plugin):
    plugin.lie()
    plugin.keep(b"first " * LARGE)
    plugin.ends(b"second" * LARGE)
    assert plugin.seen() == b"second"  # the view was filled again: the control of what follows
    with pytest.raises(TypeError, match="is no data"):
        plugin.ends(b"secret" * LARGE, object())
    with pytest.raises(TypeError, match="over the 4194304 of a message"):
        plugin.ends(b"secret" * LARGE, "x" * 5_000_000)
    with jailpy.Plugin(make(SOURCE, *NAMES, name="other")) as other:
        assert other.ends(b"secret" * LARGE)[0] == 6 * LARGE
    assert (plugin.find(b"secret"), plugin.find(b"second")) == (False, True)


def test_kept_memory_is_given_back(plugin, monkeypatch):
    before = memory()
    monkeypatch.setattr(reuse, "KEPT_S", 0.3)
    plugin.ends(b"x" * LARGE)
    assert memory() > before
    assert eventually(lambda: memory() == before)
    monkeypatch.setattr(reuse, "KEPT_S", 600.0)
    plugin.ends(b"x" * LARGE)
    assert memory() > before
    plugin.close()
    assert eventually(lambda: memory() == before)


def test_a_forked_child_keeps_none_of_its_parent_s_memory(plugin):
    plugin.ends(b"x" * LARGE)
    kept = memory()
    child = os.fork()
    if not child:
        os._exit(memory())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (memory(), kept > 0) == (kept, True)


def test_the_most_that_is_kept(plugin, monkeypatch, made):
    monkeypatch.setattr(reuse, "_MOST", LARGE)
    for _ in range(2):
        plugin.ends(b"x" * LARGE)
        plugin.ends(b"x" * LARGE * 5)
    assert made == [LARGE, 5 * LARGE, 5 * LARGE]


def test_arrays_that_a_plugin_keeps(plugin, made):
    numpy = pytest.importorskip("numpy")
    assert plugin.total(numpy.ones(LARGE)) == [LARGE, [LARGE]]
    assert plugin.total(numpy.zeros(LARGE)) == [0, [LARGE, 0]]
    assert len(made) == 2
