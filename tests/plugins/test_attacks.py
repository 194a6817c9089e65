"""Hostile plugins, each beside an honest one that does the same in measure: the host neither breaks, waits nor believes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

import jailpy
from jailpy.services.plugins import channel, worker
from jailpy.services.plugins.limits import BrokenError
from tests.core import PATIENCE, eventually

pytestmark = pytest.mark.usefixtures("nothing_left")
SOURCE = """
import json, os, sys, threading, time
from jailpy_plugin import host

runner = host._Host__runner  # a plugin may take its runner apart: it gains what the protocol allows, and no more
raw = runner._socket

def send(text):
    raw.sendall(text.encode() if isinstance(text, str) else text)

def result(value, number=None):
    return json.dumps({"type": "result", "id": runner._current if number is None else number, "value": value}) + "\\n"

def honest():
    return "honest"

def huge(size):
    send('{"type":"result","id":%d,"value":"' % runner._current + "x" * size + '"}\\n')
    honestly()

def honestly():
    os._exit(0)

def endless():
    send('{"type":"result","id":%d,"value":"' % runner._current)
    while True:
        send("x" * 1000)

def slow():
    while True:
        send(" ")
        time.sleep(0.05)

def deep(depth):
    send('{"type":"result","id":%d,"value":' % runner._current + "[" * depth + "]" * depth + "}\\n")
    honestly()

def many(count):
    send('{"type":"result","id":%d,"value":[' % runner._current + "[]," * count + "[]]}\\n")
    honestly()

def quotes(count, end):
    send('[[' * 40 + '"' + '\\\\"' * count + end + '\\n')
    honestly()

def twice():
    send(result("first"))
    return "second"

def later():
    number = runner._current
    threading.Timer(0.2, lambda: send(result("late", number))).start()
    return "in time"

def other(offset):
    send(result("forged", runner._current + offset))
    time.sleep(600)

def forged(line):
    send(line.replace("ID", str(runner._current)) + "\\n")
    time.sleep(600)

def shut():
    raw.close()
    time.sleep(600)

def flood():
    while True:
        os.write(1, b"\\x1b[31mflood" * 1000 + b"\\n")

def replace():
    runner._entries = {"honest": lambda: "replaced"}
    runner.ask = None
    return "replaced"

def hang():
    import signal
    for number in range(1, 32):
        if number not in (9, 19):
            signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(600)

def pass_descriptors(times):
    import socket
    for _ in range(times):
        socket.send_fds(raw, [b" "], [1] * 10)
        time.sleep(0.01)
    return "passed"

def processes():
    return [name for name in os.listdir("/proc") if name.isdigit()]

def reach(pid):
    said = []
    for what in (lambda: os.kill(pid, 0), lambda: open("/plugin/victim/victim.py").read(),
                 lambda: __import__("socket").socket(), lambda: open("/etc/shadow").read()):
        try:
            what()
            said.append("reached")
        except OSError as error:
            said.append(type(error).__name__)
    return said

def remember(value):
    for place in ("/tmp", "/work", "/dev/shm"):
        with open(place + "/note", "w") as file:
            file.write(value)
    return remembered()

def remembered():
    return [place for place in ("/tmp", "/work", "/dev/shm") if os.path.exists(place + "/note")]

def fork():
    if not os.fork():
        send(result("from the child"))
        os._exit(0)
    time.sleep(0.2)
    return "from the parent"

def liar(name):
    class Str(str):
        def __eq__(self, other): return True
        def __hash__(self): return 0
    class Int(int):
        pass
    return {"str": Str("x"), "int": Int(1), "bool": True}[name]
"""
NAMES = [line[4 : line.index("(")] for line in SOURCE.splitlines() if line.startswith("def ")]
ASKS = 'wall = "2s"\ncpu = "1s"'

LINGER = """
import os, socket, struct, time
from jailpy_plugin import host

runner = host._Host__runner
raw = runner._socket
kept = []

def honest():
    return "honest"

def full(seconds):
    server = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(server.getsockname())
    kept.append((server, server.accept()))
    ours.setblocking(False)
    try:
        while True:
            ours.send(b"x" * 65536)
    except BlockingIOError:
        ours.setblocking(True)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))
    return ours

class Sender:
    def __init__(self, ours, after):
        self.ours, self.after = ours, after

    def sendall(self, line):
        runner._socket = raw
        number = self.ours.detach()
        raw.sendall(line if self.after else b" " * 3_000_000)  # the host reads for a while: our own copy is closed by then
        socket.send_fds(raw, [b" " if self.after else line], [number])
        os.close(number)

def own():
    begin = time.monotonic()
    full(1).close()
    return time.monotonic() - begin

def linger(seconds, after):
    runner._socket = Sender(full(seconds), after)
    return "sent"
"""


FIRST = """
import os, time
from jailpy_plugin import host

runner = host._Host__runner
if SENDER == "a child":
    if not os.fork():
        os.write(runner._socket.fileno(), b"{")
        os._exit(0)
    os.wait()
    os.write(runner._socket.fileno(), b'"type":"ready","protocol":1}\\n')
    runner.tell = lambda message: None

def burn():
    begin = time.process_time()
    while time.process_time() < begin + 1.5:
        pass
    return "burnt"
"""


@pytest.fixture
def hostile(make):
    with jailpy.Plugin(make(SOURCE, *NAMES, name="hostile", asks=ASKS)) as plugin:
        yield plugin


@pytest.fixture
def victim(make):
    with jailpy.Plugin(make(SOURCE, *NAMES, name="victim", asks=ASKS)) as plugin:
        assert plugin.honest() == "honest"
        yield plugin
        assert plugin.honest() == "honest"
        assert plugin.stats()["starts"] == 1


def attack(call, *args):
    begin = time.monotonic()
    with pytest.raises(jailpy.PluginError) as caught:
        call(*args)
    assert time.monotonic() - begin < 5 * PATIENCE
    return caught.value.reason, str(caught.value)


def test_huge_replies(hostile, victim):
    assert hostile.huge(4_000_000) == "x" * 4_000_000  # within the bound
    time.sleep(0.2)
    assert attack(hostile.huge, 5_000_000) == ("protocol", "hostile.huge: its message is over 4194304 bytes")
    time.sleep(0.5)
    assert attack(hostile.endless)[1] == "hostile.endless: its message is over 4194304 bytes"


def test_a_reply_that_never_ends(hostile, victim):
    assert attack(hostile.slow)[0] == "wall_limit"


def test_deep_replies(hostile, victim):
    assert hostile.deep(63)
    time.sleep(0.2)
    assert attack(hostile.deep, 1000) == ("protocol", "hostile.deep: its message is nested over 64 deep")
    time.sleep(0.2)
    assert attack(hostile.deep, 1_000_000)[0] == "protocol"


def test_a_reply_that_is_slow_to_measure(hostile, victim):
    """Whoever looks for the end of a text from each of its quotes anew takes hours for these, and holds up the whole host."""
    for end in ('"', ""):
        began = time.monotonic()
        assert attack(hostile.quotes, 1_500_000, end) == ("protocol", "hostile.quotes: its message is nested over 64 deep")
        assert time.monotonic() - began < 5 * PATIENCE
        time.sleep(0.2)


def test_replies_of_many_values(hostile, victim):
    assert len(hostile.many(90_000)) == 90_001
    time.sleep(0.2)
    assert attack(hostile.many, 150_000)[1].endswith("its message holds over 200000 values")


def test_two_replies(hostile, victim):
    assert hostile.twice() == "first"
    assert eventually(lambda: hostile._worker.channel._pending or not _silent(hostile))
    assert attack(hostile.honest) == ("protocol", "hostile.honest: it sent a message that nobody asked for")
    assert hostile.honest() == "honest"


def test_a_late_reply(hostile, victim):
    assert hostile.later() == "in time"
    assert eventually(lambda: not _silent(hostile))
    assert attack(hostile.honest)[0] == "protocol"


def _silent(plugin):
    try:
        plugin._worker.channel.expect_silence()
    except BrokenError:
        return False
    return True


def test_replies_to_other_calls(hostile, victim):
    for offset in (-1, 1, 2**63):
        assert attack(hostile.other, offset) == ("protocol", "hostile.other: it answered out of turn")
        time.sleep(0.5)


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"ready","protocol":1}',
        '{"type":"item","id":ID,"value":1}',
        '{"type":"end","id":ID}',
        '{"type":"call","id":ID,"entry":"x","args":[],"kwargs":{}}',
        '{"type":"answer","id":ID,"value":1}',
        '{"type":"result","id":ID}',
        '{"type":"result","id":ID,"value":1,"pickle":"gASVBAAAAA=="}',
        '{"type":"result","id":ID,"value":1,"free":1}',
        '{"type":"error","id":ID,"kind":{"a":1},"text":"x"}',
        '{"type":"host","id":1,"call":9999,"name":"x"}',
        '{"type":"result","id":ID,"value":{"$buffer":{"at":0,"size":1,"format":"bytes"}}}',
        "[]",
        "",
        "\\x00",
        '{"type":"__class__","id":ID}',
    ],
)
def test_forged_messages(hostile, line):
    assert attack(hostile.forged, line)[0] == "protocol"
    assert hostile.forged('{"type":"result","id":ID,"value":"control"}') == "control"


def test_a_first_message_of_a_process_that_has_ended(make, monkeypatch):
    """A host that is busy looks only then: it would measure nothing, and `cpu` be no limit."""
    meter = worker.Meter
    monkeypatch.setattr(worker, "Meter", lambda pid: time.sleep(0.5 * PATIENCE) or meter(pid))
    for sender, wanted in (("a child", "start"), ("itself", "cpu_limit")):
        with jailpy.Plugin(
            make(FIRST.replace("SENDER", repr(sender)), "burn", name=sender[-5:].strip(), asks='cpu = "500ms"')
        ) as plugin:
            assert attack(plugin.burn)[0] == wanted


def test_a_first_message_that_comes_before_the_host_listens(make, monkeypatch):
    greet = worker.Worker.greet
    monkeypatch.setattr(worker.Worker, "greet", lambda self: time.sleep(1.5 * PATIENCE) or greet(self))
    with jailpy.Plugin(make(FIRST.replace("SENDER", "'itself'"), "burn", asks='cpu = "500ms"')) as plugin:
        assert attack(plugin.burn)[0] == "cpu_limit"


def test_processes_that_have_ended_are_not_kept_from_call_to_call():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        meter = worker.Meter(process.pid)
        base = meter.start()
        assert base.keys() == {process.pid}
    assert meter.since(base) >= 0
    assert meter._used.keys() == {process.pid}, "what it used counts in the call in which it ended"
    assert meter.start() == {}


def test_a_closed_descriptor(hostile, victim):
    assert attack(hostile.shut)[0] in ("crashed", "wall_limit")  # init of its jail may hold another copy


def test_a_flood_of_logs(hostile, victim):
    reason, _ = attack(hostile.flood)
    assert reason in ("crashed", "cpu_limit", "wall_limit")
    assert len(hostile.logs()) <= 1000
    assert max(map(len, hostile.logs())) < 10_000
    assert "\x1b" not in "".join(hostile.logs())


def test_a_runner_that_was_taken_apart(hostile, victim):
    assert hostile.replace() == "replaced"
    assert hostile.honest() == "replaced"  # its own answers are all that it can change
    assert victim.honest() == "honest"


@pytest.fixture(params=["by the kernel", "by the host"])
def refused_by(request, monkeypatch):
    """Say who refuses descriptors of a plugin: the kernel from Linux 6.16 on, and the host where it cannot."""
    if request.param == "by the host":
        monkeypatch.setattr(channel, "_PASSRIGHTS", 9999)
    elif not _refuses_rights():
        pytest.skip("SO_PASSRIGHTS needs Linux 6.16")
    return request.param


def _refuses_rights():
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, channel._PASSRIGHTS, 0)
        except OSError:
            return False
    return True


def test_descriptors_that_it_sends(hostile, victim, refused_by):
    assert hostile.honest() == "honest"
    before = len(os.listdir("/proc/self/fd"))
    reason, words = attack(hostile.pass_descriptors, 1)
    if refused_by == "by the kernel":
        assert (reason, "PermissionError" in words) == ("raised", True)
    else:
        assert (reason, words) == ("protocol", "hostile.pass_descriptors: it sent descriptors")
        assert hostile.honest() == "honest"
    assert eventually(lambda: len(os.listdir("/proc/self/fd")) < before + 10)  # a new worker may have a connection more


@pytest.mark.parametrize("more", [False, True], ids=["with its answer", "after its answer"])
def test_a_socket_that_lingers_does_not_hold_up_the_host(make, tmp_path, refused_by, more):
    (tmp_path / "near.toml").write_text('schema = 1\nname = "near"\nextends = ["plugin"]\n[network]\nmode = "loopback"\n')
    folder = make(LINGER, "linger", "own", "honest", asks='network = "loopback"\nwall = "20s"')
    with jailpy.Plugin(folder, grants={"network": "loopback"}, profile=tmp_path / "near.toml") as plugin:
        assert plugin.own() > 0.9  # the control: closing such a socket takes as long as it says
        begin = time.monotonic()
        try:
            assert plugin.linger(60, more) == "sent"
            assert eventually(lambda: not _silent(plugin))
            plugin.honest()
            reason = "none"
        except jailpy.PluginError as error:
            reason = error.reason
        assert reason in ({"protocol"} if refused_by == "by the host" else {"crashed", "none"})
        plugin.close()
        assert time.monotonic() - begin < 10 * PATIENCE


def test_two_plugins_do_not_reach_each_other(hostile, victim):
    hostile.honest()
    pid = next(iter(victim._worker.meter._used))
    os.kill(pid, 0)  # it is there
    assert str(pid) not in hostile.processes()
    assert hostile.reach(pid) == ["ProcessLookupError", "FileNotFoundError", "PermissionError", "FileNotFoundError"]
    assert hostile.remember("x") == ["/tmp", "/work", "/dev/shm"]
    assert victim.remembered() == []


def test_a_child_that_answers(hostile, victim):
    assert hostile.fork() in ("from the child", "from the parent")
    time.sleep(0.3)
    assert attack(hostile.honest)[0] == "protocol"


def test_values_are_plain(hostile):
    with pytest.raises(jailpy.PluginError, match="of type Str is no data"):
        hostile.liar("str")
    assert type(hostile.liar("bool")) is bool


def test_a_plugin_that_hangs_does_not_hold_up_the_host_s_end(make):
    folder = make(SOURCE, *NAMES, name="hanging", asks='wall = "1h"')
    root = os.path.dirname(os.path.dirname(os.path.abspath(jailpy.__file__)))
    program = f"""
import sys, threading, time
import jailpy
plugin = jailpy.Plugin({str(folder)!r}, grants={{"wall": "1h"}})
print(plugin.honest(), flush=True)
threading.Thread(target=plugin.hang, daemon=True).start()
time.sleep(0.5)
"""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "honest\n")
    assert time.monotonic() - begin < 15 * PATIENCE


def test_a_host_that_is_killed_leaves_nothing(make):
    folder = make(SOURCE, *NAMES, name="hanging", asks='wall = "1h"')
    root = os.path.dirname(os.path.dirname(os.path.abspath(jailpy.__file__)))
    program = f"""
import jailpy
plugin = jailpy.Plugin({str(folder)!r}, grants={{"wall": "1h"}})
plugin.start()
print(next(iter(plugin._worker.meter._used)), flush=True)
plugin.hang()
"""
    host = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": root}, stdout=subprocess.PIPE, text=True
    )
    with host, host.stdout:
        pid = int(host.stdout.readline())
        assert os.path.exists(f"/proc/{pid}")
        host.kill()
    assert eventually(lambda: not os.path.exists(f"/proc/{pid}"))
